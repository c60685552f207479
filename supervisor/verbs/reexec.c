/* SPDX-License-Identifier: MIT */
/* reexec: replaces the running daemon. */
#include <errno.h>

#include "base/child.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/hooks.h"
#include "supervisor/control/server.h"
#include "supervisor/verbs/verb.h"

static const double LOOK_AGAIN = 0.05, PATIENCE = 30, TRIAL = 10; /* seconds */

struct reexec {
	struct daemon *daemon;
	struct request *r; /* NULL: the client is gone or has its reply */
	struct child *trial;
	struct loop_timer timer;
	double timeout, deadline; /* daemon_now() */
	bool force;		  /* cancels jobs */
	char *version;
};

static void reexec_free(struct reexec *x)
{
	if (x->force)
		server_drain(x->daemon->server, false);
	loop_timer_stop(&x->timer);
	child_cancel(x->trial);
	free(x->version);
	free(x);
}

static void reexec_gone(void *data)
{
	reexec_free(data);
}

static void reexec_fail(struct reexec *x, const struct err *e)
{
	request_error(x->r, e);
	reexec_free(x);
}

/* It only waits, for a state that the next daemon waits for, too, or for a guest: only who asked for it
 * loses by its end. */
static bool verb_reexec_is_idle(const struct job *j)
{
	return j->by_state || (api_verb_by_execute(j->verb)->traits & API_NEEDS_GUEST);
}

/* True if an operation is in progress that a new daemon could not continue. */
static bool verb_reexec_is_half_way(struct daemon *d, bool force, struct err *e)
{
	for (const struct job *j = d->jobs.head; j; j = j->next)
		if (j->ended <= 0 && !(force && verb_reexec_is_idle(j))) {
			err_set(e, ERR_CONFLICT, "job %u (%s %s) is under way", j->id, j->verb,
				j->vm);
			err_hint(e, "vmkeep reexec --force cancels it, if that is possible");
			return true;
		}
	for (size_t i = 0; i < d->vms->n; i++) {
		const struct vm *vm = d->vms->vm[i];

		if (vm->busy || streq(vm_state_name(vm->st.state), "starting")) {
			err_set(e, ERR_CONFLICT, "'%s' is %s", vm->name,
				vm->busy ? vm->busy : "starting");
			return true;
		}
	}
	if (!hooks_idle(d->hooks)) {
		err_set(e, ERR_CONFLICT, "a hook runs");
		return true;
	}
	return false;
}

/* A user could keep it from being replaced, with one command after another that does not end. */
static void verb_reexec_hurry(struct reexec *x)
{
	struct err ignored = ERR_INIT;

	if (!x->force)
		return;
	server_drain(x->daemon->server, true);
	for (struct job *j = x->daemon->jobs.head; j; j = j->next)
		if (j->ended <= 0 && j->cancel && !j->cancelled) {
			log_info(*j->vm ? j->vm : NULL, "job %u (%s) is cancelled by reexec", j->id,
				j->verb);
			j->cancelled = j->cancel(j->cancel_data, &ignored) == 0;
		}
}

/* By now the replies have been sent. */
static void verb_reexec_replace(void *data)
{
	struct reexec *x = data;
	struct daemon *d = x->daemon;
	struct err e = ERR_INIT;

	/* a client that was connected may have begun another job since */
	if (daemon_now() < x->deadline && verb_reexec_is_half_way(d, x->force, &e)) {
		loop_timer_start(&x->timer, LOOK_AGAIN);
		return;
	}
	reexec_free(x);
	d->reexec = true;
	ev_break(d->loop.ev, EVBREAK_ALL);
}

static void verb_reexec_look(void *data)
{
	struct reexec *x = data;
	struct err e = ERR_INIT;
	bool wait;

	verb_reexec_hurry(x);
	wait = verb_reexec_is_half_way(x->daemon, x->force, &e);
	if (wait && daemon_now() >= x->deadline) {
		err_wrap(&e, 0, "not done within %g s", x->timeout);
		reexec_fail(x, &e);
		return;
	}
	if (!wait) {
		/* new connections wait for the new daemon */
		server_pause(x->daemon->server);
		log_info(NULL, "replacing this daemon with '%s' (%s), requested by %s",
			x->daemon->program, x->version, request_who(x->r));
		request_on_gone(x->r, NULL, NULL);
		request_return(
			x->r, json_pack("{s:s, s:i}", "version", x->version, "pid", (int)getpid()));
		x->r = NULL;
		x->timer.run = verb_reexec_replace;
	}
	loop_timer_start(&x->timer, LOOK_AGAIN);
}

/* Refuses a new program that cannot even print its version. */
static void verb_reexec_trial_done(void *data, const struct child_result *result)
{
	struct reexec *x = data;
	_cleanup_(free_ptr) char *said =
		text_escape(result->err, strcspn(result->err, "\n"), false);
	struct err e = ERR_INIT;
	char late[CHILD_LATE];

	x->trial = NULL;
	if (result->status == -ETIMEDOUT) {
		err_set(&e, ERR_TIMEOUT, "'%s --version' %s; this daemon keeps running",
			x->daemon->program, child_late(result, late));
		reexec_fail(x, &e);
		return;
	}
	if (result->status != 0 || strncmp(result->out, "vmkeepd ", 8) != 0) {
		err_set(&e, ERR_FAILED, "'%s --version' failed%s%s; this daemon keeps running",
			x->daemon->program, *said ? ": " : "", said);
		reexec_fail(x, &e);
		return;
	}
	x->version = text_escape(result->out + 8, strcspn(result->out + 8, "\n"), false);
	verb_reexec_look(x);
}

void verb_reexec(struct daemon *d, struct request *r)
{
	struct reexec *x = xcalloc(1, sizeof *x);
	const char *argv[] = { d->program, "--version", NULL };
	struct child_options o = {
		.argv = argv, .timeout = TRIAL, .done = verb_reexec_trial_done, .data = x
	};
	struct err e = ERR_INIT;

	x->daemon = d;
	x->r = r;
	x->force = request_bool(r, "force", false);
	x->timeout = request_time(r, "timeout", PATIENCE);
	x->deadline = daemon_now() + x->timeout;
	loop_timer_init(&x->timer, d->loop.ev, verb_reexec_look, x);
	x->trial = child_run(d->loop.ev, &o, &e);
	if (!x->trial) {
		reexec_fail(x, &e);
		return;
	}
	request_on_gone(r, reexec_gone, x);
}
