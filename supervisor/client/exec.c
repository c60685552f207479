/* SPDX-License-Identifier: MIT */
#include "supervisor/client/exec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/client/conn.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/print.h"
#include "supervisor/client/terminal.h"

enum {
	HEAD = 5,
	PIECE = 32 << 10, /* bytes of one frame of input */
	COMPLAINT_MAX = 1024,
	GOES_ON = 256, /* not an exit code */
	SIGNALS = 2,   /* are passed on */
};

struct output {
	int fd;
	bool tty;
	struct buf held; /* an incomplete character */
};

struct stream {
	const struct exec *x;
	struct conn conn;
	const sigset_t *mask; /* while waiting */
	struct buf from;
	struct output out, err;
	int in;		   /* -1: has ended */
	bool wanted;	   /* the daemon waits for input */
	int first, passed; /* signals: before it began, and those that it was told of */
};

static int exec_send(struct stream *s, char type, const void *data, size_t len, struct err *e)
{
	uint32_t size = htonl((uint32_t)len);
	struct buf b = BUF_INIT;
	int r;

	buf_addc(&b, type);
	buf_add(&b, &size, sizeof size);
	buf_add(&b, data, len);
	r = file_write_all(s->conn.fd, b.data, b.len);
	buf_release(&b);
	/* if it left, why is still to be read */
	if (r == 0 || r == -EPIPE || r == -ECONNRESET)
		return 0;
	errno = -r;
	return err_errno(e, "write to vmkeepd");
}

/* The first one ends the command politely, the second one does not, and the third one ends us: a
 * guest that is paused, or does as it likes, may never answer. */
static int exec_pass_signals(struct stream *s, struct err *e)
{
	sigset_t blocked;

	/* ppoll() delivers none while there is always something to read */
	sigprocmask(SIG_SETMASK, s->mask, &blocked);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	if (terminal_signal() == SIGHUP)
		return err_set(e, ERR_FAILED, "the terminal is gone: the command is ended");
	if (terminal_signals() - s->first > SIGNALS)
		return err_set(
			e, ERR_FAILED, "interrupted: the guest ends the command when it can");
	while (s->passed < terminal_signals())
		if (exec_send(s, 's', s->passed++ > s->first ? "KILL" : "TERM", 4, e) < 0)
			return e->number;
	return 0;
}

/* --- what the guest wrote --- */

/* No more than a pipe takes at once, so that signals are heard while its reader is slow. */
static int exec_write(struct stream *s, int fd, const struct buf *b, struct err *e)
{
	for (size_t done = 0; done < b->len;) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		size_t len = b->len - done < PIPE_BUF ? b->len - done : PIPE_BUF;
		int r;

		bool ready = ppoll(&p, 1, NULL, s->mask) >= 0;

		r = exec_pass_signals(s, e);
		if (r < 0)
			return r;
		if (!ready)
			continue;
		r = file_write_all(fd, b->data + done, len);
		if (r < 0) {
			errno = -r;
			return err_errno(e, "write what the guest wrote");
		}
		done += len;
	}
	return 0;
}

/* On a terminal the guest's bytes are escaped. */
static int exec_put(
	struct stream *s, struct output *o, const char *data, size_t len, bool end, struct err *e)
{
	_cleanup_(buf_release) struct buf shown = BUF_INIT;

	if (o->fd < 0)
		return 0;
	buf_add(o->tty ? &o->held : &shown, data, len);
	if (o->tty)
		print_bytes(&o->held, end, &shown);
	return exec_write(s, o->fd, &shown, e);
}

static int exec_ended(struct stream *s, const char *text, size_t len, struct err *e)
{
	json_auto_t *end = json_loadb(text, len, 0, NULL);
	const json_t *error = json_object_get(end, "error"), *code = json_object_get(end, "exit");
	json_int_t exit_code = json_integer_value(code);

	if (exec_put(s, &s->out, "", 0, true, e) < 0 || exec_put(s, &s->err, "", 0, true, e) < 0)
		return e->number;
	if (error)
		return errors_from_json(error, e);
	if (!json_is_integer(code) || exit_code < 0 || exit_code >= GOES_ON)
		return err_set(e, ERR_FAILED, "vmkeepd sent neither an exit code nor an error");
	return (int)exit_code;
}

static int exec_frame(struct stream *s, char type, const char *data, size_t len, struct err *e)
{
	struct buf *complaint = s->x->complaint;
	int r = 0;

	switch (type) {
	case 'o':
		r = exec_put(s, &s->out, data, len, false, e);
		break;
	case 'e':
		if (complaint && complaint->len < COMPLAINT_MAX)
			buf_add(complaint, data, len < COMPLAINT_MAX ? len : COMPLAINT_MAX);
		r = exec_put(s, &s->err, data, len, false, e);
		break;
	case 'i':
		s->wanted = true;
		break;
	case 'x':
		return exec_ended(s, data, len, e);
	default:
		break; /* of a newer daemon */
	}
	return r < 0 ? r : GOES_ON;
}

static int exec_take_frames(struct stream *s, struct err *e)
{
	int r = GOES_ON;

	while (r == GOES_ON && s->from.len >= HEAD) {
		uint32_t size;

		memcpy(&size, s->from.data + 1, sizeof size);
		size = ntohl(size);
		if (size > CONN_REPLY_MAX)
			return err_set(e, ERR_FAILED, "vmkeepd sent a frame of %u bytes", size);
		if (s->from.len < HEAD + size)
			break;
		r = exec_frame(s, s->from.data[0], s->from.data + HEAD, size, e);
		buf_drop(&s->from, HEAD + size);
	}
	return r;
}

static int exec_read(struct stream *s, struct err *e)
{
	char chunk[PIECE];
	ssize_t n = read(s->conn.fd, chunk, sizeof chunk);

	if (n > 0) {
		buf_add(&s->from, chunk, (size_t)n);
		return exec_take_frames(s, e);
	}
	if (n < 0 && errno == EINTR)
		return GOES_ON;
	return err_set(e, ERR_UNREACHABLE,
		"vmkeepd closed the connection: the guest ends the command within a minute");
}

/* --- input --- */

static int exec_read_input(struct stream *s, struct err *e)
{
	char chunk[PIECE];
	ssize_t n = read(s->in, chunk, sizeof chunk);

	if (n < 0 && errno == EINTR)
		return 0;
	if (n < 0)
		return err_errno(e, "read the input");
	s->wanted = false;
	if (n == 0)
		s->in = -1;
	return exec_send(s, 'i', chunk, (size_t)n, e);
}

static int exec_turn(struct stream *s, struct err *e)
{
	/* clang-format off */
	struct pollfd p[2] = {
		{ .fd = s->conn.fd, .events = POLLIN },
		{ .fd = s->wanted ? s->in : -1, .events = POLLIN },
	};
	/* clang-format on */
	bool ready;
	int r;

	if (s->wanted && s->in < 0) {
		s->wanted = false;
		r = exec_send(s, 'i', NULL, 0, e);
		if (r < 0)
			return r;
	}
	ready = ppoll(p, 2, NULL, s->mask) >= 0;
	r = exec_pass_signals(s, e);
	if (r < 0)
		return r;
	if (!ready)
		return GOES_ON;
	r = p[1].revents ? exec_read_input(s, e) : 0;
	if (r < 0)
		return r;
	return p[0].revents ? exec_read(s, e) : GOES_ON;
}

int exec_stream(const struct exec *x, struct err *e)
{
	struct stream s = {
		.x = x,
		.conn = CONN_INIT,
		.in = x->in,
		.out = { .fd = x->out, .tty = x->out >= 0 && isatty(x->out) },
		.err = { .fd = x->err, .tty = x->err >= 0 && isatty(x->err) },
	};
	json_t *result;
	int r;

	r = conn_open(&s.conn, x->run, e);
	if (r < 0)
		return r;
	s.mask = terminal_catch(true);
	s.first = s.passed = terminal_signals();
	result = conn_call(&s.conn, x->execute, x->arguments, e);
	r = result ? GOES_ON : e->number;
	json_decref(result);
	if (r == GOES_ON) {
		conn_stream(&s.conn, &s.from);
		r = exec_take_frames(&s, e);
	}
	while (r == GOES_ON)
		r = exec_turn(&s, e);
	conn_release(&s.conn);
	buf_release(&s.from);
	buf_release(&s.out.held);
	buf_release(&s.err.held);
	return r;
}

int exec_command(const char *run, const char *vm, json_t *words, const json_t *timeout, int in,
	int out, int err, struct err *e)
{
	json_auto_t *arguments =
		json_pack("{s:s, s:O, s:b}", "name", vm, "command", words, "stream", 1);
	struct exec x = { .run = run,
		.execute = "guest-exec",
		.arguments = arguments,
		.in = in,
		.out = out,
		.err = err };

	if (timeout)
		json_object_set(arguments, "timeout", (json_t *)(uintptr_t)timeout);
	return exec_stream(&x, e);
}
