/* SPDX-License-Identifier: MIT */
/*
 * qmp/calls.h - the pending commands of one session, and their outcomes
 *
 * Just a list with ids, deadlines and outcomes: it sends nothing and calls nothing back. A call
 * that ends without a reply gets an outcome, and the session delivers it later.
 */
#ifndef QMP_CALLS_H
#define QMP_CALLS_H

#include <stdbool.h>

#include "base/err.h"
#include "qmp/session.h"

enum call_outcome {
	CALL_WAITS,
	CALL_EXPIRED,
	CALL_LOST,    /* the connection is lost */
	CALL_REFUSED, /* too many in flight */
	CALL_NO_FD,
};

struct call {
	struct call *next;
	unsigned id;
	enum call_outcome outcome;
	double made, timeout; /* clock_now(); seconds */
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
/* Removes it from the list; the caller frees it. */
void calls_remove(struct calls *l, struct call *c);

/* NULL unless it is waiting for its reply. */
struct call *calls_find(const struct calls *l, unsigned id);
/* The oldest call that has ended, with an id before end. */
struct call *calls_ended(const struct calls *l, unsigned end);
/* Its command and age in seconds, or NULL. */
const char *calls_oldest(const struct calls *l, double *age);
/* A waiting call whose deadline is past at now, or NULL. */
struct call *calls_overdue(const struct calls *l, double now);
/* Marks all waiting calls as lost. */
void calls_lose(struct calls *l);

/* The next deadline; 0 if a call has ended already, INFINITY if there are none. */
double calls_due(const struct calls *l);

/* why: why the connection was lost. */
void call_describe(const struct call *c, const char *why, struct err *e);
/* Converts QEMU's error object; the class becomes ours where it says more than "failed". */
void call_refused(const json_t *error, struct err *e);

#endif
