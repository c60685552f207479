/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/conn.h - one blocking connection to vmkeepd
 *
 * Requests may be pipelined; the receiver matches replies by id. The daemon's greeting is
 * consumed here, and a different protocol version is an error.
 */
#ifndef SUPERVISOR_CLIENT_CONN_H
#define SUPERVISOR_CLIENT_CONN_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>

#include "base/err.h"
#include "qmp/codec.h"

enum {
	CONN_REPLY_MAX = 64 << 20, /* bytes of one message from the daemon */
	CONN_IN_FLIGHT = 32,	   /* requests; the daemon drops clients beyond 64 */
};

struct conn {
	int fd;
	struct codec codec;
	json_int_t last_id;
};

#define CONN_INIT    { .fd = -1 }
#define CONN_RUN_DIR "/run/vmkeep"

/* --run, VMKEEP_RUN or /run/vmkeep. */
const char *conn_run_dir(const char *option);

/* ERR_UNREACHABLE if nothing listens there, ERR_PERMISSION if we may not connect. */
int conn_open(struct conn *c, const char *run, struct err *e);
void conn_release(struct conn *c);

int conn_send(struct conn *c, const char *execute, json_t *arguments /* borrowed, may be NULL */,
	json_int_t *id, struct err *e);

enum conn_result {
	CONN_MESSAGE,
	CONN_TIMEOUT,
	CONN_INTERRUPTED, /* by a signal that mask unblocks */
	CONN_FAILED,
};

/* The next message, owned by the caller. timeout_ms -1: no timeout. mask: signal mask during the
 * wait, or NULL. */
enum conn_result conn_receive(
	struct conn *c, int timeout_ms, const sigset_t *mask, json_t **message, struct err *e);

/* "return" of a reply, borrowed, or NULL with its error. */
json_t *conn_result(const json_t *message, struct err *e);

/* One request, one result (owned by the caller), or NULL. Events in between are dropped. */
json_t *conn_call(
	struct conn *c, const char *execute, json_t *arguments /* borrowed */, struct err *e);

/* After the reply of a streaming verb: the bytes received after it. The descriptor stays ours. */
void conn_stream(struct conn *c, struct buf *first);

#endif
