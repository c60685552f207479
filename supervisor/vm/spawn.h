/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/spawn.h - between spawn.c, plan.c and the other files of the room
 */
#ifndef SUPERVISOR_VM_SPAWN_H
#define SUPERVISOR_VM_SPAWN_H

#include "base/buf.h"
#include "supervisor/vm/vm.h"

/* The plan without the end of its line; number: of the descriptors, inside QEMU. */
int vm_plan(struct vm *vm, const int *number, size_t n, struct buf *out, struct err *e);
/* Takes the jail's answer if it is complete; also when its process ended first. */
void vm_launch_finish(struct vm *vm);
/* What the jail's plan says of this configuration's files. */
struct argv_context;
json_t *vm_plan_files(struct vm *vm, const struct conf_vm *c, const struct argv_context *ctx, struct arena *a);

#endif
