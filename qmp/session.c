/* SPDX-License-Identifier: MIT */
/*
 * Everything in a session happens in qmp_take(), which the loop calls for input and for the one
 * timer: read, expire, complete, report. Other functions only set state and arm the timer.
 */
#include "qmp/session.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "qmp/session_private.h"

#define TURN_MAX \
	0.003 /* seconds into an iteration; monitors that come later are read in the next one */

enum {
	READ_SIZE = (16 << 10) - 1, /* plus the buffer's NUL a power of two */
	/* Per iteration, for a QEMU that floods; the rest waits until all other sessions were
	 * read. */
	TURN_BYTES = 64 << 10,
	TURN_MESSAGES = 64,
};

static void session_take_greeting(struct qmp *q, json_t *message)
{
	if (q->greeted) {
		session_lose(q, ERR_QEMU_FAILED, "QEMU sent a second greeting");
		return;
	}
	q->greeted = true;
	q->greeting = json_incref(message);
	session_flush(q);
}

static void session_take_event(struct qmp *q, const json_t *message)
{
	const char *name = json_string_value(json_object_get(message, "event"));
	const json_t *data = json_object_get(message, "data");

	if (!name) {
		session_lose(q, ERR_QEMU_FAILED, "QEMU sent an event without a name");
		return;
	}
	for (struct qmp_listener *l = q->listeners; l; l = q->next_listener) {
		q->next_listener = l->next;
		l->event(l, name, data);
	}
	if (q->h.event && !q->closing)
		q->h.event(q->data, name, data);
}

static void session_become_ready(struct qmp *q, const json_t *error)
{
	json_t *greeting = q->greeting;
	struct err e;

	if (error) {
		call_refused(error, &e);
		session_lose(q, ERR_QEMU_FAILED, "QEMU refused qmp_capabilities: %s", e.text);
		return;
	}
	q->ready = true;
	q->greeting = NULL;
	if (q->h.ready)
		q->h.ready(q->data, greeting);
	json_decref(greeting);
}

void qmp_give_up(struct qmp *q, const char *what)
{
	session_lose(q, ERR_QEMU_FAILED, "QEMU floods us with %s", what);
}

bool qmp_was_asked(struct qmp *q)
{
	q->was_asked = q->asked > 0;
	q->asked -= q->was_asked;
	return q->was_asked;
}

/* Ends the session of a QEMU that sends more than a healthy one would. */
static void session_count(struct qmp *q, unsigned unasked, size_t bytes)
{
	const char *what = rate_count(&q->rate, calls_now(), unasked, bytes);

	if (what)
		qmp_give_up(q, what);
}

/* An unexpected reply is no violation: it is late, or was meant for an earlier client. */
static void session_take_reply(struct qmp *q, const json_t *message)
{
	const json_t *error = json_object_get(message, "error");
	const json_t *id = json_object_get(message, "id");
	json_int_t n = json_integer_value(id);
	bool known = json_is_integer(id) && n >= 0 && n <= (json_int_t)UINT_MAX;
	struct err e = ERR_INIT;
	struct call *c;

	if (known && q->silent) {
		q->silent = false;
		if (q->h.heard)
			q->h.heard(q->data);
	}
	if (known && q->greeted && !q->ready && (unsigned)n == q->hello_id) {
		session_become_ready(q, error);
		return;
	}
	c = known ? calls_find(&q->calls, (unsigned)n) : NULL;
	if (!c) {
		session_count(q, 1, 0);
		return;
	}
	if (error) {
		call_refused(error, &e);
		session_complete(q, c, NULL, &e);
	} else {
		session_complete(q, c, json_object_get(message, "return"), NULL);
	}
}

static void session_take(struct qmp *q, json_t *message)
{
	if (json_object_get(message, "event")) {
		q->was_asked = false;
		session_take_event(q, message);
		session_count(q, !q->was_asked, 0);
	} else if (json_object_get(message, "return") || json_object_get(message, "error")) {
		session_take_reply(q, message);
	} else if (json_object_get(message, "QMP")) {
		session_take_greeting(q, message);
	} else {
		session_lose(q, ERR_QEMU_FAILED,
			"QEMU sent neither a greeting nor a reply nor an event");
	}
}

/* Processes messages that have arrived; false once this iteration's limit is reached. */
static bool session_take_messages(struct qmp *q, unsigned *messages)
{
	struct err e = ERR_INIT;
	json_t *message;

	while (q->fd >= 0) {
		if (*messages >= TURN_MESSAGES) {
			q->more = true;
			return false;
		}
		switch (codec_next(&q->in, &message, &e)) {
		case CODEC_NONE:
			return true;
		case CODEC_BAD:
			session_lose(q, ERR_QEMU_FAILED, "QEMU broke the protocol: %s", e.text);
			return false;
		case CODEC_MESSAGE:
			++*messages;
			session_take(q, message);
			json_decref(message);
			break;
		}
	}
	return false;
}

static void session_read_input(struct qmp *q)
{
	unsigned messages = 0;
	size_t bytes = 0;

	q->more = false;
	while (session_take_messages(q, &messages) && bytes < TURN_BYTES) {
		ssize_t n = recv(q->fd, codec_reserve(&q->in, READ_SIZE), READ_SIZE, MSG_DONTWAIT);
		int error = n < 0 ? errno : q->write_error;

		codec_commit(&q->in, n > 0 ? (size_t)n : 0);
		bytes += n > 0 ? (size_t)n : 0;
		session_count(q, 0, n > 0 ? (size_t)n : 0);
		if (n > 0 || (n < 0 && error == EINTR))
			continue;
		if (n < 0 && (error == EAGAIN || error == EWOULDBLOCK)) {
			if (!q->write_error)
				return;
			error = q->write_error;
		}
		if (n == 0 || error == ECONNRESET || error == EPIPE)
			session_lose(q, ERR_UNREACHABLE, "QEMU closed the monitor connection");
		else
			session_lose(q, ERR_UNREACHABLE, "monitor connection: %s", strerror(error));
	}
}

static void session_expire(struct qmp *q)
{
	double now = calls_now();
	struct call *c;

	while ((c = calls_overdue(&q->calls, now))) {
		c->outcome = CALL_EXPIRED;
		outq_drop(&q->out, c->id);
	}
	if (q->fd >= 0 && !q->ready && q->made + q->greeting_timeout <= now)
		session_lose(q, ERR_TIMEOUT,
			"no greeting from QEMU within %g s: another program uses its monitor, or it hangs",
			q->greeting_timeout);
}

static void session_tell_silence(struct qmp *q, const struct err *e)
{
	if (q->silent || q->fd < 0)
		return;
	q->silent = true;
	if (q->h.silent)
		q->h.silent(q->data, e);
}

/* Callbacks may change the list at will; calls that they make are delivered later. */
static void session_deliver(struct qmp *q)
{
	const unsigned end = q->calls.next_id;
	struct call *c;
	struct err e;
	bool expired;

	while ((c = calls_ended(&q->calls, end))) {
		err_clear(&e);
		expired = c->outcome == CALL_EXPIRED;
		call_describe(c, q->why, &e);
		session_complete(q, c, NULL, &e);
		if (expired)
			session_tell_silence(q, &e);
	}
}

static void session_tell_closed(struct qmp *q)
{
	struct err e = ERR_INIT;
	struct qmp_listener *l;

	err_set(&e, q->why_class, "%s", q->why);
	for (l = q->listeners; l; l = q->next_listener) {
		q->next_listener = l->next;
		qmp_unlisten(q, l);
		l->gone(l, &e);
	}
	if (!q->told && !q->closing && q->h.closed) {
		q->told = true;
		q->h.closed(q->data, &e);
	}
}

void qmp_take(struct qmp *q)
{
	/* before deadlines: an answer already in the socket is not late, we are */
	session_read_input(q);
	session_expire(q);
	session_deliver(q);
	if (q->fd < 0)
		session_tell_closed(q);
	if (q->closing && !q->calls.first) {
		loop_timer_stop(&q->timer);
		free(q->why);
		free(q);
		return;
	}
	session_rearm(q);
}

static void session_on_readable(struct ev_loop *ev, ev_io *w, int revents)
{
	if (loop_turn(ev) < TURN_MAX)
		qmp_take(container_of(w, struct qmp, readable));
}

static void session_on_writable(struct ev_loop *ev, ev_io *w, int revents)
{
	session_flush(container_of(w, struct qmp, writable));
}

static void session_on_timer(void *data)
{
	struct qmp *q = data;

	q->due = INFINITY;
	qmp_take(q);
}

struct qmp *qmp_new(struct ev_loop *ev, int fd /* stolen */, double greeting_timeout,
	const struct qmp_handlers *h, void *data)
{
	struct qmp *q = xcalloc(1, sizeof *q);

	q->ev = ev;
	q->fd = fd;
	q->h = *h;
	q->data = data;
	q->made = calls_now();
	q->greeting_timeout = greeting_timeout;
	q->due = INFINITY;
	calls_init(&q->calls);
	q->hello_id = calls_new_id(&q->calls);
	codec_init(&q->in, QMP_REPLY_MAX);
	session_queue_command(q, "qmp_capabilities", NULL, -1, q->hello_id);
	ev_io_init(&q->readable, session_on_readable, fd, EV_READ);
	ev_io_init(&q->writable, session_on_writable, fd, EV_WRITE);
	loop_timer_init(&q->timer, ev, session_on_timer, q);
	ev_io_start(ev, &q->readable);
	session_rearm(q);
	return q;
}

void qmp_call(struct qmp *q, const char *command, json_t *arguments /* stolen */, int fd,
	double timeout, qmp_reply_fn *reply, void *data)
{
	struct call *c = calls_add(&q->calls, command, timeout);

	c->reply = reply;
	c->data = data;
	if (strncmp(command, "query-", 6) != 0 && q->asked + 2 <= QMP_ASKED_MAX)
		q->asked += 2;
	if (q->fd < 0)
		c->outcome = CALL_LOST;
	else if (q->calls.n > QMP_CALLS_MAX)
		c->outcome = CALL_REFUSED;
	if (c->outcome != CALL_WAITS)
		json_decref(arguments);
	else if (session_queue_command(q, command, arguments, fd, c->id) < 0)
		c->outcome = CALL_NO_FD;
	session_flush(q);
	session_rearm(q);
}

void qmp_forget(struct qmp *q, const void *data)
{
	for (struct call *c = q->calls.first, *next; c; c = next) {
		next = c->next;
		if (c->data != data)
			continue;
		c->reply = NULL;
		session_complete(q, c, NULL, NULL);
	}
	session_rearm(q);
}

void qmp_close(struct qmp *q)
{
	if (!q || q->closing)
		return;
	session_lose(q, ERR_UNREACHABLE, "the connection to QEMU was closed here");
	q->closing = true;
	session_rearm(q);
}

bool qmp_is_ready(const struct qmp *q)
{
	return q->ready;
}

const char *qmp_oldest_call(const struct qmp *q, double *age)
{
	return calls_oldest(&q->calls, age);
}

void qmp_listen(struct qmp *q, struct qmp_listener *l)
{
	l->next = q->listeners;
	q->listeners = l;
}

void qmp_unlisten(struct qmp *q, struct qmp_listener *l)
{
	struct qmp_listener **at = &q->listeners;

	while (*at && *at != l)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = l->next;
	if (q->next_listener == l)
		q->next_listener = l->next;
}

struct ev_loop *qmp_loop(const struct qmp *q)
{
	return q->ev;
}
