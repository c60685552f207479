/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/display.h - access to a guest's screen
 *
 * QEMU has no VNC listener. The daemon listens (RUN/vms/NAME/vnc.sock, or TCP as configured) and
 * passes each connection to QEMU with getfd and add_client; for TCP it passes only one end of a
 * socket pair, see relay.h. So there are no port clashes inside QEMU, the peer of each connection
 * is known, and no host networking is exposed to the jail.
 */
#ifndef SUPERVISOR_GUEST_DISPLAY_H
#define SUPERVISOR_GUEST_DISPLAY_H

#include "base/err.h"

struct conf_problems;
struct vms;

/* Retries for all VMs that were adopted without their display; what still fails is reported in
 * p. */
void displays_restore(struct vms *vms, struct conf_problems *p);

#endif
