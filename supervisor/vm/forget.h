/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/forget.h - VMs whose file is gone: what is kept of them, until somebody says forget
 *
 * A file that is gone may come back (an editor, git, Ansible), so its VM's state directory stays, with
 * UUID, uid, MACs and addresses that nobody else gets.
 */
#ifndef SUPERVISOR_VM_FORGET_H
#define SUPERVISOR_VM_FORGET_H

#include "supervisor/vm/vms.h"

/* Moves STATE/vms/NAME away, for a child to remove, and frees what was reserved. disks: the paths of the
 * disks that it had, new; they stay. Refused while its file is there, or a process. */
int vm_forget(struct vms *vms, const char *name, const char *who, json_t **disks, struct err *e);

#endif
