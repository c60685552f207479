/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/forget.h - deletes what is kept of a VM whose file is gone
 *
 * A missing file may come back (editor, git, Ansible). Until `forget`, its VM keeps the state
 * directory, with UUID, uid, MACs and addresses, and no other VM gets these.
 */
#ifndef SUPERVISOR_VM_FORGET_H
#define SUPERVISOR_VM_FORGET_H

#include "supervisor/vm/vms.h"

/* Moves STATE/vms/NAME away for a child process to remove, and frees everything reserved. disks
 * (new array): paths of its disks, which are kept. Refused while the VM has a file or a process. */
int vm_forget(struct vms *vms, const char *name, const char *who, json_t **disks, struct err *e);

/* The same for a throw-away VM, whatever file has its name by now; its logs go, too. */
int vm_discard(struct vms *vms, const char *name, struct err *e);

#endif
