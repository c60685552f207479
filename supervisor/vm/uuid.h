/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/uuid.h - may a VM run as who it is?
 */
#ifndef SUPERVISOR_VM_UUID_H
#define SUPERVISOR_VM_UUID_H

#include "supervisor/vm/vms.h"

bool uuid_file_is_gone(const struct vm *vm);
/* Another file that says this UUID, or a VM that ran as such. One that the next look at the files forgets is
 * none. */
const struct vm *uuid_holder(const struct vm *vm, const char *uuid);
/* Not with the UUID of another VM, nor as somebody new where its identity was damaged. */
int vm_identity_check(const struct vm *vm, const struct conf_vm *c, struct err *e);
/* It ran before, but nothing is known of it: to be told, for it gets another UUID and other MACs. */
bool vm_is_forgotten(const struct vm *vm, const struct conf_vm *c);
#define VM_FORGOTTEN \
	"it ran before, but its state is lost: it gets a new UUID and new MAC addresses"
#define VM_FORGOTTEN_HINT \
	"put the state directory back from a backup, or write UUID= in [VM]: MAC addresses are made from it"

#endif
