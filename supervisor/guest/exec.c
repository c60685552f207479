/* SPDX-License-Identifier: MIT */
/* What to do next for a command in a guest. */
#include "supervisor/guest/exec_private.h"

#include <math.h>

#include "base/mem.h"
#include "supervisor/api/result.h"
#include "supervisor/core/job.h"
#include "supervisor/guest/agent.h"
#include "supervisor/guest/parts.h"

enum {
	CALL_SECONDS = 10,  /* for the agent, to do one thing */
	BEGIN_SECONDS = 60, /* for the keeper, to run the command */
	END_SECONDS = 30,   /* for all processes in the guest, to end */
};

static const double look_first = 0.004, look_last = 0.5, look_growth = 1.5; /* seconds */

static void exec_step(struct exec *x);

struct execs { /* of a VM */
	struct exec *first;
	struct exec *calls; /* whose request to the agent is in flight; NULL: nobody's */
	unsigned long turn; /* given last */
	bool paused;
};

/* --- the end --- */

static void exec_hurry(struct exec *x)
{
	x->every = look_first;
	loop_timer_stop(&x->look);
}

static void exec_free(struct exec *x)
{
	struct execs *all = x->vm ? vm_part_state(x->vm, &exec_part) : NULL;

	for (struct exec **at = all ? &all->first : NULL; at && *at; at = &(*at)->next)
		if (*at == x) {
			*at = x->next;
			break;
		}
	loop_timer_stop(&x->look);
	exec_client_close(x);
	json_decref(x->command);
	keeper_tail_release(&x->tail[0]);
	keeper_tail_release(&x->tail[1]);
	buf_release(&x->first);
	buf_release(&x->input);
	free(x);
}

static void exec_end(struct exec *x, json_t *result /* stolen */, const struct err *e)
{
	struct job *j = x->job;
	json_t *end = e ? json_pack("{s:o}", "error", api_error_json(e)) : result;
	_cleanup_(free_ptr) char *text = json_dumps(end, JSON_COMPACT);

	x->job = NULL;
	x->until = daemon_now() + END_SECONDS;
	exec_client_send(x, EXEC_FRAME_END, text, strlen(text));
	if (e)
		json_decref(end);
	j->cancel = NULL;
	job_finish(j, e ? NULL : result, e);
	exec_hurry(x);
}

static void exec_succeed(struct exec *x, int code)
{
	if (!x->job)
		return;
	x->wanted[KEEPER_QUIT] = true;
	exec_end(x, json_pack("{s:i}", "exit", code), NULL);
}

static void exec_fail(struct exec *x, const struct err *e)
{
	if (!x->job)
		return;
	x->wanted[KEEPER_HANGUP] = true;
	exec_end(x, NULL, e);
}

static int exec_cancel(void *data, struct err *e)
{
	struct exec *x = data;
	struct err why = ERR_INIT;

	err_set(&why, ERR_FAILED, "cancelled: the command is ended");
	exec_fail(x, &why);
	return 0;
}

/* Nothing is left to do in the guest. */
static bool exec_is_over(const struct exec *x)
{
	bool runs = x->started && !x->keeper_ended;

	if (x->job)
		return false;
	for (enum exec_process p = 0; p < EXEC_PROCESSES; p++)
		runs |= x->pid[p] != 0;
	return !x->vm || x->deaf || !runs || daemon_now() >= x->until;
}

/* --- what is next --- */

/* The one that has waited longest goes on; one that has nothing to ask leaves its turn to others. */
static void exec_take_turns(struct execs *all)
{
	while (!all->calls) {
		struct exec *next = NULL;

		for (struct exec *x = all->first; x; x = x->next)
			if (x->turn && (!next || x->turn < next->turn))
				next = x;
		if (!next)
			return;
		next->turn = 0;
		exec_step(next);
	}
}

static void exec_on_reply(void *data, const json_t *result, const struct err *e)
{
	struct exec *x = data;
	struct execs *all = x->vm ? vm_part_state(x->vm, &exec_part) : NULL;
	const bool began = x->started;

	x->busy = false;
	if (!all) {
		exec_step(x);
		return;
	}
	all->calls = NULL;
	for (struct exec *y = all->first; y && !e; y = y->next)
		y->heard = daemon_now();
	exec_take_reply(x, result, e);
	if (!began && x->started && x->job)
		x->until = daemon_now() + BEGIN_SECONDS;
	x->turn = ++all->turn;
	exec_take_turns(all);
}

static bool exec_call(
	struct exec *x, enum exec_process p, bool asks, json_t *arguments /* stolen */)
{
	struct execs *all = vm_part_state(x->vm, &exec_part);
	struct err e = ERR_INIT;

	x->about = p;
	x->asks = asks;
	x->busy = true;
	if (vm_agent_call(x->vm, asks ? "guest-exec-status" : "guest-exec", arguments, CALL_SECONDS,
		    exec_on_reply, x, &e) == 0) {
		all->calls = x;
		return true;
	}
	x->busy = false;
	exec_take_reply(x, NULL, &e);
	return false;
}

static bool exec_may_tell(const struct exec *x, enum keeper_message m)
{
	if (!x->wanted[m])
		return false;
	if (m == KEEPER_QUIT || m == KEEPER_HANGUP)
		return true;
	if (m == KEEPER_EOF && (x->input.len || x->pid[EXEC_IN]))
		return false;
	return x->watcher && x->job;
}

static bool exec_tell(struct exec *x)
{
	if (x->watcher && daemon_now() - x->renewed >= KEEPER_RENEW)
		x->wanted[KEEPER_LEASE] = true;
	for (enum keeper_message m = 0; m < KEEPER_MESSAGES; m++)
		if (exec_may_tell(x, m)) {
			x->message = m;
			return exec_call(
				x, EXEC_CONTROL, false, keeper_tell(x->pid[EXEC_KEEPER], m));
		}
	return false;
}

static bool exec_read(struct exec *x)
{
	for (enum exec_process p = EXEC_OUT; p <= EXEC_ERR; p++)
		if (!x->pid[p] && !x->tail[p - EXEC_OUT].ended && (p == EXEC_OUT || x->watcher))
			return exec_call(x, p, false,
				keeper_read(x->pid[EXEC_KEEPER],
					p == EXEC_OUT ? KEEPER_OUT : KEEPER_ERR));
	return false;
}

static bool exec_ask(struct exec *x)
{
	for (enum exec_process p = 0; p < EXEC_PROCESSES; p++) {
		bool output = p == EXEC_OUT || p == EXEC_ERR;

		if (!x->due[p] || !x->pid[p] || (output && exec_client_is_behind(x)))
			continue;
		return exec_call(x, p, true, json_pack("{s:I}", "pid", x->pid[p]));
	}
	return false;
}

/* Begins one call; false: there is nothing to do now. */
static bool exec_go(struct exec *x)
{
	bool able = !x->refused && !x->doubt && !x->keeper_ended;

	if (!x->started)
		return x->job && !x->refused &&
		       exec_call(x, EXEC_KEEPER, false, keeper_start(&x->mark, x->command));
	if (able && !x->pid[EXEC_CONTROL] && exec_tell(x))
		return true;
	if (able && x->job && !exec_client_is_behind(x) && exec_read(x))
		return true;
	if (x->job && x->watcher && x->input.len && !x->pid[EXEC_IN] && able)
		return exec_call(
			x, EXEC_IN, false, keeper_write(x->watcher, x->input.data, x->input.len));
	if (exec_ask(x))
		return true;
	if (x->watcher && !x->input.len && !x->pid[EXEC_IN])
		exec_client_ask(x);
	return false;
}

/* Another command of the VM is asking: all of them together burden the agent like one. */
static bool exec_waits(struct exec *x)
{
	struct execs *all = vm_part_state(x->vm, &exec_part);

	if (all->calls && !x->turn)
		x->turn = ++all->turn;
	return all->calls;
}

/* The agent cannot answer. */
static bool exec_is_held(struct exec *x)
{
	return !x->vm || x->lost > 0 || exec_waits(x) || x->vm->st.state == VM_PAUSED ||
	       vm_agent_is_frozen(x->vm);
}

static void exec_check_time(struct exec *x)
{
	double now = daemon_now();
	struct err e = ERR_INIT;

	if (vm_agent_opened(x->vm) != x->opened) {
		err_set(&e, ERR_GUEST_REFUSED,
			"the guest agent was restarted: the command is ended within a minute");
		x->deaf = true;
	} else if (x->lost > 0 && now >= x->lost) {
		err_set(&e, ERR_GUEST_REFUSED, "the guest agent went away%s",
			x->started ? ": the command is ended within a minute" : "");
		x->deaf = true;
	} else if (x->deadline > 0 && now >= x->deadline) {
		err_set(&e, ERR_TIMEOUT, "not done within %.0f s: the command is ended",
			x->timeout);
		err_hint(&e, "--timeout gives it more time");
	} else if (x->started && !x->watcher && now >= x->until) {
		err_set(&e, ERR_TIMEOUT, "the guest's shell did not run the command within %d s",
			BEGIN_SECONDS);
	}
	if (e.number)
		exec_fail(x, &e);
}

static void exec_on_look(void *data)
{
	struct exec *x = data;

	for (enum exec_process p = 0; p < EXEC_PROCESSES; p++)
		x->due[p] = p != EXEC_KEEPER || x->doubt || !x->job;
	x->refused = false;
	x->every = x->every * look_growth < look_last ? x->every * look_growth : look_last;
	exec_step(x);
}

static void exec_step(struct exec *x)
{
	if (x->client.evicted && x->client.fd >= 0)
		exec_client_drop(x);
	if (x->busy)
		return;
	if (x->vm && x->job)
		exec_check_time(x);
	if (!exec_is_over(x) && !exec_is_held(x) && exec_go(x))
		return;
	if (!exec_is_over(x)) {
		if (!loop_timer_is_active(&x->look))
			loop_timer_start(&x->look, x->every);
	} else if (x->client.fd >= 0) {
		loop_timer_stop(&x->look);
	} else {
		exec_free(x);
	}
}

/* --- the part of the VM --- */

static const struct exec_up exec_up = {
	.step = exec_step, .hurry = exec_hurry, .succeed = exec_succeed, .fail = exec_fail
};

void exec_start(struct vm *vm, const struct exec_options *o)
{
	struct execs *all = vm_part_state(vm, &exec_part);
	struct exec *x = xcalloc(1, sizeof *x);
	double now = daemon_now();

	*x = (struct exec){ .up = &exec_up,
		.next = all->first,
		.vm = vm,
		.opened = vm_agent_opened(vm),
		.ev = vm->daemon->loop.ev,
		.job = o->job,
		.command = o->command,
		.every = look_first,
		.heard = now,
		.renewed = now,
		.timeout = o->timeout,
		.deadline = o->timeout > 0 ? now + o->timeout : 0 };
	all->first = x;
	keeper_mark_init(&x->mark);
	x->job->cancel = exec_cancel;
	x->job->cancel_data = x;
	loop_timer_init(&x->look, x->ev, exec_on_look, x);
	exec_client_open(x, o);
	exec_step(x);
}

static void exec_attach(struct vm *vm, void **state, enum vm_attach how)
{
	if (how != VM_ATTACH_LEFT)
		*state = xcalloc(1, sizeof(struct execs));
}

/* What the agent was told before a pause it does after it: asking again would do it twice. */
static void exec_on_state(struct vm *vm, void *state)
{
	struct execs *all = state;
	bool paused = vm->st.state == VM_PAUSED;

	if (!all || all->paused == paused)
		return;
	all->paused = paused;
	for (struct exec *x = all->first; x; x = x->next)
		vm_agent_extend(vm, x, paused ? INFINITY : CALL_SECONDS);
}

static void exec_close(struct vm *vm, void **state, bool ended)
{
	struct execs *all = *state;
	struct err e = ERR_INIT;

	if (ended)
		err_set(&e, ERR_WRONG_STATE, "the VM has ended, and the command with it");
	else
		err_set(&e, ERR_UNREACHABLE,
			"vmkeepd ends: the command is ended in the guest within a minute");
	while (all && all->first) {
		struct exec *x = all->first;

		all->first = x->next;
		x->vm = NULL;
		exec_fail(x, &e);
		if (!ended)
			exec_client_close(x);
		exec_step(x);
	}
}

const struct vm_part exec_part = {
	.name = "exec",
	.attach = exec_attach,
	.state = exec_on_state,
	.close = exec_close,
};
