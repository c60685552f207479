/* SPDX-License-Identifier: MIT */
/*
 * supervisor/host/port.h - who has a port
 *
 * Walks /proc, which takes milliseconds: only after a conflict is certain.
 */
#ifndef SUPERVISOR_HOST_PORT_H
#define SUPERVISOR_HOST_PORT_H

#include <stdbool.h>
#include <sys/socket.h>

enum { HOST_WHO = 64 };

/* The process with this socket: "named (pid 7)", or "somebody". root: descriptor of /. */
void host_socket_holder(int root, unsigned long inode, char who[HOST_WHO]);
/* The socket in this table of /proc/net that has the port, on this address (as the table writes it) or on all; 0: none.
 * listens: one that does, in a table of TCP; address NULL: on all only. */
unsigned long host_port_inode(
	int root, const char *table, bool listens, const char *address, unsigned port);
/* Who listens where nobody else can listen on this IPv4 or IPv6 address: the same, or "another program" where
 * the kernel does not tell. */
void host_port_holder(const struct sockaddr *at, char who[HOST_WHO]);

#endif
