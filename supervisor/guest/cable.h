/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/cable.h - plugs a NIC's cable in, or pulls it, while the guest runs
 *
 * The guest sees the carrier go, and the tap is down on the host. The configuration of the process
 * tells which it is; the run record, what was under way when a daemon died.
 */
#ifndef SUPERVISOR_GUEST_CABLE_H
#define SUPERVISOR_GUEST_CABLE_H

#include "supervisor/vm/vm.h"

/* done is called once, possibly before this returns; the VM may be gone. On failure the cable is as it
 * was. nic: the id of a NIC of the process. */
typedef void cable_fn(void *data, const struct err *e);
void cable_set(struct vm *vm, const char *nic, bool up, cable_fn *done, void *data);

#endif
