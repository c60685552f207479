/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/dirs.h - the two directories of a VM: STATE/vms/NAME, which stays, and RUN/vms/NAME,
 * which is there while it has a process
 */
#ifndef SUPERVISOR_VM_DIRS_H
#define SUPERVISOR_VM_DIRS_H

#include "supervisor/vm/vm.h"

#define VM_NVRAM "nvram.qcow2" /* in STATE/vms/NAME: the variables of UEFI */

/* "vms/NAME/FILE", below STATE and RUN alike; file NULL: "vms/NAME". The caller frees these. */
char *vm_path(const char *name, const char *file);
char *vm_state_path(const struct vm *vm, const char *file); /* absolute */
char *vm_run_path(const struct vm *vm, const char *file);

int vm_state_dir(struct vm *vm, struct err *e); /* made where it is missing; stays open as vm->state_fd */
int vm_state_open(const struct daemon *d, const char *name); /* the caller's; -1: there is none */

/* Sockets in RUN/vms/NAME: what was there before is removed; connections are non-blocking. */
int vm_socket_listen(const struct vm *vm, const char *name, struct err *e);
int vm_socket_connect(const struct vm *vm, const char *name, struct err *e);

#endif
