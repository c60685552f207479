/* SPDX-License-Identifier: MIT */
/*
 * base/accept.h - accepts connections, also when descriptors run out
 *
 * A listening socket stays readable while a connection waits that accept() cannot take (EMFILE,
 * ENFILE, ENOBUFS, ENOMEM): a plain callback would spin. Here a reserve descriptor, one for the
 * whole process, is given up for a moment to turn that client away with words; where even that
 * fails, the socket is left alone for a second. All listeners of the daemon use this.
 */
#ifndef BASE_ACCEPT_H
#define BASE_ACCEPT_H

#include <ev.h>
#include <stdbool.h>

#include "base/loop.h"

struct acceptor;

/* fd: non-blocking, CLOEXEC, stolen. Must not free the acceptor. */
typedef void acceptor_fn(struct acceptor *a, int fd);

struct acceptor {
	struct ev_loop *ev;
	ev_io io;
	struct loop_timer again;
	unsigned per_turn; /* connections taken before other work gets its turn */
	acceptor_fn *connected;
	acceptor_fn *refused; /* descriptors are short: says so and closes it */
};

/* listener: non-blocking, borrowed. Does not start. Zeroed memory may be stopped. */
void acceptor_init(struct acceptor *a, struct ev_loop *ev, int listener, unsigned per_turn,
	acceptor_fn *connected, acceptor_fn *refused);
void acceptor_start(struct acceptor *a);
void acceptor_stop(struct acceptor *a);
/* A descriptor was closed: ends the pause, if there is one. */
void acceptor_retry(struct acceptor *a);

#endif
