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

struct daemon;

/* Refuses what reload calls a problem: cycles of After= and Requires=, and names that nothing has; and
 * the UUID= of another VM. from: NULL: a new VM. The caller has called vms_refresh(). */
int change_check(
	struct daemon *d, const struct conf_vm *from, const struct conf_vm *to, struct err *e);
/* An array of {"key", "text"}: what another VM has as well, as in check. Both may stay so, if they never
 * run at once. */
json_t *change_conflicts(struct daemon *d, const struct conf_vm *from, const struct conf_vm *to);

#endif
