/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/display.h - the ways to a guest's screen
 *
 * QEMU has no VNC listener: the daemon listens (RUN/vms/NAME/vnc.sock, or TCP as configured) and hands
 * each connection over by getfd and add_client; of a TCP one only the end of a socket pair, see relay.h.
 * So no port clashes inside QEMU, each connection has a known peer, and nothing of the host's network is
 * in the jail.
 */
#ifndef SUPERVISOR_GUEST_DISPLAY_H
#define SUPERVISOR_GUEST_DISPLAY_H

#include "base/err.h"

struct conf_problems;
struct vm;
struct vms;

/* Where a VM was taken back without its display, tries again, for all; what is still not to be had is told in p. */
void displays_restore(struct vms *vms, struct conf_problems *p);
/* "127.0.0.1:5900" or the socket's path; NULL: none. */
const char *display_address(const struct vm *vm);

#endif
