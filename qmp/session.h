/* SPDX-License-Identifier: MIT */
/*
 * qmp/session.h - one QMP connection, the client's end
 *
 * Connects, negotiates, sends calls and hands out events. Knows nothing of VMs.
 * Every qmp_call() is answered once: reply, error, timeout or close. Callbacks run from the loop only,
 * never from inside qmp_call(). A callback may call, forget or close anything.
 *
 * A session with nothing in flight has no timer and holds no buffer. Out-of-band execution is not
 * asked for: with it QEMU reads ahead, and descriptors of pipelined commands would mix.
 */
#ifndef QMP_SESSION_H
#define QMP_SESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct ev_loop;
struct qmp;

enum {
	/* Bytes of one message: query-qmp-schema of 7.2 has 207,009; 4 MiB take the loop 43 to 68 ms. */
	QMP_REPLY_MAX = 1 << 20,
	QMP_CALLS_MAX = 256, /* in flight */
	QMP_ASKED_MAX = 64,  /* events that commands may have brought about */
};

struct qmp_handlers {
	/* Greeting read and qmp_capabilities accepted. */
	void (*ready)(void *data, const json_t *greeting);
	/* data: the event's "data" object or NULL, borrowed. An event may come before ready. */
	void (*event)(void *data, const char *name, const json_t *event_data);
	/* The connection is gone (EOF, error, protocol breach, no greeting in time). Once; not
	 * after qmp_close(). All calls were completed before. ERR_QEMU_FAILED for a breach: of the
	 * protocol, of the limits here or of those in rate.h. The session still wants its
	 * qmp_close(). */
	void (*closed)(void *data, const struct err *e);
	/* A call's time passed without an answer: QEMU hangs, or works at something long. Once,
	 * until heard: the first reply after that. */
	void (*silent)(void *data, const struct err *e);
	void (*heard)(void *data);
};

/* fd: a connected, non-blocking stream socket, stolen. greeting_timeout in seconds, until ready: a
 * monitor that serves somebody else accepts and then says nothing. Handlers may be NULL. */
struct qmp *qmp_new(struct ev_loop *ev, int fd /* stolen */, double greeting_timeout,
	const struct qmp_handlers *h, void *data);

/* result: "return" value, borrowed, NULL on error. e: NULL on success; text is QEMU's desc; ERR_TIMEOUT
 * when the deadline passed (a late reply is dropped), ERR_UNREACHABLE when the connection went: also what
 * quit may end with. */
typedef void qmp_reply_fn(void *data, const json_t *result, const struct err *e);

/* arguments may be NULL, stolen. fd >= 0 travels with the command (SCM_RIGHTS, for getfd and
 * add-fd), borrowed for the call only: it is duplicated. Calls made before ready are kept and sent behind
 * qmp_capabilities. reply may be NULL. A command whose time is over before its first byte went out is
 * never sent. */
void qmp_call(struct qmp *q, const char *command, json_t *arguments /* stolen */, int fd,
	double timeout, qmp_reply_fn *reply, void *data);

/* Was something sent that may bring about an event? Then that one is used up: each command that is no
 * query stands for two events, and not more than QMP_ASKED_MAX are kept. */
bool qmp_was_asked(struct qmp *q);

/* Loses the connection as the limits of rate.h do: "QEMU floods us with WHAT". From a callback. */
void qmp_give_up(struct qmp *q, const char *what);

/* Drops all callbacks of calls made with this data pointer: its owner goes away. The commands are
 * sent all the same. */
void qmp_forget(struct qmp *q, const void *data);

/* Takes what has come, from the loop, before QEMU's end is judged: the socket may hold its last words.
 * Calls back as the loop does. */
void qmp_take(struct qmp *q);

/* Completes what is in flight (from the loop), then frees. NULL is fine. */
void qmp_close(struct qmp *q);

bool qmp_is_ready(const struct qmp *q);
/* The oldest call in flight: its command and age in seconds, or NULL. For messages. */
const char *qmp_oldest_call(const struct qmp *q, double *age);

/* Who follows events without being the session's owner, as QEMU jobs do. Embedded by its user. */
struct qmp_listener {
	struct qmp_listener *next;
	void (*event)(struct qmp_listener *l, const char *name, const json_t *event_data);
	/* The connection is gone or closed; the listener is off the list already. */
	void (*gone)(struct qmp_listener *l, const struct err *e);
};

void qmp_listen(struct qmp *q, struct qmp_listener *l);
/* One that is not on the list is ignored. Fine inside a callback. */
void qmp_unlisten(struct qmp *q, struct qmp_listener *l);

struct ev_loop *qmp_loop(const struct qmp *q);

#endif
