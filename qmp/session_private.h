/* SPDX-License-Identifier: MIT */
/*
 * qmp/session_private.h - the session struct, and its lower parts: connection, timer, calls
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
	double due; /* when the timer fires, INFINITY if it is off */
	int fd;	    /* -1 if the connection is lost */
	struct codec in;
	struct outq out;
	struct rate rate;
	int write_error;

	struct calls calls;
	struct qmp_listener *listeners, *next_listener;
	struct qmp_handlers h;
	void *data;

	unsigned hello_id; /* of qmp_capabilities, which is not in the list of calls */
	double made, greeting_timeout;
	json_t *greeting; /* from its arrival until ready */
	bool greeted, ready;

	char *why; /* why the connection was lost; NULL: it was not */
	enum err_class why_class;
	bool told, closing, silent;
	bool more;	/* messages left for the next iteration */
	unsigned asked; /* pending events that our commands may have caused */
	bool was_asked; /* the current event is one of those */
};

/* Arms the timer for the next thing to do. */
void session_rearm(struct qmp *q);
/* Marks the connection as lost. The consequences follow at the end of qmp_take(). */
void session_lose(struct qmp *q, enum err_class class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Sends queued output, as far as the socket takes it. */
void session_flush(struct qmp *q);
int session_queue_command(
	struct qmp *q, const char *command, json_t *arguments /* stolen */, int fd, unsigned id);
/* Calls back and frees the call. */
void session_complete(struct qmp *q, struct call *c, const json_t *result, const struct err *e);

#endif
