/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/dirs.h - the two directories of a VM: STATE/vms/NAME, which stays, and RUN/vms/NAME,
 * which is there while it has a process
 */
#ifndef SUPERVISOR_VM_DIRS_H
#define SUPERVISOR_VM_DIRS_H

#include "supervisor/vm/vm.h"

#define VM_NVRAM "nvram.qcow2" /* in STATE/vms/NAME: the variables of UEFI */

#define VM_HISTORY "history"

/* "vms/NAME/FILE", below STATE and RUN alike; file NULL: the directory. The caller frees these. */
char *vm_path(const char *name, const char *file);
char *vm_state_path(const struct vm *vm, const char *file); /* absolute */
char *vm_run_path(const struct vm *vm, const char *file);

int vm_state_dir(
	struct vm *vm, struct err *e); /* made where it is missing; stays open as vm->state_fd */
int vm_state_open(const struct daemon *d, const char *name); /* the caller's; -1: there is none */

/* Before the name of a VM: its next run directory, not in its place yet. No VM's name begins so. */
#define VM_RUN_NEW "."

/* RUN/vms/NAME as vm->proc.run_fd, made where it is missing or no directory. */
int vm_run_dir(struct vm *vm, struct err *e);
/* An empty one beside it as vm->proc.run_fd, until it can take its place: at no moment is there none, nor
 * one that says nothing. */
int vm_run_dir_new(struct vm *vm, struct err *e);
int vm_run_dir_place(struct vm *vm, struct err *e);
void vm_run_dir_remove(struct vm *vm);
/* Moves away what stands in the file's place and is none. */
void vm_run_dir_clear(struct vm *vm, const char *file);

/* Sockets in RUN/vms/NAME: what was there before is removed; connections are non-blocking. */
int vm_socket_listen(const struct vm *vm, const char *name, struct err *e);
int vm_socket_connect(const struct vm *vm, const char *name, struct err *e);

#endif
