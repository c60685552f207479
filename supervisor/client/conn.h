/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/conn.h - one connection to vmkeepd, blocking
 *
 * Requests may be sent ahead of replies; whoever receives matches them by id. The daemon's greeting
 * is taken out here, and another protocol than ours is an error.
 */
#ifndef SUPERVISOR_CLIENT_CONN_H
#define SUPERVISOR_CLIENT_CONN_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>

#include "base/err.h"
#include "qmp/codec.h"

enum {
	CONN_REPLY_MAX = 64 << 20, /* bytes of one message of the daemon */
	CONN_IN_FLIGHT = 32,	   /* requests; the daemon drops clients beyond 64 */
};

struct conn {
	int fd;
	struct codec codec;
	json_int_t last_id;
};

#define CONN_INIT { .fd = -1 }

/* --run, VMKEEP_RUN or /run/vmkeep. */
const char *conn_run_dir(const char *option);

/* ERR_UNREACHABLE when nobody listens there, ERR_PERMISSION when we may not ask. */
int conn_open(struct conn *c, const char *run, struct err *e);
void conn_release(struct conn *c);

int conn_send(struct conn *c, const char *execute, json_t *arguments /* borrowed, may be NULL */,
	json_int_t *id, struct err *e);

enum conn_result {
	CONN_MESSAGE,
	CONN_TIMEOUT,
	CONN_INTERRUPTED, /* a signal that mask lets through came */
	CONN_FAILED,
};

/* The next message, given. timeout_ms -1: for ever. mask: of signals while it waits, or NULL. */
enum conn_result conn_receive(
	struct conn *c, int timeout_ms, const sigset_t *mask, json_t **message, struct err *e);

/* "return" of a reply, borrowed, or NULL with the error it holds. */
json_t *conn_result(const json_t *message, struct err *e);

/* One request, one result (given), or NULL. Events meanwhile are dropped. */
json_t *conn_call(
	struct conn *c, const char *execute, json_t *arguments /* borrowed */, struct err *e);

/* After the reply of a verb that streams: what came behind it. The descriptor stays ours. */
void conn_stream(struct conn *c, struct buf *first);

#endif
