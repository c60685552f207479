/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/relay.h - a TCP client of a guest's screen, kept outside of the guest's jail
 *
 * Each gets a process, vmkeep-jail in its role "relay", which alone has the TCP connection; QEMU
 * has one end of a socket pair. The process belongs to nobody: a new daemon need not know of it.
 * What counts it is a lock on a byte of RUN/vms/NAME/relays that its descriptor holds, so the
 * kernel keeps the count.
 */
#ifndef SUPERVISOR_GUEST_RELAY_H
#define SUPERVISOR_GUEST_RELAY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct vm;

enum { RELAYS_MAX = 32, RELAYS_PER_PEER = 8 }; /* of one VM */

struct relay_peer {
	bool known, is_user;
	uint32_t who[4]; /* an uid, or an address */
};

/* Who has which slot, as far as this daemon gave it. */
struct relay_peers {
	struct relay_peer slot[RELAYS_MAX];
};

/* client: the accepted connection, borrowed. Returns the descriptor for QEMU, or -errno with words
 * for the client. done is called once the process stands or has failed, which is logged. */
int relay_start(struct vm *vm, struct relay_peers *peers, int client, void (*done)(void *data),
	void *data, struct err *e);

/* relay_peer.c */
struct relay_peer relay_peer(int client);
bool relay_peer_same(const struct relay_peer *a, const struct relay_peer *b);

#endif
