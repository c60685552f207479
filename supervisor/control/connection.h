/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/connection.h - one client: input, output and requests in progress
 *
 * Knows nothing of verbs. Output is sent at the end of the loop iteration, so that many small
 * answers are one write. A connection may be closed anywhere, including from its own callbacks:
 * it is marked as closed, its descriptor and buffers are freed at once, and the rest later from
 * the loop, which also notifies its requests. An idle connection holds no buffers. Its memory is
 * charged to its user's account.
 */
#ifndef SUPERVISOR_CONTROL_CONNECTION_H
#define SUPERVISOR_CONTROL_CONNECTION_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "qmp/codec.h"
#include "supervisor/control/outbox.h"
#include "supervisor/control/peer.h"
#include "supervisor/control/request.h"
#include "supervisor/core/account.h"

struct connection;

/* All connections of a server, which embeds this. */
struct connections {
	struct ev_loop *ev;
	/* A message arrived; borrowed. */
	void (*message)(struct connections *cs, struct connection *c, const json_t *message);
	/* The connection of this pending request is about to be freed. */
	void (*orphaned)(struct request *r);
	/* A connection was closed; its descriptor is free again. */
	void (*left)(struct connections *cs);

	struct connection *first; /* open connections */
	size_t n;
	struct connection *due; /* to be flushed or freed at the end of the iteration */
	ev_idle turn;		/* at highest priority: runs even when other watchers are busy */
};

struct connection {
	struct connections *all;
	struct connection *prev, *next; /* open connections */
	struct connection *next_due;
	bool is_due;
	bool running;	 /* on the stack: it flushes itself */
	bool closed;	 /* descriptor closed, waiting to be freed */
	bool subscribed; /* wants events */
	bool once;	 /* the next event is its last */
	enum api_role role;
	unsigned in_flight;
	struct peer *peer;
	struct account *account;
	struct hold *hold;	 /* NULL: closed, or handed to a stream */
	struct request *request; /* pending requests */
	ev_io io;
	struct codec in;
	struct outbox out;
};

void connections_init(struct connections *cs, struct ev_loop *ev);
/* Closes and frees all. */
void connections_release(struct connections *cs);

/* fd: connected, non-blocking, stolen. peer: stolen. account: ref taken. */
struct connection *connection_new(struct connections *cs, int fd, struct peer *peer,
	struct account *account, enum api_role role);
/* Sets a new role, after a reload of the groups. */
void connection_set_role(struct connection *c, enum api_role role);
void connection_close(struct connection *c);
/* Sends the error if the socket takes it, then closes. */
void connection_fail(struct connection *c, const struct err *e);

/* Queues a message. Closes a client that has too much unread output; a message that is too long
 * for any client becomes an error with the same id. */
void connection_put(struct connection *c, const json_t *message);
void connection_put_line(struct connection *c, struct line *l /* ref taken */);

/* {"error": ..., "id": id}; id NULL: none. */
void connection_put_error(struct connection *c, const struct err *e, json_t *id);

/* Flushes all output, then the caller owns the descriptor, the input received after the last
 * message, and the hold on the user's account. -1: the client is gone or does not read. The
 * connection is closed in any case. */
int connection_take(struct connection *c, struct buf *leftover, struct hold **hold);

#endif
