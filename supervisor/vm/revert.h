/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/revert.h - the mark of an unfinished revert
 *
 * STATE/vms/NAME/revert.json is on disk before the first image changes and is removed after the
 * last. While it exists, the disks may be from two points in time, and the VM does not start. An
 * unreadable mark counts too. If a daemon ends while QEMU loads a snapshot, the next daemon asks
 * QEMU for the result.
 */
#ifndef SUPERVISOR_VM_REVERT_H
#define SUPERVISOR_VM_REVERT_H

#include "supervisor/core/keep.h"
#include "supervisor/vm/vm.h"

struct vms;

struct vm_revert {
	char snapshot[256]; /* as it was asked for, "-" if empty; "": the mark is damaged */
	char id[32];	    /* of several with that name; "": none was given */
	char disk[64];	    /* the one being reverted, "": all of them, by QEMU */
	bool followed;	    /* QEMU is still loading, on behalf of a previous daemon */
};

/* dir: the state directory. If the file is missing, vm->revert stays as it is. */
void vm_revert_read(struct vm *vm, int dir);
bool vm_revert_there(int dir);
/* 0: no mark; otherwise the error says what to do. ERR_WRONG_STATE. */
int vm_revert_check(const struct vm *vm, struct err *e);
/* The same on one line, as the reason of a stopped VM. */
void vm_revert_report(struct vm *vm);
/* Writes the mark; disk as above, NULL: removes the mark. It is on disk when done is called. */
int vm_revert_mark(struct vm *vm, const char *snapshot, const char *id, const char *disk,
	keep_fn *done, void *data, struct err *e);
/* done reported that it is on disk: applies it to vm->revert. */
void vm_revert_marked(struct vm *vm, const char *snapshot, const char *id, const char *disk);
/* The revert finished: removes the mark, without waiting. */
void vm_revert_over(struct vm *vm);
/* Rewrites the file if it was lost or damaged. */
void vm_revert_again(struct vm *vm);
void vms_revert_again(struct vms *vms);
/* For an adopted process whose monitor answers. revert_ask.c */
void vm_revert_ask(struct vm *vm);

#endif
