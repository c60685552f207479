/* SPDX-License-Identifier: MIT */
/*
 * qmp/calls.h - the commands of one session that are not completed yet, and how they end
 *
 * Only a list with ids, deadlines and outcomes: it sends nothing and calls nobody. A call that ends
 * otherwise than by a reply gets an outcome and waits for the session's turn.
 */
#ifndef QMP_CALLS_H
#define QMP_CALLS_H

#include <stdbool.h>

#include "base/err.h"
#include "qmp/session.h"

enum call_outcome {
	CALL_WAITS,
	CALL_EXPIRED,
	CALL_LOST,    /* the connection is gone */
	CALL_REFUSED, /* too many in flight */
	CALL_NO_FD,
};

struct call {
	struct call *next;
	unsigned id;
	enum call_outcome outcome;
	double made, timeout; /* seconds, clock_now() */
	qmp_reply_fn *reply;
	void *data;
	char command[];
};

struct calls {
	struct call *first, **end; /* oldest first */
	unsigned n, next_id;
};

double calls_now(void);

void calls_init(struct calls *l);
unsigned calls_new_id(struct calls *l);
struct call *calls_add(struct calls *l, const char *command, double timeout);
/* Takes it out of the list; the caller frees. */
void calls_remove(struct calls *l, struct call *c);

/* NULL unless it waits for its reply. */
struct call *calls_find(const struct calls *l, unsigned id);
/* The oldest that ended and has an id before end. */
struct call *calls_ended(const struct calls *l, unsigned end);
/* Its command and age in seconds, or NULL. */
const char *calls_oldest(const struct calls *l, double *age);
/* One that waits and whose deadline is over at now. */
struct call *calls_overdue(const struct calls *l, double now);
/* All that wait have lost their connection. */
void calls_lose(struct calls *l);

/* When the next deadline is over; 0 when a call has ended already, INFINITY when there is none. */
double calls_due(const struct calls *l);

/* why: what became of the connection. */
void call_describe(const struct call *c, const char *why, struct err *e);
/* QEMU's error object, in our words where its class says more than "failed". */
void call_refused(const json_t *error, struct err *e);

#endif
