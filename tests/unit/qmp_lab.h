/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/qmp_lab.h - a session and a scripted QEMU at both ends of a socketpair, in one loop
 *
 * The callbacks of the session's owner are logged, one entry each: "ready", "EVENT", "command={result}",
 * "command!class" or "command!class(Class:text)", "closed!class". Tests compare logs.
 */
#ifndef TESTS_UNIT_QMP_LAB_H
#define TESTS_UNIT_QMP_LAB_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ev.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/mem.h"
#include "qmp/codec.h"
#include "qmp/session.h"
#include "tests/unit/slow.h"

#define GREETING                                                                           \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, " \
	"\"package\": \"\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define OK(n) "{\"return\": {}, \"id\": $" #n "}\r\n"

#define NO(n, text) \
	"{\"id\": $" #n ", \"error\": {\"class\": \"GenericError\", \"desc\": \"" text "\"}}\r\n"
/* clang-format off */
#define HELLO { 0, GREETING }, { 1, OK(0) }
/* clang-format on */

#define LAB_SECONDS stretched(20)

enum { LAB_COMMANDS = 600, LAB_STEPS = 8 };

/* Sent when this many commands have arrived, including qmp_capabilities. "$1": the id of the first
 * one after it. The text "" closes the connection. */
struct step {
	unsigned after;
	const char *text;
};

struct peer {
	int fd;
	ev_io readable, writable;
	struct codec in;
	struct buf out;
	const struct step *steps; /* ends with a NULL text */
	size_t chunk;		  /* bytes per loop iteration, 0: all */
	size_t cut;		  /* bytes to send before it closes */
	size_t sent;
	unsigned commands;
	json_int_t ids[LAB_COMMANDS];
	void (*on_command)(struct peer *p, const json_t *command); /* replaces the steps */
	void *data;
};

struct lab {
	struct ev_loop *ev;
	ev_timer guard;
	struct peer peer;
	struct qmp *q;
	struct buf log;
	unsigned words;
	bool inside;	/* inside a function of the session that must not call back */
	bool closed;	/* qmp_close() was called */
	bool jobs_only; /* the owner's events are not logged */
	int calls, completed;
	struct lab_call *last_call;
	void (*after)(struct lab *lab, const char *word); /* called after each entry */
};

struct lab_call {
	struct lab *lab;
	char command[32];
	int completed;
};

static inline void peer_close(struct lab *lab)
{
	struct peer *p = &lab->peer;

	if (p->fd < 0)
		return;
	ev_io_stop(lab->ev, &p->readable);
	ev_io_stop(lab->ev, &p->writable);
	close_fd(&p->fd);
	codec_release(&p->in);
	buf_release(&p->out);
}

static inline struct lab *peer_lab(struct peer *p)
{
	return container_of(p, struct lab, peer);
}

static inline void peer_send(struct peer *p, const char *text)
{
	for (const char *s = text; *s; s++)
		if (s[0] == '$' && s[1] >= '0' && s[1] <= '9')
			buf_printf(&p->out, "%lld", (long long)p->ids[*++s - '0']);
		else
			buf_addc(&p->out, *s);
	if (p->out.len)
		ev_io_start(peer_lab(p)->ev, &p->writable);
}

/* Sends what the script has for the commands that have arrived. */
static inline void peer_go_on(struct peer *p)
{
	while (p->steps && p->steps->text && p->steps->after <= p->commands && p->out.len == 0) {
		const char *text = p->steps++->text;

		if (!*text) {
			peer_close(peer_lab(p));
			return;
		}
		peer_send(p, text);
	}
}

static inline void peer_on_writable(struct ev_loop *ev, ev_io *w, int revents)
{
	struct peer *p = container_of(w, struct peer, writable);
	size_t n = p->out.len;
	ssize_t sent;

	(void)revents;
	n = p->chunk && p->chunk < n ? p->chunk : n;
	n = p->cut - p->sent < n ? p->cut - p->sent : n;
	sent = n ? send(p->fd, p->out.data, n, MSG_NOSIGNAL) : 0;
	if (sent < 0 && errno == EAGAIN)
		return;
	if (sent < 0 || (p->sent += (size_t)sent) >= p->cut) {
		peer_close(peer_lab(p));
		return;
	}
	buf_drop(&p->out, (size_t)sent);
	if (p->out.len)
		return;
	ev_io_stop(ev, w);
	peer_go_on(p);
}

static inline void peer_on_readable(struct ev_loop *ev, ev_io *w, int revents)
{
	struct peer *p = container_of(w, struct peer, readable);
	struct err e = ERR_INIT;
	json_t *command;
	char in[65536];
	ssize_t n = recv(p->fd, in, sizeof in, 0);

	(void)ev, (void)revents;
	if (n <= 0) {
		peer_close(peer_lab(p));
		return;
	}
	codec_feed(&p->in, in, (size_t)n);
	while (p->fd >= 0 && codec_next(&p->in, &command, &e) == CODEC_MESSAGE) {
		assert_true(p->commands < LAB_COMMANDS);
		p->ids[p->commands++] = json_integer_value(json_object_get(command, "id"));
		if (p->on_command)
			p->on_command(p, command);
		json_decref(command);
	}
	if (e.number)
		fail_msg("the session sent what is no JSON: %s", e.text);
	if (p->fd >= 0)
		peer_go_on(p);
}

static inline void lab_word(struct lab *lab, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static inline void lab_word(struct lab *lab, const char *fmt, ...)
{
	char word[4096];
	va_list ap;

	assert_false(lab->inside);
	va_start(ap, fmt);
	vsnprintf(word, sizeof word, fmt, ap);
	va_end(ap);
	buf_printf(&lab->log, "%s%s", lab->log.len ? " " : "", word);
	lab->words++;
	if (lab->after)
		lab->after(lab, word);
}

static inline const char *lab_class(const struct err *e)
{
	static const char *const names[ERR_CLASSES] = {
		[ERR_FAILED] = "failed",
		[ERR_NOT_FOUND] = "not-found",
		[ERR_WRONG_STATE] = "wrong-state",
		[ERR_TIMEOUT] = "timeout",
		[ERR_QEMU_FAILED] = "qemu",
		[ERR_UNREACHABLE] = "unreachable",
		[ERR_NO_RESOURCES] = "no-resources",
	};

	assert_non_null(names[e->class]);
	assert_true(e->number < 0 && e->text[0]);
	return names[e->class];
}

static inline void lab_reply(void *data, const json_t *result, const struct err *e)
{
	struct lab_call *call = data;
	struct lab *lab = call->lab;
	char command[sizeof call->command];
	char *text;

	assert_int_equal(call->completed++, 0);
	lab->completed++;
	memcpy(command, call->command, sizeof command);
	free(call);
	if (e) {
		assert_null(result);
		if (strchr(e->text, ' '))
			lab_word(lab, "%s!%s", command, lab_class(e));
		else
			lab_word(lab, "%s!%s(%s)", command, lab_class(e), e->text);
	} else {
		text = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);
		assert_non_null(text);
		lab_word(lab, "%s=%s", command, strlen(text) < 100 ? text : "...");
		free(text);
	}
}

static inline void lab_call_fd(struct lab *lab, const char *command, int fd, double timeout)
{
	struct lab_call *call = xcalloc(1, sizeof *call);
	bool inside = lab->inside;

	call->lab = lab;
	snprintf(call->command, sizeof call->command, "%s", command);
	lab->calls++;
	lab->inside = true;
	qmp_call(lab->q, command, fd >= 0 ? json_pack("{s:s}", "fdname", "f") : NULL, fd, timeout,
		lab_reply, call);
	lab->inside = inside;
	lab->last_call = call;
}

/* Forgets the call made last, whose completion is not called. */
static inline void lab_forget(struct lab *lab)
{
	qmp_forget(lab->q, lab->last_call);
	qmp_forget(lab->q, lab);
	free(lab->last_call);
	lab->calls--;
}

/* commands: words of the form COMMAND or COMMAND/MILLISECONDS. */
static inline void lab_call(struct lab *lab, const char *commands)
{
	char *copy = xstrdup(commands), *left = copy, *word;

	while ((word = strsep(&left, " "))) {
		char *ms = strchr(word, '/');

		if (ms)
			*ms++ = '\0';
		if (*word)
			lab_call_fd(lab, word, -1, ms ? atoi(ms) / 1e3 : LAB_SECONDS * 2);
	}
	free(copy);
}

static inline void lab_ready(void *data, const json_t *greeting)
{
	struct lab *lab = data;

	assert_true(qmp_is_ready(lab->q));
	assert_true(json_is_object(json_object_get(greeting, "QMP")));
	lab_word(lab, "ready");
}

static inline void lab_event(void *data, const char *name, const json_t *event_data)
{
	struct lab *lab = data;

	(void)event_data;
	if (!lab->jobs_only)
		lab_word(lab, "%s", name);
}

static inline void lab_closed(void *data, const struct err *e)
{
	struct lab *lab = data;

	assert_false(qmp_is_ready(lab->q));
	lab_word(lab, "closed!%s", lab_class(e));
}

static inline void lab_on_guard(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev, (void)revents;
	fail_msg("nothing happened in %.0f s; so far: %s", LAB_SECONDS,
		container_of(w, struct lab, guard)->log.data);
}

static inline void lab_start(struct lab *lab, int session_fd, double greeting_timeout)
{
	static const struct qmp_handlers handlers = {
		.ready = lab_ready, .event = lab_event, .closed = lab_closed
	};

	ev_timer_init(&lab->guard, lab_on_guard, LAB_SECONDS, 0);
	ev_timer_start(lab->ev, &lab->guard);
	lab->q = qmp_new(lab->ev, session_fd, greeting_timeout, &handlers, lab);
}

/* With a QEMU that follows these steps. */
static inline void lab_init(struct lab *lab, const struct step *steps, size_t chunk, size_t cut,
	double greeting_timeout)
{
	int fds[2];

	*lab = (struct lab){ .ev = ev_loop_new(EVFLAG_AUTO) };
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	lab->peer.fd = fds[1];
	lab->peer.steps = steps;
	lab->peer.chunk = chunk;
	lab->peer.cut = cut;
	codec_init(&lab->peer.in, 1 << 20);
	ev_io_init(&lab->peer.readable, peer_on_readable, fds[1], EV_READ);
	ev_io_init(&lab->peer.writable, peer_on_writable, fds[1], EV_WRITE);
	ev_io_start(lab->ev, &lab->peer.readable);
	lab_start(lab, fds[0], greeting_timeout);
	if (cut == 0)
		peer_close(lab);
	else
		peer_go_on(&lab->peer);
}

static inline unsigned lab_count_words(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s != ' ' && (s[1] == ' ' || s[1] == '\0');
	return n;
}

static inline void lab_run_until(struct lab *lab, unsigned words)
{
	while (lab->words < words)
		ev_run(lab->ev, EVRUN_ONCE);
}

/* Loop iterations that do not wait. */
static inline void lab_settle(struct lab *lab)
{
	for (int i = 0; i < 8; i++)
		ev_run(lab->ev, EVRUN_NOWAIT);
}

static inline void lab_close(struct lab *lab)
{
	bool inside = lab->inside;

	if (lab->closed)
		return;
	lab->closed = lab->inside = true;
	qmp_close(lab->q);
	lab->inside = inside;
}

static inline void lab_release(struct lab *lab)
{
	lab_close(lab);
	lab_settle(lab);
	assert_int_equal(lab->completed, lab->calls);
	peer_close(lab);
	ev_timer_stop(lab->ev, &lab->guard);
	ev_loop_destroy(lab->ev);
	buf_release(&lab->log);
}

#endif
