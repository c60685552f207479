/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/spawn.h - what other files of the room need of spawn.c
 */
#ifndef SUPERVISOR_VM_SPAWN_H
#define SUPERVISOR_VM_SPAWN_H

#include "supervisor/vm/vm.h"

/* Connects to a socket in RUN/vms/NAME; non-blocking. */
int vm_socket_connect(const struct vm *vm, const char *name, struct err *e);
/* Takes the jail's answer if it is complete; also when its process ended first. */
void vm_launch_finish(struct vm *vm);
/* Is this pid still the process that started then? */
bool vm_process_is(pid_t pid, uint64_t starttime);

#endif
