/* SPDX-License-Identifier: MIT */
#include "qmp/agent.h"

#include <errno.h>
#include <ev.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/text.h"
#include "qmp/codec.h"

/* TURN_BYTES: read per loop iteration, since a guest that floods can send a message every few
 * bytes. */
enum { RESYNC = 0xFF, TURN_BYTES = 16 << 10, REASON_MAX = 512 };

struct agent_call {
	struct agent_call *next;
	char *command;
	struct buf line; /* the command, encoded */
	double due;	 /* clock_now() at the deadline */
	double timeout;	 /* seconds, from when it was sent */
	agent_reply_fn *reply;
	void *data;
};

struct agent {
	struct ev_loop *ev;
	int fd; /* -1: lost */
	double patience;
	ev_io readable, writable;
	struct loop_timer timer;
	struct agent_call *first, **end; /* first: the one in flight */
	unsigned n;
	struct codec in;
	struct buf out;
	json_int_t sync;
	bool asked;  /* the first call's sync was sent */
	bool synced; /* and answered: the next message is the reply */
	bool marked; /* 0xFF arrived: an answer to the sync may follow */
	bool closing;
};

/* Arms the timer for the next thing to do. */
static void agent_rearm(struct agent *a)
{
	bool now = a->closing || (a->first && (a->fd < 0 || !a->asked));
	double due = INFINITY;

	loop_timer_stop(&a->timer);
	for (const struct agent_call *c = a->first; c; c = c->next)
		due = c->due < due ? c->due : due;
	if (!now && isinf(due))
		return;
	loop_timer_start(&a->timer, now ? 0 : due - clock_now());
}

static void agent_lose(struct agent *a)
{
	ev_io_stop(a->ev, &a->readable);
	ev_io_stop(a->ev, &a->writable);
	close_fd(&a->fd);
	codec_release(&a->in);
	buf_clear(&a->out);
	agent_rearm(a);
}

static void agent_flush(struct agent *a)
{
	ssize_t n = 0;

	while (a->out.len && (n = send(a->fd, a->out.data, a->out.len, MSG_NOSIGNAL)) > 0)
		buf_drop(&a->out, (size_t)n);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		agent_lose(a);
	else if (a->out.len)
		ev_io_start(a->ev, &a->writable);
	else
		ev_io_stop(a->ev, &a->writable);
}

/* Starts the first waiting call. */
static void agent_begin(struct agent *a)
{
	uint32_t number = 0;

	if (!a->first || a->asked || a->fd < 0 || a->closing)
		return;
	(void)!getrandom(&number, sizeof number, 0);
	a->sync = number;
	a->asked = true;
	a->synced = a->marked = false;
	buf_addc(&a->out, (char)RESYNC);
	codec_command("guest-sync-delimited", json_pack("{s:I}", "id", a->sync), NULL, &a->out);
	ev_io_start(a->ev, &a->readable);
	agent_flush(a);
	agent_rearm(a);
}

/* Ends the call in flight. The next sync discards what the agent still sends for it. */
static void agent_settle(struct agent *a)
{
	a->asked = a->synced = false;
	buf_clear(&a->out);
	codec_release(&a->in);
	ev_io_stop(a->ev, &a->readable);
	ev_io_stop(a->ev, &a->writable);
}

static void agent_complete_at(
	struct agent *a, struct agent_call **at, const json_t *result, const struct err *e)
{
	struct agent_call *c = *at;

	*at = c->next;
	if (!c->next)
		a->end = at;
	a->n--;
	if (at == &a->first)
		agent_settle(a);
	if (c->reply)
		c->reply(c->data, result, e);
	free(c->command);
	buf_release(&c->line);
	free(c);
}

static void agent_complete(struct agent *a, const json_t *result, const struct err *e)
{
	agent_complete_at(a, &a->first, result, e);
}

static void agent_free(struct agent *a)
{
	loop_timer_stop(&a->timer);
	buf_release(&a->out);
	free(a);
}

static void agent_describe(const struct agent *a, const struct agent_call *c, struct err *e)
{
	if (a->fd < 0 || a->closing)
		err_set(e, ERR_UNREACHABLE, "the guest agent went away");
	else if (c != a->first || !a->asked)
		err_set(e, ERR_TIMEOUT,
			"the guest agent is busy with other commands: %s was not sent", c->command);
	else if (a->synced)
		err_set(e, ERR_TIMEOUT,
			"the guest agent did not finish %s within %g s, and may still complete it",
			c->command, c->timeout > a->patience ? c->timeout : a->patience);
	else
		err_set(e, ERR_TIMEOUT, "the guest agent does not answer: %s was not sent in %g s",
			c->command, a->patience);
	if (e->class == ERR_TIMEOUT && !(c == a->first && a->synced))
		e->number = -EBUSY;
}

/* The next call that is lost or overdue. */
static struct agent_call **agent_overdue(struct agent *a)
{
	bool lost = a->fd < 0 || a->closing;

	for (struct agent_call **at = &a->first; *at; at = &(*at)->next)
		if (lost || (*at)->due <= clock_now())
			return at;
	return NULL;
}

static void agent_on_timer(void *data)
{
	struct agent *a = data;
	struct agent_call **at;

	while ((at = agent_overdue(a))) {
		struct err e = ERR_INIT;

		agent_describe(a, *at, &e);
		agent_complete_at(a, at, NULL, &e);
	}
	if (a->closing) {
		agent_free(a);
		return;
	}
	agent_begin(a);
	agent_rearm(a);
}

/* The agent's text comes from the guest: escape it and keep it short. */
static void agent_refuse(struct agent *a, const json_t *error)
{
	const json_t *desc = json_object_get(error, "desc");
	size_t len = json_string_length(desc);
	_cleanup_(free_ptr) char *safe =
		text_escape(json_is_string(desc) ? json_string_value(desc) : "",
			len < REASON_MAX ? len : REASON_MAX, false);
	struct err e = ERR_INIT;

	err_set(&e, ERR_GUEST_REFUSED, "the guest agent refused %s: %s", a->first->command,
		*safe ? safe : "it gave no reason");
	agent_complete(a, NULL, &e);
}

static void agent_send_command(struct agent *a)
{
	a->synced = true;
	codec_release(&a->in);
	buf_add(&a->out, a->first->line.data, a->first->line.len);
	if (a->first->timeout > a->patience)
		a->first->due = clock_now() + a->first->timeout;
	agent_rearm(a);
	agent_flush(a);
}

static void agent_bad(struct agent *a, const struct err *why)
{
	struct err e = ERR_INIT;

	if (!a->synced) {
		/* stale garbage: wait for the next mark */
		a->marked = false;
		codec_release(&a->in);
		return;
	}
	err_set(&e, ERR_FAILED, "the guest agent's answer to %s: %s", a->first->command, why->text);
	agent_complete(a, NULL, &e);
}

static void agent_take(struct agent *a, const json_t *message)
{
	const json_t *result = json_object_get(message, "return");
	const json_t *error = json_object_get(message, "error");

	if (!a->synced) {
		if (json_is_integer(result) && json_integer_value(result) == a->sync)
			agent_send_command(a);
		else
			a->marked = false;
	} else if (result) {
		agent_complete(a, result, NULL);
	} else if (error) {
		agent_refuse(a, error);
	} else {
		struct err e = ERR_INIT;

		err_set(&e, ERR_FAILED, "neither a result nor an error");
		agent_bad(a, &e);
	}
}

/* Input without a resync mark, part of an answer. */
static void agent_feed(struct agent *a, const char *data, size_t len)
{
	struct err e = ERR_INIT;
	enum codec_result r = CODEC_NONE;
	json_t *message;

	codec_feed(&a->in, data, len);
	while (a->asked && (a->synced || a->marked) &&
		(r = codec_next(&a->in, &message, &e)) == CODEC_MESSAGE) {
		/* anything behind the reply is unsolicited */
		agent_take(a, message);
		json_decref(message);
	}
	if (r == CODEC_BAD && a->asked)
		agent_bad(a, &e);
}

/* While waiting for the sync: all input before a mark is stale, and each mark starts over. */
static void agent_feed_until_synced(struct agent *a, const char *data, size_t len)
{
	while (len && !a->synced && a->asked) {
		const char *mark = memchr(data, RESYNC, len);
		size_t n = mark ? (size_t)(mark - data) : len;

		if (a->marked)
			agent_feed(a, data, n);
		if (!mark || a->synced || !a->asked)
			return;
		codec_release(&a->in);
		a->marked = true;
		data += n + 1;
		len -= n + 1;
	}
}

static void agent_on_readable(struct ev_loop *ev, ev_io *w, int revents)
{
	char chunk[TURN_BYTES];
	struct agent *a = w->data;
	ssize_t n = recv(a->fd, chunk, sizeof chunk, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		agent_lose(a);
	else if (n > 0 && a->synced)
		agent_feed(a, chunk, (size_t)n);
	else if (n > 0)
		agent_feed_until_synced(a, chunk, (size_t)n);
	agent_rearm(a);
}

static void agent_on_writable(struct ev_loop *ev, ev_io *w, int revents)
{
	agent_flush(w->data);
}

struct agent *agent_new(struct ev_loop *ev, int fd /* stolen */, double patience)
{
	struct agent *a = xcalloc(1, sizeof *a);

	*a = (struct agent){ .ev = ev, .fd = fd, .end = &a->first, .patience = patience };
	codec_init(&a->in, AGENT_REPLY_MAX);
	ev_io_init(&a->readable, agent_on_readable, fd, EV_READ);
	ev_io_init(&a->writable, agent_on_writable, fd, EV_WRITE);
	loop_timer_init(&a->timer, ev, agent_on_timer, a);
	a->readable.data = a->writable.data = a;
	return a;
}

void agent_call(struct agent *a, const char *command, json_t *arguments /* stolen */,
	double timeout, agent_reply_fn *reply, void *data)
{
	struct agent_call *c = xcalloc(1, sizeof *c);

	*c = (struct agent_call){ .command = xstrdup(command),
		.line = BUF_INIT,
		.timeout = timeout,
		.due = clock_now() + (a->n < AGENT_CALLS_MAX ? a->patience : 0),
		.reply = reply,
		.data = data };
	codec_command(command, arguments, NULL, &c->line);
	*a->end = c;
	a->end = &c->next;
	a->n++;
	agent_begin(a);
	agent_rearm(a);
}

void agent_extend(struct agent *a, const void *data, double seconds)
{
	for (struct agent_call *c = a->first; c; c = c->next) {
		if (c->data != data)
			continue;
		c->timeout = seconds;
		if (c == a->first && a->synced)
			c->due = clock_now() + seconds;
	}
	agent_rearm(a);
}

void agent_forget(struct agent *a, const void *data)
{
	for (struct agent_call *c = a->first; c; c = c->next)
		if (c->data == data)
			c->reply = NULL;
}

bool agent_is_lost(const struct agent *a)
{
	return a->fd < 0;
}

void agent_close(struct agent *a)
{
	if (!a || a->closing)
		return;
	a->closing = true;
	agent_lose(a);
}
