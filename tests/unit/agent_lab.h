/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/agent_lab.h - both ends of an agent's connection in one loop: ours, and a scripted guest
 */
#ifndef TESTS_UNIT_AGENT_LAB_H
#define TESTS_UNIT_AGENT_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <ev.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/mem.h"
#include "qmp/agent.h"
#include "qmp/codec.h"
#include "tests/unit/slow.h"

#define GUARD_SECONDS stretched(30)

#define patience stretched(0.3) /* how long calls that end by their deadline take */

struct lab;

/* Answers a command as the guest; id: that of a sync, else -1. */
typedef void guest_fn(struct lab *lab, const char *command, json_int_t id);

struct lab {
	struct ev_loop *ev;
	ev_timer guard, late;
	struct agent *agent;
	int fd; /* the guest's end */
	ev_io readable, writable;
	struct codec in;
	struct buf out;
	size_t flood; /* bytes of a flood still to be sent */
	guest_fn *guest;
	unsigned commands; /* received, without syncs */
	struct buf told;   /* one entry for each callback */
	unsigned answered, wanted;
	bool inside;
};

static inline void say(struct lab *lab, const char *text)
{
	buf_adds(&lab->out, text);
	ev_io_start(lab->ev, &lab->writable);
}

static inline void say_sync(struct lab *lab, json_int_t id)
{
	char text[64];

	snprintf(text, sizeof text, "\xff{\"return\": %" JSON_INTEGER_FORMAT "}\n", id);
	say(lab, text);
}

static inline void on_guest_writable(struct ev_loop *ev, ev_io *w, int revents)
{
	static char rubbish[64 << 10];
	struct lab *lab = w->data;
	ssize_t n;

	(void)revents;
	if (lab->out.len) {
		n = send(lab->fd, lab->out.data, lab->out.len, MSG_NOSIGNAL);
		if (n > 0)
			buf_drop(&lab->out, (size_t)n);
	} else if (lab->flood) {
		memset(rubbish, 'x', sizeof rubbish);
		n = send(lab->fd, rubbish, sizeof rubbish, MSG_NOSIGNAL);
		if (n > 0)
			lab->flood -= lab->flood < (size_t)n ? lab->flood : (size_t)n;
	}
	if (!lab->out.len && !lab->flood)
		ev_io_stop(ev, w);
}

static inline void on_guest_readable(struct ev_loop *ev, ev_io *w, int revents)
{
	struct lab *lab = w->data;
	char chunk[4096];
	ssize_t n = recv(lab->fd, chunk, sizeof chunk, 0);
	json_t *message;

	(void)revents;
	if (n <= 0) {
		ev_io_stop(ev, w);
		return;
	}
	codec_feed(&lab->in, chunk, (size_t)n);
	while (codec_next(&lab->in, &message, NULL) == CODEC_MESSAGE) {
		const char *command = json_string_value(json_object_get(message, "execute"));
		const json_t *id = json_object_get(json_object_get(message, "arguments"), "id");
		bool sync = streq(command, "guest-sync-delimited");

		lab->commands += !sync;
		lab->guest(lab, command, sync ? json_integer_value(id) : -1);
		json_decref(message);
	}
}

static inline void on_guard(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev, (void)w, (void)revents;
	fail_msg("a call was never answered");
}

static inline void setup(struct lab *lab, guest_fn *guest)
{
	int pair[2];

	*lab = (struct lab){ .ev = ev_loop_new(0), .guest = guest };
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	lab->fd = pair[1];
	codec_init(&lab->in, 1 << 16);
	lab->agent = agent_new(lab->ev, pair[0], patience);
	ev_io_init(&lab->readable, on_guest_readable, lab->fd, EV_READ);
	ev_io_init(&lab->writable, on_guest_writable, lab->fd, EV_WRITE);
	ev_timer_init(&lab->guard, on_guard, GUARD_SECONDS, 0);
	lab->readable.data = lab->writable.data = lab;
	ev_io_start(lab->ev, &lab->readable);
	ev_timer_start(lab->ev, &lab->guard);
}

static inline void teardown(struct lab *lab)
{
	ev_timer_stop(lab->ev, &lab->guard);
	ev_io_stop(lab->ev, &lab->readable);
	ev_io_stop(lab->ev, &lab->writable);
	agent_close(lab->agent);
	ev_run(lab->ev, EVRUN_NOWAIT);
	ev_run(lab->ev, EVRUN_NOWAIT);
	close_fd(&lab->fd);
	codec_release(&lab->in);
	buf_release(&lab->out);
	buf_release(&lab->told);
	ev_loop_destroy(lab->ev);
}

/* Deadlines depend on VMKEEP_SLOW: replaces "0.3 s" by "N s". */
static inline void tell_error(struct buf *told, const char *text)
{
	while (*text) {
		size_t n = strspn(text, "0123456789.");

		if (n && strncmp(text + n, " s", 2) == 0)
			buf_addc(told, 'N');
		else
			buf_add(told, text, n = n ? n : 1);
		text += n;
	}
	buf_addc(told, ';');
}

static inline void on_reply(void *data, const json_t *result, const struct err *e)
{
	struct lab *lab = data;

	assert_false(lab->inside);
	assert_int_equal(result != NULL, e == NULL);
	if (e) {
		tell_error(&lab->told, e->text);
	} else {
		char *text = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);

		buf_printf(&lab->told, "%s;", text);
		free(text);
	}
	if (++lab->answered == lab->wanted)
		ev_break(lab->ev, EVBREAK_ALL);
}

static inline void call(struct lab *lab, const char *command, double timeout)
{
	lab->inside = true;
	agent_call(lab->agent, command, NULL, timeout, on_reply, lab);
	lab->inside = false;
	lab->wanted++;
}

/* Runs until all calls are answered. */
static inline void run(struct lab *lab)
{
	if (lab->answered < lab->wanted)
		ev_run(lab->ev, 0);
}

/* What the callbacks got since the last call. */
static inline void expect(struct lab *lab, const char *told)
{
	assert_string_equal(lab->told.data ? lab->told.data : "", told);
	buf_clear(&lab->told);
}

#endif
