/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/renamed.h - the state of a VM goes on under the file that has its UUID now
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
/* For a check, which changes nothing: the directory that vms_follow_uuid() would move here, and vm->predecessor;
 * -1: there is none. */
int vm_state_to_come(struct vm *vm);
/* Disks without Path= keep the name that they got first. */
void vm_keep_disk_names(const struct vm *vm, struct conf_vm *c);

#endif
