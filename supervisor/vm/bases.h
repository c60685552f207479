/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/bases.h - may a VM write to its disks, as far as other VMs' disks are based on
 * them?
 */
#ifndef SUPERVISOR_VM_BASES_H
#define SUPERVISOR_VM_BASES_H

#include "supervisor/vm/vms.h"

/* Refuses to write to an image that another VM has run on as a base. */
int vm_bases_check(const struct vm *vm, const struct conf_vm *c, struct err *e);

#endif
