/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/renamed.h - state follows the UUID to a renamed VM file
 *
 * The state directory is named after the VM; its identity is the UUID. If a file with a new name
 * contains the UUID=, the old file is gone and its guest is not running, one rename moves the
 * state. Nothing here opens a path that an operator configured.
 */
#ifndef SUPERVISOR_VM_RENAMED_H
#define SUPERVISOR_VM_RENAMED_H

#include "supervisor/vm/vms.h"

/* Moves the state of vanished VMs to the files that now have their UUIDs; true: at least one
 * moved. */
bool vms_follow_uuid(struct vms *vms);
/* For a check, which changes nothing: opens the directory that vms_follow_uuid() would move
 * here, and sets vm->predecessor; -1: none. */
int vm_state_to_come(struct vm *vm);
/* Disks without Path= keep the path they got first. */
void vm_keep_disk_names(const struct vm *vm, struct conf_vm *c);

#endif
