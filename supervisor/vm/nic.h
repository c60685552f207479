/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/nic.h - the NICs of a running process, as records have them
 */
#ifndef SUPERVISOR_VM_NIC_H
#define SUPERVISOR_VM_NIC_H

#include "supervisor/vm/vm.h"

json_t *vm_nics_json(const struct vm *vm);
/* Strings are copied. */
struct vm_nic *vm_add_nic(struct vm *vm, const struct network_nic *as);
/* In place of those that vm has; their MACs are in its identity. */
void vm_nics_read(struct vm *vm, const json_t *nics);

#endif
