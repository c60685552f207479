/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/connection.h - one client: bytes in and out, requests under way
 *
 * Knows nothing of verbs. What is put into a connection goes out at the end of the turn, so that
 * many small answers are one write. A connection may be closed anywhere, also from its own
 * callbacks: it is marked, its descriptor and buffers go at once, and it is freed later from the
 * loop, where its requests learn of it. An idle one holds no buffers. What it holds is counted
 * against its user's account.
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

/* All connections of a server; it embeds this. */
struct connections {
	struct ev_loop *ev;
	/* A message came; borrowed. */
	void (*message)(struct connections *cs, struct connection *c, const json_t *message);
	/* The connection of this request, which is still under way, is about to be freed. */
	void (*orphaned)(struct request *r);
	/* One left; its descriptor is free again. */
	void (*left)(struct connections *cs);

	struct connection *first; /* open ones */
	size_t n;
	struct connection *due; /* to be flushed or freed when the turn ends */
	ev_idle turn;		/* at highest priority: runs although others are busy */
};

struct connection {
	struct connections *all;
	struct connection *prev, *next; /* open ones */
	struct connection *next_due;
	bool is_due;
	bool running;	 /* on the stack: it flushes itself */
	bool closed;	 /* descriptor gone, waiting to be freed */
	bool subscribed; /* wants events */
	bool once;	 /* the next event is its last */
	enum api_role role;
	unsigned in_flight;
	struct peer *peer;
	struct account *account;
	struct hold *hold;	 /* NULL: closed, or a stream's by now */
	struct request *request; /* under way */
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
/* Its user's groups have another role now. */
void connection_set_role(struct connection *c, enum api_role role);
void connection_close(struct connection *c);
/* Says why, as far as the socket takes it, then closes. */
void connection_fail(struct connection *c, const struct err *e);

/* Puts a message out. A client that has too much to read already is closed; a message that is too
 * long for any becomes an error with the same id. */
void connection_put(struct connection *c, const json_t *message);
void connection_put_line(struct connection *c, struct line *l /* ref taken */);

/* {"error": ..., "id": id}; id NULL: none. */
void connection_put_error(struct connection *c, const struct err *e, json_t *id);

/* Everything out, then the descriptor is the caller's, with what came in behind the last message and
 * with the hold of the user's account. -1: the client is gone or does not read. The connection is
 * closed in any case. */
int connection_take(struct connection *c, struct buf *leftover, struct hold **hold);

#endif
