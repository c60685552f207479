/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/relay.h - a TCP client of a guest's screen, kept outside of the guest's jail
 *
 * Each gets a process, vmkeep-jail in its role "relay", which alone has the TCP connection; QEMU
 * has one end of a socket pair. The process belongs to nobody: a new daemon need not know of it.
 * What counts it is a lock on a byte of RUN/vms/NAME/relays that its descriptor holds, so the
 * kernel keeps the count.
 */
#ifndef SUPERVISOR_VM_RELAY_H
#define SUPERVISOR_VM_RELAY_H

#include <netinet/in.h>

#include "base/err.h"

struct vm;

enum { RELAYS_MAX = 32, RELAYS_PER_ADDRESS = 16 }; /* of one VM */

/* Who has which slot, as far as this daemon gave it. */
struct relay_peers {
	struct in6_addr address[RELAYS_MAX];
};

/* client: the accepted connection, borrowed. Returns the descriptor for QEMU, or -errno with words
 * for the client. done is called once the process stands or has failed, which is logged. */
int relay_start(struct vm *vm, struct relay_peers *peers, int client, void (*done)(void *data),
	void *data, struct err *e);

#endif
