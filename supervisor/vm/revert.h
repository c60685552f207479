/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/revert.h - the mark of a revert that has not come to its end
 *
 * STATE/vms/NAME/revert.json is on disk before the first image is changed and goes after the last. While it is
 * there the disks may be of two times, and nothing starts the VM. One that cannot be read is a mark too. A QEMU
 * that was loading when its daemon ended is asked how that went, by the next one.
 */
#ifndef SUPERVISOR_VM_REVERT_H
#define SUPERVISOR_VM_REVERT_H

#include "supervisor/core/keep.h"
#include "supervisor/vm/vm.h"

struct vms;

struct vm_revert {
	char snapshot[64]; /* "": the mark is damaged */
	char disk[64];	   /* the one under way, "": QEMU has all of them */
	bool followed;	   /* QEMU still loads, for a former daemon */
};

/* In the state directory. What is known stays known where the file is gone. */
void vm_revert_read(struct vm *vm, int dir);
bool vm_revert_there(int dir);
/* 0: there is no mark; else says what to do. ERR_WRONG_STATE. */
int vm_revert_check(const struct vm *vm, struct err *e);
/* The same in one line, as the reason of a VM that is off. */
void vm_revert_report(struct vm *vm);
/* Marks it; disk as above, NULL: takes the mark away. It counts when done says so. */
int vm_revert_mark(struct vm *vm, const char *snapshot, const char *disk, keep_fn *done, void *data,
	struct err *e);
/* done said that it is on disk: from now on it counts here too. */
void vm_revert_marked(struct vm *vm, const char *snapshot, const char *disk);
/* It came to its end: takes the mark away, as one that nobody waits for. */
void vm_revert_over(struct vm *vm);
/* Where its file was lost or damaged under us. */
void vm_revert_again(struct vm *vm);
void vms_revert_again(struct vms *vms);
/* Of a process of a former daemon, whose monitor answers. revert_ask.c */
void vm_revert_ask(struct vm *vm);

#endif
