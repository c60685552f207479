/* SPDX-License-Identifier: MIT */
/* One request per target, pipelined, printed in command line order. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/progress.h"
#include "supervisor/client/terminal.h"

enum { EXIT_INTERRUPTED = 130 };

struct call {
	const char *target; /* NULL: the verb has none */
	json_int_t id, job; /* 0: not sent; unknown */
	json_t *reply;
};

struct calls {
	struct command *c;
	struct call *call;
	size_t n, sent, answered, printed;
	int exit; /* of the first failure */
	struct progress progress;
};

static json_t *calls_arguments(const struct command *c, const char *target)
{
	json_t *arguments = json_copy(c->args->arguments);

	if (target)
		json_object_set_new(arguments, "name", json_string(target));
	return arguments;
}

static int calls_send_more(struct calls *s, struct err *e)
{
	while (s->sent < s->n && s->sent - s->answered < CONN_IN_FLIGHT) {
		struct call *call = &s->call[s->sent];
		json_t *arguments = calls_arguments(s->c, call->target);
		int r = conn_send(&s->c->conn, s->c->verb->execute, arguments, &call->id, e);

		json_decref(arguments);
		if (r < 0)
			return r;
		s->sent++;
	}
	return 0;
}

static void calls_note_exit(struct calls *s, int code)
{
	if (!s->exit)
		s->exit = code;
}

static void calls_print_error(struct calls *s, const struct call *call, const struct err *e)
{
	calls_note_exit(s, command_failed(s->c, errors_print(call->target, e)));
	if (s->c->json)
		command_add_json_error(s->c, call->target, e);
}

static void calls_print_call(struct calls *s, const struct call *call)
{
	struct err e = ERR_INIT;
	json_t *result = conn_result(call->reply, &e);

	progress_erase(&s->progress);
	if (result)
		calls_note_exit(s, command_result(s->c, call->target, result));
	else
		calls_print_error(s, call, &e);
	command_flush(s->c);
}

static struct call *calls_by_id(struct calls *s, json_int_t id)
{
	/* ids are consecutive */
	json_int_t i = s->n && id ? id - s->call[0].id : -1;

	return i >= 0 && (size_t)i < s->sent ? &s->call[i] : NULL;
}

/* JOB_STARTED is sent to the requester of the job, before its other events; progress to all
 * subscribers. */
static void calls_on_event(struct calls *s, const json_t *event)
{
	const char *what = json_string_value(json_object_get(event, "event"));
	const json_t *data = json_object_get(event, "data");
	const char *name = json_string_value(json_object_get(data, "name"));
	json_int_t job = json_integer_value(json_object_get(data, "job"));

	for (size_t i = 0; i < s->sent; i++) {
		struct call *call = &s->call[i];

		if (call->reply)
			continue;
		if (streq(what, "JOB_STARTED") && streq(call->target, name))
			call->job = job;
		else if (streq(what, "JOB_PROGRESS") && call->job && call->job == job)
			progress_event(&s->progress, data);
	}
}

static void calls_take_message(struct calls *s, json_t *message /* stolen */)
{
	struct call *call;

	if (json_object_get(message, "event"))
		calls_on_event(s, message);
	call = calls_by_id(s, json_integer_value(json_object_get(message, "id")));
	if (!call || call->reply) {
		json_decref(message);
		return;
	}
	call->reply = message;
	s->answered++;
	while (s->printed < s->sent && s->call[s->printed].reply)
		calls_print_call(s, &s->call[s->printed++]);
}

/* After Ctrl-C: lists what is still running. */
static void calls_print_left(struct calls *s)
{
	progress_erase(&s->progress);
	for (size_t i = 0; i < s->sent; i++) {
		const struct call *call = &s->call[i];
		const char *target = call->target ? call->target : s->c->verb->command;

		if (call->reply)
			continue;
		if (call->job)
			fprintf(stderr, "%s: job %lld is still running; 'vmkeep jobs' shows it\n",
				target, (long long)call->job);
		else
			fprintf(stderr, "%s: still running; 'vmkeep jobs' shows it\n", target);
	}
	s->exit = EXIT_INTERRUPTED;
}

/* The connection is lost: prints what was answered, and one error for the rest. */
static void calls_fail_rest(struct calls *s, const struct err *e)
{
	progress_erase(&s->progress);
	for (size_t i = s->printed; i < s->n; i++)
		if (s->call[i].reply)
			calls_print_call(s, &s->call[i]);
	for (size_t i = s->printed; i < s->n; i++)
		if (!s->call[i].reply) {
			calls_print_error(s, &s->call[i], e);
			return;
		}
}

/* Subscribes only if progress is drawn; a refusal is harmless. */
static int calls_ask_for_progress(struct calls *s, struct err *e)
{
	json_int_t id;

	if (!s->progress.on || !(s->c->verb->traits & API_JOB))
		return 0;
	return conn_send(&s->c->conn, "subscribe", NULL, &id, e);
}

static void calls_wait_for_all(struct calls *s)
{
	const sigset_t *mask = NULL;
	struct err e = ERR_INIT;
	json_t *message;

	if (s->c->verb->traits & API_JOB)
		mask = terminal_catch(false);
	if (calls_ask_for_progress(s, &e) < 0) {
		calls_fail_rest(s, &e);
		return;
	}
	while (s->answered < s->n) {
		int tick = progress_tick(&s->progress, progress_now_ms());

		if (calls_send_more(s, &e) < 0) {
			calls_fail_rest(s, &e);
			return;
		}
		switch (conn_receive(&s->c->conn, tick, mask, &message, &e)) {
		case CONN_MESSAGE:
			calls_take_message(s, message);
			break;
		case CONN_TIMEOUT:
			break;
		case CONN_INTERRUPTED:
			if (!terminal_signal())
				break;
			calls_print_left(s);
			return;
		case CONN_FAILED:
			calls_fail_rest(s, &e);
			return;
		}
	}
}

int calls_begin(struct command *c)
{
	json_t *arguments, *result;
	struct err e = ERR_INIT;

	if (command_open(c, &e) < 0)
		return errors_print(NULL, &e);
	arguments = calls_arguments(c, c->targets ? c->target[0] : NULL);
	result = conn_call(&c->conn, c->verb->execute, arguments, &e);
	json_decref(arguments);
	if (!result)
		return errors_print(c->targets ? c->target[0] : NULL, &e);
	json_decref(result);
	return 0;
}

int calls_run(struct command *c)
{
	struct calls s = { .c = c };
	struct err e = ERR_INIT;

	if (command_open(c, &e) < 0 || confirm(c, &e) < 0)
		return command_failed(c, errors_print(NULL, &e));
	s.n = c->targets ? c->targets : 1;
	s.call = xcalloc(s.n, sizeof *s.call);
	for (size_t i = 0; i < c->targets; i++)
		s.call[i].target = c->target[i];
	progress_init(&s.progress, !c->quiet && isatty(STDERR_FILENO));
	progress_text(&s.progress, s.n == 1 ? s.call[0].target : NULL, c->verb->command);
	calls_wait_for_all(&s);
	progress_erase(&s.progress);
	command_flush_json(c);
	for (size_t i = 0; i < s.n; i++)
		json_decref(s.call[i].reply);
	free(s.call);
	return s.exit;
}
