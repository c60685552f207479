/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/renamed.h - whose state is it? UUID=, files that got another name, what was lost
 *
 * The state directory of a VM has its name, its identity is the UUID. Where UUID= stands in a file with a
 * new name, and the old file is gone and its guest does not run, the state moves there by one rename.
 * Nothing here opens what an operator named.
 */
#ifndef SUPERVISOR_VM_RENAMED_H
#define SUPERVISOR_VM_RENAMED_H

#include "supervisor/vm/vms.h"

/* The state of a vanished VM goes to the file that now has its UUID; true: some did. */
bool vms_follow_uuid(struct vms *vms);
/* Addresses, MACs and DNS names of VMs whose files went while no daemon ran are still theirs. After vms_adopt(). */
void vms_claim_vanished(struct vms *vms);
/* For a check, which changes nothing: the directory that vms_follow_uuid() would move here, and vm->predecessor;
 * -1: there is none. */
int vm_state_to_come(struct vm *vm);
/* Disks without Path= keep the name that they got first. */
void vm_keep_disk_names(const struct vm *vm, struct conf_vm *c);

/* May it run as who it is? Not with the UUID of another VM, nor as somebody new where its identity was
 * damaged. */
int vm_identity_check(const struct vm *vm, const struct conf_vm *c, struct err *e);
/* It ran before, but nothing is known of it: to be told, for it gets another UUID and other MACs. */
bool vm_is_forgotten(const struct vm *vm, const struct conf_vm *c);
#define VM_FORGOTTEN "it ran before, but its state is lost: it gets a new UUID and new MAC addresses"
#define VM_FORGOTTEN_HINT "put the state directory back from a backup, or write UUID= in [VM]: MAC addresses are made from it"
/* The plan's part for vmkeep-jail, see jail/plan.h. */
json_t *vm_identity_plan(const struct vm *vm, const struct conf_vm *c);

#endif
