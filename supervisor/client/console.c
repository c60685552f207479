/* SPDX-License-Identifier: MIT */
/* vmkeep console: connects the terminal to a guest's serial port, byte by byte. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/keys.h"
#include "supervisor/client/terminal.h"
#include "supervisor/client/value.h"

enum {
	CHUNK = 64 << 10,
	TYPED_MAX = 1 << 20, /* pending bytes for a guest that does not read */
	CTRL_C = 3,
};

enum ending {
	GOES_ON,
	LEFT,	      /* by the keys */
	DISCONNECTED, /* by the daemon */
	SIGNALLED,
	NO_READER, /* on our stdout */
};

struct console {
	struct command *c;
	const char *name;
	bool raw;   /* stdin is a terminal, in raw mode */
	bool watch; /* input is not sent */
	bool input; /* stdin is read and has not ended */
	struct keys keys;
	struct buf typed; /* input for the guest */
};

static enum ending console_from_guest(struct console *s)
{
	static char chunk[CHUNK];
	ssize_t n = recv(s->c->conn.fd, chunk, sizeof chunk, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return DISCONNECTED;
	if (n > 0) {
		buf_add(&s->c->out, chunk, (size_t)n);
		command_flush(s->c);
	}
	return GOES_ON;
}

static enum ending console_to_guest(struct console *s)
{
	ssize_t n = send(s->c->conn.fd, s->typed.data, s->typed.len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? GOES_ON : DISCONNECTED;
	buf_drop(&s->typed, (size_t)n);
	return GOES_ON;
}

static enum ending console_from_keyboard(struct console *s)
{
	char chunk[4096];
	ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
	struct buf dropped = BUF_INIT;
	bool leave;

	if (n < 0 && errno == EINTR)
		return GOES_ON;
	if (n <= 0) {
		/* a closed terminal ends the console; after a pipe, the guest may have more to
		 * print */
		s->input = false;
		return s->raw ? LEFT : GOES_ON;
	}
	if (!s->raw) {
		buf_add(&s->typed, chunk, (size_t)n);
		return GOES_ON;
	}
	leave = keys_feed(&s->keys, chunk, (size_t)n, s->watch ? &dropped : &s->typed);
	leave = leave || (s->watch && memchr(chunk, CTRL_C, (size_t)n));
	buf_release(&dropped);
	return leave ? LEFT : GOES_ON;
}

static enum ending console_turn(struct console *s, const sigset_t *mask)
{
	/* always read a terminal, so that the escape keys work with a guest that does not read */
	bool read_input = s->input && (s->raw || s->typed.len < CHUNK);
	/* clang-format off */
	struct pollfd p[3] = {
		{s->c->conn.fd,			 (short)(POLLIN | (s->typed.len ? POLLOUT : 0)), 0},
		{ read_input ? STDIN_FILENO : -1, POLLIN,					  0},
		{ STDOUT_FILENO,			 0,					      0},
	};
	/* clang-format on */
	enum ending r = GOES_ON;

	if (ppoll(p, 3, NULL, mask) < 0)
		return terminal_signal() ? SIGNALLED : GOES_ON;
	if (p[2].revents & POLLERR)
		return NO_READER;
	if (p[1].revents)
		r = console_from_keyboard(s);
	if (r == GOES_ON && p[0].revents & POLLOUT)
		r = console_to_guest(s);
	if (r == GOES_ON && p[0].revents & (POLLIN | POLLHUP | POLLERR))
		r = console_from_guest(s);
	return r;
}

/* Says why the daemon disconnected; usually because the guest stopped. */
static int console_tell_disconnected(const struct console *s)
{
	struct conn conn = CONN_INIT;
	json_t *arguments = json_pack("{s:s}", "name", s->name), *info = NULL;
	_cleanup_(free_ptr) char *state = NULL;
	struct err e = ERR_INIT;

	if (conn_open(&conn, conn_run_dir(s->c->args->run), &e) == 0)
		info = conn_call(&conn, "vm-info", arguments, &e);
	state = value_text(NULL, json_object_get(info, "state"));
	if (info)
		fprintf(stderr, "\nDisconnected: %s is %s\n", s->name, state);
	else if (e.class == ERR_UNREACHABLE)
		fprintf(stderr, "\nDisconnected: vmkeepd is gone; guests keep running\n");
	else
		fprintf(stderr, "\nDisconnected: %s\n", e.text);
	conn_release(&conn);
	json_decref(info);
	json_decref(arguments);
	return info ? EXIT_SUCCESS : api_class(e.class)->exit;
}

static int console_finish(const struct console *s, enum ending ending)
{
	static const char plain[] = "\033[0m\033[?25h";
	sigset_t all;

	if (s->raw && s->c->tty)
		(void)!write(STDOUT_FILENO, plain, sizeof plain - 1);
	terminal_restore();
	if (ending == SIGNALLED) {
		signal(terminal_signal(), SIG_DFL);
		sigemptyset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		raise(terminal_signal());
	}
	if (s->raw && ending == LEFT)
		fprintf(stderr, "\nLeft %s; it keeps running.\n", s->name);
	else if (s->raw && ending == DISCONNECTED)
		return console_tell_disconnected(s);
	return ending == NO_READER ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int client_console_attach(struct console *s)
{
	enum ending ending = GOES_ON;
	struct err e = ERR_INIT;
	const sigset_t *mask;

	mask = terminal_catch(true);
	conn_stream(&s->c->conn, &s->c->out);
	if (s->raw) {
		fprintf(stderr, "%s %s. Leave with Ctrl-] or Enter ~ .\n",
			s->watch ? "Watching" : "Connected to", s->name);
		if (terminal_raw(&e) < 0)
			return errors_print(s->name, &e);
	}
	command_flush(s->c);
	while (ending == GOES_ON)
		ending = console_turn(s, mask);
	return console_finish(s, ending);
}

static int console_attach_to(struct command *c, bool watch)
{
	struct console s = {
		.c = c, .name = c->target[0], .watch = watch, .typed = BUF_MAX(TYPED_MAX)
	};
	int r;

	s.raw = isatty(STDIN_FILENO);
	s.input = s.raw || !s.watch;
	r = client_console_attach(&s);
	buf_release(&s.typed);
	return r;
}

int console_run(struct command *c)
{
	int r = calls_begin(c);

	if (r)
		return r;
	return console_attach_to(c, json_is_true(json_object_get(c->args->arguments, "watch")));
}

/* --- start --console --- */

static bool console_is_fresh; /* the VM was started, and not running already */

int start_status(const json_t *result)
{
	console_is_fresh = !json_is_false(json_object_get(result, "changed"));
	return 0;
}

static int console_after_start(struct command *c)
{
	json_auto_t *arguments =
		json_pack("{s:s, s:b}", "name", c->target[0], "since-start", console_is_fresh);
	json_t *result;
	struct err e = ERR_INIT;

	conn_release(&c->conn); /* events may follow on it */
	if (conn_open(&c->conn, conn_run_dir(c->args->run), &e) < 0)
		return errors_print(NULL, &e);
	result = conn_call(&c->conn, "vm-console", arguments, &e);
	if (!result)
		return errors_print(c->target[0], &e);
	json_decref(result);
	return console_attach_to(c, false);
}

int start_run(struct command *c)
{
	bool console = json_is_true(json_object_get(c->args->own, "console"));
	struct err e = ERR_INIT;
	int r;

	if (console && json_is_false(json_object_get(c->args->arguments, "wait")))
		err_set(&e, ERR_USAGE, "--console waits for the start: not with --no-wait");
	else if (console && (c->args->targets > 1 || strpbrk(c->args->target[0], "*?[")))
		err_set(&e, ERR_USAGE, "--console takes the name of one VM");
	if (e.number)
		return errors_print(NULL, &e);
	r = calls_run(c);
	return r || !console ? r : console_after_start(c);
}
