/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/relay.h - copies bytes between a TCP client and its end of QEMU's socket pair
 *
 * The only process that holds a socket of the host's network on behalf of a guest. It knows nothing
 * of what it copies, has nothing else open, and may call only what relay.c lists. One per
 * connection.
 */
#ifndef SUPERVISOR_JAIL_RELAY_H
#define SUPERVISOR_JAIL_RELAY_H

enum {
	RELAY_CLIENT, /* descriptor 0: the TCP connection */
	RELAY_QEMU,   /* descriptor 1: one end of the socket pair */
	RELAY_ENDS,
	RELAY_SLOT =
		RELAY_ENDS, /* descriptor 2: holds the lock that counts it, see guest/relay.c */
	RELAY_FDS,
	RELAY_BUFFER = 64 << 10, /* bytes on their way, in each direction */
	RELAY_LINGER = 10, /* seconds from the end of one direction to the end of the process */
	RELAY_STALL = 20,  /* seconds in which QEMU takes nothing although its buffers are full */
};

/* Leaves a process of its own behind, which belongs to nobody, and returns the caller's exit
 * status. */
int relay_run(void);

#endif
