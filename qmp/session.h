/* SPDX-License-Identifier: MIT */
/*
 * qmp/session.h - one QMP connection, the client's end
 *
 * Connects, negotiates, sends calls and hands out events. Knows nothing of VMs. Every qmp_call()
 * is answered once: reply, error, timeout or close. Callbacks run from the loop only, never from
 * inside qmp_call(). A callback may call, forget or close anything.
 *
 * A session with nothing in flight has no timer and holds no buffer. Out-of-band execution is not
 * enabled: with it QEMU reads ahead, and the descriptors of pipelined commands would be mixed up.
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
	/* Bytes of one message: query-qmp-schema of 7.2 has 207,009; 4 MiB take the loop 43 to 68
	 * ms. */
	QMP_REPLY_MAX = 1 << 20,
	QMP_CALLS_MAX = 256, /* in flight */
	QMP_ASKED_MAX = 64,  /* pending events that commands may have caused */
};

struct qmp_handlers {
	/* Greeting read and qmp_capabilities accepted. */
	void (*ready)(void *data, const json_t *greeting);
	/* data: the event's "data" object or NULL, borrowed. An event may arrive before ready. */
	void (*event)(void *data, const char *name, const json_t *event_data);
	/* The connection is lost (EOF, error, protocol violation, no greeting in time). Called
	 * once; not after qmp_close(). All calls were completed before. ERR_QEMU_FAILED for a
	 * violation: of the protocol, of the limits here or of those in rate.h. The session still
	 * needs its qmp_close(). */
	void (*closed)(void *data, const struct err *e);
	/* A call timed out: QEMU hangs, or is busy with something long. Once until heard, which
	 * is called for the next reply. */
	void (*silent)(void *data, const struct err *e);
	void (*heard)(void *data);
};

/* fd: a connected, non-blocking stream socket, stolen. greeting_timeout: in seconds, until ready;
 * a monitor that is serving another client accepts the connection and sends nothing. Handlers may
 * be NULL. */
struct qmp *qmp_new(struct ev_loop *ev, int fd /* stolen */, double greeting_timeout,
	const struct qmp_handlers *h, void *data);

/* result: "return" value, borrowed, NULL on error. e: NULL on success; the text is QEMU's desc.
 * ERR_TIMEOUT: deadline passed (a late reply is dropped); ERR_UNREACHABLE: connection lost, which
 * is also a possible end of quit. */
typedef void qmp_reply_fn(void *data, const json_t *result, const struct err *e);

/* arguments may be NULL, stolen. fd >= 0 is sent with the command (SCM_RIGHTS, for getfd and
 * add-fd); it is duplicated, so borrowed only for the call. Calls made before ready are queued
 * and sent after qmp_capabilities. reply may be NULL. A command that times out before its first
 * byte was sent is never sent. */
void qmp_call(struct qmp *q, const char *command, json_t *arguments /* stolen */, int fd,
	double timeout, qmp_reply_fn *reply, void *data);

/* True if the current event may have been caused by a command of ours, and uses up one such
 * event: every command but query-* accounts for two, and at most QMP_ASKED_MAX are kept. */
bool qmp_was_asked(struct qmp *q);

/* Disconnects as for the limits of rate.h: "QEMU floods us with WHAT". From a callback. */
void qmp_give_up(struct qmp *q, const char *what);

/* Drops all callbacks of calls made with this data pointer: its owner is going away. The commands
 * are sent all the same. */
void qmp_forget(struct qmp *q, const void *data);

/* Processes pending input, from the loop, before QEMU's exit is judged: the socket may hold its
 * last messages. Calls back as the loop does. */
void qmp_take(struct qmp *q);

/* Completes what is in flight (from the loop), then frees. NULL is fine. */
void qmp_close(struct qmp *q);

bool qmp_is_ready(const struct qmp *q);
/* The oldest call in flight: its command and age in seconds, or NULL. For messages. */
const char *qmp_oldest_call(const struct qmp *q, double *age);

/* Receives events without owning the session, as QEMU jobs do. Embedded by its user. */
struct qmp_listener {
	struct qmp_listener *next;
	void (*event)(struct qmp_listener *l, const char *name, const json_t *event_data);
	/* The connection is lost or closed; the listener is already off the list. */
	void (*gone)(struct qmp_listener *l, const struct err *e);
};

void qmp_listen(struct qmp *q, struct qmp_listener *l);
/* Ignored if not on the list. Fine inside a callback. */
void qmp_unlisten(struct qmp *q, struct qmp_listener *l);

struct ev_loop *qmp_loop(const struct qmp *q);

#endif
