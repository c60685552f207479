/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/change.h - what a change of a VM's files means beside the other VMs
 *
 * Before it is written: reload and check would say so afterwards. Only what the change brings counts,
 * so that other keys of a file that has such a fault can be changed.
 */
#ifndef SUPERVISOR_CHECK_CHANGE_H
#define SUPERVISOR_CHECK_CHANGE_H

#include <jansson.h>

#include "base/err.h"
#include "conf/vm.h"
#include "supervisor/api/api.h"

struct daemon;

/* Refuses what reload calls a problem: cycles of After= and Requires=, and names that nothing has; and
 * the UUID= of another VM. from: NULL: a new VM. The caller has called vms_refresh().
 * An owner does not learn which VMs others have: to whoever is no operator, only cycles matter, and their
 * VMs are not named. */
int change_check(struct daemon *d, enum api_role role, const struct conf_vm *from,
	const struct conf_vm *to, struct err *e);
/* For operators: an array of {"key", "text"}: what another VM has as well, as in check. Both may stay so,
 * if they never run at once. */
json_t *change_conflicts(
	struct daemon *d, enum api_role role, const struct conf_vm *from, const struct conf_vm *to);

#endif
