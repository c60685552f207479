/* SPDX-License-Identifier: MIT */
/*
 * vmkeep run: a command in a throw-away VM. The VM lives as long as the request vm-run, whose connection is
 * open until the end; its events are read only until the VM was started. The guest agent is waited for on a
 * connection of its own, and each file and the command have theirs, see exec.h.
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/exec.h"
#include "supervisor/client/print.h"
#include "supervisor/client/progress.h"
#include "supervisor/client/terminal.h"

enum { AGENT_MS = 5 * 60 * 1000, CONSOLE_LINES = 20, CHUNK = 4096 };

struct throwaway {
	struct command *c; /* its connection is that of vm-run */
	const char *run;   /* directory of the daemon */
	json_int_t id;	   /* of the request */
	char *name;	   /* of the VM; NULL: it was not started */
	json_t *answer;	   /* to the request; NULL: none yet */
	const sigset_t *mask;
	int signals; /* that came before */
	int64_t until_ms;
	struct progress progress;
};

/* --- files to copy: "HERE:/THERE" and "/THERE:HERE" --- */

struct copy {
	char *local, *remote;
};

static void throwaway_copy_release(struct copy *f)
{
	free(f->local);
	free(f->remote);
}

/* The path in the guest begins with a slash, and has no colon. */
static int throwaway_copy_split(struct copy *f, const char *text, bool push, struct err *e)
{
	const char *colon = push ? strrchr(text, ':') : strchr(text, ':'),
		   *remote = push && colon ? colon + 1 : text;

	*f = (struct copy){ NULL, NULL };
	if (!colon || colon == text || !colon[1] || *remote != '/') {
		err_set(e, ERR_USAGE, "%s: '%s' is not %s", push ? "--push" : "--pull", text,
			push ? "FILE:/PATH" : "/PATH:FILE");
		return err_hint(e, "FILE is here, /PATH in the guest");
	}
	f->local = push ? xstrndup(text, (size_t)(colon - text)) : xstrdup(colon + 1);
	f->remote = push ? xstrdup(remote) : xstrndup(text, (size_t)(colon - text));
	return 0;
}

/* What would fail anyway fails before the guest boots. */
static int throwaway_copy_check(const struct copy *f, bool push, struct err *e)
{
	_cleanup_(free_ptr) char *dir = xstrdup(f->local);
	char *slash = strrchr(dir, '/');
	struct stat st;

	if (push) {
		if (stat(f->local, &st) < 0 || access(f->local, R_OK) < 0)
			return err_errno(e, "open '%s'", f->local);
		return S_ISDIR(st.st_mode)
			       ? err_set(e, ERR_USAGE, "'%s' is a directory, not a file", f->local)
			       : 0;
	}
	if (stat(f->local, &st) < 0 || !S_ISDIR(st.st_mode)) {
		if (slash)
			slash[slash == dir] = '\0';
		else
			strcpy(dir, ".");
	}
	return access(dir, W_OK | X_OK) < 0 ? err_errno(e, "write to directory '%s'", dir) : 0;
}

/* Checks them all, or copies them all. */
static int throwaway_copy(const struct throwaway *t, bool push, bool check, struct err *e)
{
	const char *option = push ? "push" : "pull";
	json_t *one;
	size_t i;
	int r = 0;

	json_array_foreach (json_object_get(t->c->args->own, option), i, one) {
		struct copy f;

		r = throwaway_copy_split(&f, json_string_value(one), push, e);
		if (!f.local)
			return r;
		if (check)
			r = throwaway_copy_check(&f, push, e);
		else if (push)
			r = exec_push(t->run, t->name, f.local, f.remote, e);
		else
			r = exec_pull(t->run, t->name, f.remote, f.local, e);
		throwaway_copy_release(&f);
		if (r < 0)
			return r;
	}
	return r;
}

/* --- waiting --- */

static bool throwaway_is_interrupted(const struct throwaway *t)
{
	return terminal_signals() > t->signals;
}

/* The next message; NULL with e: there was a signal, the time is over, or the connection is lost. */
static json_t *throwaway_next(struct throwaway *t, struct conn *conn, struct err *e)
{
	json_t *message;

	for (;;) {
		const int64_t now = progress_now_ms(), left = t->until_ms - now;
		int wait = progress_tick(&t->progress, now);

		if (left <= 0) {
			err_set(e, ERR_TIMEOUT, "the time is over");
			return NULL;
		}
		if (wait < 0 || wait > left)
			wait = left < INT_MAX ? (int)left : INT_MAX;
		switch (conn_receive(conn, wait, t->mask, &message, e)) {
		case CONN_MESSAGE:
			return message;
		case CONN_FAILED:
			return NULL;
		case CONN_TIMEOUT:
			break;
		case CONN_INTERRUPTED:
			if (!throwaway_is_interrupted(t))
				break;
			err_set(e, ERR_FAILED, "interrupted before the command was run");
			return NULL;
		}
	}
}

/* The data of this event, borrowed; NULL: it is another message. */
static const json_t *throwaway_event(const json_t *message, const char *name, const char *vm)
{
	const json_t *data = json_object_get(message, "data");

	if (!streq(json_string_value(json_object_get(message, "event")), name))
		return NULL;
	return !vm || streq(json_string_value(json_object_get(data, "name")), vm) ? data : NULL;
}

/* Reads what belongs to the request: true for its answer. */
static bool throwaway_take(struct throwaway *t, json_t *message /* stolen */)
{
	const json_t *started = throwaway_event(message, "RUN_STARTED", NULL);
	const char *name = json_string_value(json_object_get(started, "name"));

	if (name && !t->name)
		t->name = xstrdup(name);
	if (!t->answer && json_integer_value(json_object_get(message, "id")) == t->id)
		t->answer = json_incref(message);
	json_decref(message);
	return t->answer;
}

/* --- from the request to the agent --- */

static int throwaway_start(struct throwaway *t, struct err *e)
{
	struct command *c = t->c;
	json_t *message;

	if (conn_send(&c->conn, c->verb->execute, c->args->arguments, &t->id, e) < 0)
		return e->number;
	t->until_ms = INT64_MAX;
	progress_text(&t->progress, "run", "making a VM");
	while (!t->name) {
		message = throwaway_next(t, &c->conn, e);
		if (!message)
			return e->number;
		if (throwaway_take(t, message))
			return err_set(e, ERR_FAILED, "the VM was not started");
	}
	return 0;
}

static int64_t throwaway_agent_ms(const struct throwaway *t)
{
	const char *given = json_string_value(json_object_get(t->c->args->own, "timeout"));
	uint64_t ms = AGENT_MS;

	if (given)
		text_parse_time(given, &ms);
	return ms < INT64_MAX / 2 ? (int64_t)ms : INT64_MAX / 2; /* infinity */
}

/* It may have connected before we subscribed. */
static bool throwaway_has_agent(const struct throwaway *t, struct conn *watch, struct err *e)
{
	json_auto_t *vm = json_pack("{s:s}", "name", t->name), *info = NULL;
	json_t *subscribed = conn_call(watch, "subscribe", NULL, e);

	json_decref(subscribed);
	if (subscribed)
		info = conn_call(watch, "vm-info", vm, e);
	return streq(json_string_value(json_object_get(info, "agent")), "open");
}

static int throwaway_watch(struct throwaway *t, struct conn *watch, struct err *e)
{
	bool open = conn_open(watch, t->run, e) == 0 && throwaway_has_agent(t, watch, e);

	while (!open && e->number == 0) {
		json_t *message = throwaway_next(t, watch, e);

		if (message && throwaway_event(message, "VM_REMOVED", t->name))
			err_set(e, ERR_FAILED, "the VM is gone");
		open = json_is_true(
			json_object_get(throwaway_event(message, "AGENT_CHANGE", t->name), "open"));
		json_decref(message);
	}
	return e->number;
}

static void throwaway_show_console(const struct throwaway *t)
{
	json_auto_t *arguments = json_pack("{s:s, s:i}", "name", t->name, "lines", CONSOLE_LINES),
		    *answer = NULL;
	_cleanup_(buf_release) struct buf log = BUF_INIT, shown = BUF_INIT;
	struct conn conn = CONN_INIT;
	struct err e = ERR_INIT;
	ssize_t n = 1;

	if (conn_open(&conn, t->run, &e) == 0)
		answer = conn_call(&conn, "vm-log", arguments, &e);
	if (answer)
		conn_stream(&conn, &log);
	while (answer && n > 0) {
		n = read(conn.fd, buf_reserve(&log, CHUNK), CHUNK);
		buf_commit(&log, n > 0 ? (size_t)n : 0);
	}
	conn_release(&conn);
	if (log.len)
		errors_note("the last lines of its console:");
	print_bytes(&log, true, &shown);
	if (shown.len && shown.data[shown.len - 1] != '\n')
		buf_addc(&shown, '\n');
	file_write_all(STDERR_FILENO, shown.data, shown.len);
}

static int throwaway_await_agent(struct throwaway *t, struct err *e)
{
	const int64_t ms = throwaway_agent_ms(t);
	struct conn watch = CONN_INIT;
	char text[32];

	t->until_ms = progress_now_ms() + ms;
	progress_text(&t->progress, t->name, "waiting for its guest agent");
	throwaway_watch(t, &watch, e);
	progress_erase(&t->progress);
	conn_release(&watch);
	if (e->number == 0 || progress_now_ms() < t->until_ms)
		return e->number;
	throwaway_show_console(t);
	err_set(e, ERR_TIMEOUT, "no guest agent connected within %s",
		text_time_exact(text, sizeof text, (uint64_t)ms));
	return err_hint(e,
		"the image needs qemu-guest-agent, started at boot; --timeout TIME waits "
		"longer for it");
}

/* --- the command, and the end --- */

static int throwaway_command(const struct throwaway *t, struct err *e)
{
	const struct command *c = t->c;
	const json_t *own = c->args->own;
	const int in = json_is_true(json_object_get(own, "no-input")) ? -1 : STDIN_FILENO;
	struct err pulling = ERR_INIT;
	int code;

	if (throwaway_copy(t, true, false, e) < 0)
		return throwaway_is_interrupted(t)
			       ? err_set(e, ERR_FAILED, "interrupted before the command was run")
			       : e->number;
	code = exec_command(t->run, t->name, json_object_get(own, "command"), NULL, in,
		c->quiet ? -1 : STDOUT_FILENO, c->quiet ? -1 : STDERR_FILENO, e);
	if (code < 0 || throwaway_copy(t, false, false, &pulling) == 0)
		return code;
	if (code == 0)
		return err_copy(e, &pulling), pulling.number;
	errors_print(t->name, &pulling);
	return code;
}

/* Until nothing is left of it. If this is interrupted, or the connection lost, the daemon removes it too. */
static void throwaway_end(struct throwaway *t)
{
	json_auto_t *vm = json_pack("{s:s}", "name", t->name);
	struct conn conn = CONN_INIT;
	struct err ignored = ERR_INIT;
	json_t *message = NULL;

	if (conn_open(&conn, t->run, &ignored) == 0)
		json_decref(conn_call(&conn, "vm-kill", vm, &ignored));
	conn_release(&conn);
	t->signals = terminal_signals();
	t->until_ms = INT64_MAX;
	do
		message = throwaway_next(t, &t->c->conn, &ignored);
	while (message && !throwaway_take(t, message));
}

/* The VM's own end explains more than what its end did to us. */
static void throwaway_explain(const struct throwaway *t, struct err *e)
{
	struct err why = ERR_INIT;
	const json_t *ran = t->answer ? conn_result(t->answer, &why) : NULL;
	const char *reason = json_string_value(json_object_get(ran, "reason"));

	if (why.number)
		err_copy(e, &why);
	else if (reason && *reason && !streq(reason, "killed"))
		err_set(e, ERR_FAILED, "the VM ended before the command did: %s", reason);
}

static int throwaway_live(struct throwaway *t, struct err *e)
{
	int code = throwaway_start(t, e);

	if (code == 0)
		code = throwaway_await_agent(t, e);
	if (code == 0)
		code = throwaway_command(t, e);
	progress_erase(&t->progress);
	if (t->name && !t->answer)
		throwaway_end(t);
	if (code < 0)
		throwaway_explain(t, e);
	return code;
}

int throwaway_run(struct command *c)
{
	struct throwaway t = { .c = c, .run = conn_run_dir(c->args->run) };
	struct err e = ERR_INIT;
	int code;

	if (command_open(c, &e) == 0 && c->json)
		err_set(&e, ERR_USAGE, "run: --json is of no use, the output is the command's");
	if (e.number || throwaway_copy(&t, true, true, &e) < 0 ||
		throwaway_copy(&t, false, true, &e) < 0) {
		if (c->json)
			command_add_json_error(c, NULL, &e);
		command_flush_json(c);
		return command_failed(c, errors_print(NULL, &e));
	}
	code = fetch_image(c);
	if (code)
		return command_failed(c, code);
	t.mask = terminal_catch(true);
	t.signals = terminal_signals();
	progress_init(&t.progress, !c->quiet && isatty(STDERR_FILENO));
	code = throwaway_live(&t, &e);
	if (code < 0)
		code = command_failed(c, errors_print(t.name, &e));
	json_decref(t.answer);
	free(t.name);
	return code;
}
