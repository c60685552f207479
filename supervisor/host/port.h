/* SPDX-License-Identifier: MIT */
/*
 * supervisor/host/port.h - finds the process that holds a port
 *
 * Walks /proc, which takes milliseconds, so call it only once there is a conflict.
 */
#ifndef SUPERVISOR_HOST_PORT_H
#define SUPERVISOR_HOST_PORT_H

#include <stdbool.h>
#include <sys/socket.h>

enum { HOST_WHO = 64 };

/* The process that has this socket: "named (pid 7)", or "somebody". root: fd of /. */
void host_socket_holder(int root, unsigned long inode, char who[HOST_WHO]);
/* The inode of the socket in this /proc/net table that is bound to port on this address (in the
 * table's notation) or on the wildcard address; 0: none. listens: listening sockets only, in a TCP
 * table. address NULL: on the wildcard address only; address a wildcard: on any address. */
unsigned long host_port_inode(
	int root, const char *table, bool listens, const char *address, unsigned port);
/* The process whose listening socket conflicts with this IPv4 or IPv6 address, as above; "another
 * program" if the kernel does not show it. */
void host_port_holder(const struct sockaddr *at, char who[HOST_WHO]);

#endif
