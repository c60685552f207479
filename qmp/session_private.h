/* SPDX-License-Identifier: MIT */
/*
 * qmp/session_private.h - what a session is, and what is under it: the connection, its timer, its calls
 */
#ifndef QMP_SESSION_PRIVATE_H
#define QMP_SESSION_PRIVATE_H

#include <ev.h>

#include "base/loop.h"
#include "qmp/calls.h"
#include "qmp/codec.h"
#include "qmp/outq.h"
#include "qmp/rate.h"
#include "qmp/session.h"

struct qmp {
	struct ev_loop *ev;
	ev_io readable, writable;
	struct loop_timer timer;
	double due; /* when the timer fires, INFINITY when it is off */
	int fd;	    /* -1 when the connection is gone */
	struct codec in;
	struct outq out;
	struct rate rate;
	int write_error;

	struct calls calls;
	struct qmp_listener *listeners, *next_listener;
	struct qmp_handlers h;
	void *data;

	unsigned hello_id; /* of qmp_capabilities, which is no call in the list */
	double made, greeting_timeout;
	json_t *greeting; /* from its arrival until ready */
	bool greeted, ready;

	char *why; /* the connection is gone */
	enum err_class why_class;
	bool told, closing, silent;
	bool more;	/* messages are left that this turn did not take */
	unsigned asked; /* events that our commands may bring about */
	bool was_asked; /* the one in hand is one of those */
};

/* Sets the timer to when there is something to do. */
void session_rearm(struct qmp *q);
/* The connection is gone. What follows from it is done at the end of the turn. */
void session_lose(struct qmp *q, enum err_class class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Sends what waits, as far as the socket takes it. */
void session_flush(struct qmp *q);
int session_queue_command(
	struct qmp *q, const char *command, json_t *arguments /* stolen */, int fd, unsigned id);
/* Calls back, and forgets the call. */
void session_complete(struct qmp *q, struct call *c, const json_t *result, const struct err *e);

#endif
