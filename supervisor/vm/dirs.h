/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/dirs.h - the two directories of a VM: STATE/vms/NAME, which stays, and RUN/vms/NAME,
 * which is there while it has a process
 */
#ifndef SUPERVISOR_VM_DIRS_H
#define SUPERVISOR_VM_DIRS_H

#include "supervisor/vm/vm.h"

int vm_state_dir(struct vm *vm, struct err *e); /* descriptor, stays open */

/* Sockets in RUN/vms/NAME: what was there before is removed; connections are non-blocking. */
int vm_socket_listen(const struct vm *vm, const char *name, struct err *e);
int vm_socket_connect(const struct vm *vm, const char *name, struct err *e);

#endif
