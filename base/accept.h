/* SPDX-License-Identifier: MIT */
/*
 * base/accept.h - accepts connections, also when out of file descriptors
 *
 * A listening socket stays readable while accept() fails with EMFILE, ENFILE, ENOBUFS or ENOMEM,
 * so a plain callback would spin. Instead, one spare descriptor per process is closed for a
 * moment to accept that client and refuse it with an error message. If even that fails, the
 * socket is not polled for a second. All listeners of the daemon use this.
 */
#ifndef BASE_ACCEPT_H
#define BASE_ACCEPT_H

#include <ev.h>
#include <stdbool.h>

#include "base/loop.h"

struct acceptor;

/* fd: non-blocking, CLOEXEC, owned by the callee. Must not free the acceptor. */
typedef void acceptor_fn(struct acceptor *a, int fd);

struct acceptor {
	struct ev_loop *ev;
	ev_io io;
	struct loop_timer again;
	unsigned per_turn; /* connections accepted per loop iteration */
	acceptor_fn *connected;
	acceptor_fn *refused; /* out of descriptors: sends an error and closes fd */
};

/* listener: non-blocking, borrowed. Does not start it. A zeroed acceptor may be stopped. */
void acceptor_init(struct acceptor *a, struct ev_loop *ev, int listener, unsigned per_turn,
	acceptor_fn *connected, acceptor_fn *refused);
void acceptor_start(struct acceptor *a);
void acceptor_stop(struct acceptor *a);
/* Call when a descriptor was closed: ends the pause, if any. */
void acceptor_retry(struct acceptor *a);

#endif
