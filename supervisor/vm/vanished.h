/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/vanished.h - state directories of VMs whose file is gone, and former names of a
 * state
 *
 * Reads the directory of VM files itself: a check sees changes before the daemon does.
 */
#ifndef SUPERVISOR_VM_VANISHED_H
#define SUPERVISOR_VM_VANISHED_H

#include <dirent.h>

#include "supervisor/vm/vms.h"

/* The next name in STATE/vms; NULL at the end, or without dir. Includes VMs that are still
 * running only if orphans is set. */
const char *vanished_next(DIR *dir, struct vms *vms, bool orphans);
json_t *vanished_names(struct vms *vms);
/* VMs whose files vanished while no daemon ran keep their addresses, MACs and DNS names. After
 * vms_adopt(). */
void vms_claim_vanished(struct vms *vms);

/* former.json: previous names of the VM's state, oldest first. */
json_t *vanished_former(const struct vm *vm);
int vanished_write_former(int states, const char *from, json_t *names, struct err *e);

#endif
