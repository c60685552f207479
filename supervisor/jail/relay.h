/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/relay.h - copies bytes between a TCP client and QEMU's socketpair
 *
 * The only process that holds a socket of the host's network on behalf of a guest. It does not
 * interpret what it copies, has nothing else open, and may make only the system calls listed in
 * relay.c. One process per connection.
 */
#ifndef SUPERVISOR_JAIL_RELAY_H
#define SUPERVISOR_JAIL_RELAY_H

enum {
	RELAY_CLIENT, /* fd 0: the TCP connection */
	RELAY_QEMU,   /* fd 1: one end of the socketpair */
	RELAY_ENDS,
	RELAY_SLOT =
		RELAY_ENDS, /* fd 2: holds the lock that counts this relay, see guest/relay.c */
	RELAY_FDS,
	RELAY_BUFFER = 64 << 10, /* bytes in flight, per direction */
	RELAY_LINGER = 10,	 /* seconds from EOF in one direction to exit */
	RELAY_STALL = 20, /* seconds that QEMU may accept nothing while its buffers are full */
};

/* Leaves a daemonized process behind and returns the caller's exit status. */
struct jail;
int relay_run(struct jail *j);

#endif
