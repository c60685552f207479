/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/vanished.h - state directories of VMs whose file is gone, and the names that a state had
 *
 * The files are asked: a check reads them before the daemon takes them.
 */
#ifndef SUPERVISOR_VM_VANISHED_H
#define SUPERVISOR_VM_VANISHED_H

#include <dirent.h>

#include "supervisor/vm/vms.h"

/* The next name in STATE/vms; NULL at the end, or without dir. Those that still run are not among them but where orphans is set. */
const char *vanished_next(DIR *dir, struct vms *vms, bool orphans);
json_t *vanished_names(struct vms *vms);
/* Addresses, MACs and DNS names of VMs whose files went while no daemon ran are still theirs. After vms_adopt(). */
void vms_claim_vanished(struct vms *vms);

/* former.json: the names that a VM's state had before, the last one last. */
json_t *vanished_former(const struct vm *vm);
int vanished_write_former(int states, const char *from, json_t *names, struct err *e);

#endif
