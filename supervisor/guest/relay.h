/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/relay.h - relays a TCP client of a guest's screen, outside the guest's jail
 *
 * Each client gets a process, vmkeep-jail in its role "relay", which alone holds the TCP
 * connection; QEMU holds one end of a socket pair. The process is not tracked: a new daemon need
 * not know about it. Relays are counted by a lock on one byte of RUN/vms/NAME/relays, held through
 * the process's fd, so the kernel keeps the count.
 */
#ifndef SUPERVISOR_GUEST_RELAY_H
#define SUPERVISOR_GUEST_RELAY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct vm;

enum { RELAYS_MAX = 32, RELAYS_PER_PEER = 8 }; /* per VM */

struct relay_peer {
	bool known, is_user;
	uint32_t who[4]; /* a uid or an address */
};

/* The peer in each slot, for slots that this daemon assigned. */
struct relay_peers {
	struct relay_peer slot[RELAYS_MAX];
};

/* client: the accepted connection, borrowed. Returns the fd for QEMU, or -errno with a text for the
 * client. done is called once the process is up or has failed; a failure is logged. */
int relay_start(struct vm *vm, struct relay_peers *peers, int client, void (*done)(void *data),
	void *data, struct err *e);

/* relay_peer.c */
struct relay_peer relay_peer(int client);
bool relay_peer_same(const struct relay_peer *a, const struct relay_peer *b);

#endif
