/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/display_client.h - connections to a display, on their way to QEMU
 *
 * Until QEMU has a connection, the daemon can still refuse it with a reason.
 */
#ifndef SUPERVISOR_GUEST_DISPLAY_CLIENT_H
#define SUPERVISOR_GUEST_DISPLAY_CLIENT_H

#include "base/accept.h"
#include "supervisor/guest/relay.h"

struct vm;

struct display {
	struct vm *vm;
	int fd;
	struct acceptor acceptor;
	char *address;
	bool local;
	unsigned refs; /* the VM's own, and one per connection on its way to QEMU */
	unsigned pending, serial;
	struct relay_peers peers;
};

/* Takes over the listening fd and hands its connections to QEMU. local: it is a unix socket. */
struct display *display_serve(struct vm *vm, int fd, char *address /* stolen */, bool local);
/* Connections that are on their way are still answered. */
void display_stop(struct display *d);

#endif
