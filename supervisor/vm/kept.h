/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/kept.h - RUN/vms/NAME/kept.json, see kept.c
 */
#ifndef SUPERVISOR_VM_KEPT_H
#define SUPERVISOR_VM_KEPT_H

#include "supervisor/vm/vm.h"

int kept_save(struct vm *vm, struct err *e);
/* {accel, conf: text of effective.vm, identity, nics} of the VM's process; NULL: lost, or
 * started by an older daemon. */
json_t *kept_read(const struct vm *vm);

#endif
