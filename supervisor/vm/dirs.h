/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/dirs.h - the directories of a VM: STATE/vms/NAME is permanent, RUN/vms/NAME
 * exists while there is a process
 */
#ifndef SUPERVISOR_VM_DIRS_H
#define SUPERVISOR_VM_DIRS_H

#include "supervisor/vm/vm.h"

#define VM_NVRAM "nvram.qcow2" /* in STATE/vms/NAME: the UEFI variables */

#define VM_HISTORY "history"

/* "vms/NAME/FILE", relative to STATE or RUN; file NULL: the directory. The caller frees these. */
char *vm_path(const char *name, const char *file);
char *vm_state_path(const struct vm *vm, const char *file); /* absolute */
char *vm_run_path(const struct vm *vm, const char *file);

int vm_state_dir(
	struct vm *vm, struct err *e); /* created if it is missing; kept open in vm->state_fd */
/* Would a start be refused to save the identity, or to make its run directory? Changes nothing. */
int vm_state_may(const struct vm *vm, struct err *e);
int vm_run_dir_may(const struct vm *vm, struct err *e);
int vm_state_open(const struct daemon *d, const char *name); /* owned by the caller; -1: none */

/* Prefix of a VM's name: its next run directory, not yet in place. No VM name begins with it. */
#define VM_RUN_NEW "."

/* Opens RUN/vms/NAME as vm->proc.run_fd; creates it if it is missing or not a directory. */
int vm_run_dir(struct vm *vm, struct err *e);
/* Opens a new, empty directory beside it as vm->proc.run_fd. vm_run_dir_place() then swaps the
 * two, so that there is never a moment without a complete one. */
int vm_run_dir_new(struct vm *vm, struct err *e);
int vm_run_dir_place(struct vm *vm, struct err *e);
void vm_run_dir_remove(struct vm *vm);
/* Moves away anything but a regular file that has the file's name. */
void vm_run_dir_clear(struct vm *vm, const char *file);

/* Sockets in RUN/vms/NAME. Listening replaces an existing file; connections are non-blocking. */
int vm_socket_listen(const struct vm *vm, const char *name, struct err *e);
int vm_socket_connect(const struct vm *vm, const char *name, struct err *e);

#endif
