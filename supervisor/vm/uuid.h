/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/uuid.h - may a VM run with its identity?
 */
#ifndef SUPERVISOR_VM_UUID_H
#define SUPERVISOR_VM_UUID_H

#include "supervisor/vm/vms.h"

bool uuid_file_is_gone(const struct vm *vm);
/* Another VM whose file has this UUID, or that ran with it; NULL: none. Ignores VMs that the
 * next refresh will forget. */
const struct vm *uuid_holder(const struct vm *vm, const char *uuid);
/* Refuses the UUID= of a VM that never ran if it is other's. */
int vm_uuid_free(const struct vm *vm, const struct vm *other, struct err *e);
/* Refuses the UUID of another VM, and a new identity in place of a damaged one. */
int vm_identity_check(const struct vm *vm, const struct conf_vm *c, struct err *e);
/* It ran before, but its state is lost: must be reported, since it gets a new UUID and new MACs. */
bool vm_is_forgotten(const struct vm *vm, const struct conf_vm *c);
#define VM_FORGOTTEN \
	"it has run before, but its state is lost: it gets a new UUID and new MAC addresses"
#define VM_FORGOTTEN_HINT \
	"restore the state directory from a backup, or write UUID= in [VM]: MAC addresses are derived from it"

#endif
