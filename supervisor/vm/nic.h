/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/nic.h - the NICs of a running process, and their form in records
 */
#ifndef SUPERVISOR_VM_NIC_H
#define SUPERVISOR_VM_NIC_H

#include "supervisor/vm/vm.h"

json_t *vm_nics_json(const struct vm *vm);
/* Copies the strings. */
struct vm_nic *vm_add_nic(struct vm *vm, const struct network_nic *as);
/* Replaces the NICs of vm; the MACs come from its identity. */
void vm_nics_read(struct vm *vm, const json_t *nics);

#endif
