/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/agent.h"

#include <errno.h>

#include "base/mem.h"
#include "supervisor/vm/vms.h"

static const double look_first = 0.02, look_last = 1, look_growth = 1.5, /* seconds */
	lost_wait = 1; /* from the end of the agent's connection to that of the VM */

struct agent_run { /* holds no pointer to the VM, which may be freed meanwhile */
	struct daemon *daemon;
	char vm[64];
	json_int_t pid; /* in the guest */
	/* the agent that knows it: of this QEMU, and of so many */
	uint64_t qemu;
	unsigned opened;
	struct err lost; /* its connection, and why */
	double timeout, deadline, every;
	struct loop_timer look;
	agent_reply_fn *done;
	void *data;
};

static void agent_run_end(struct agent_run *x, const json_t *status, const struct err *e)
{
	loop_timer_stop(&x->look);
	x->done(x->data, status, e);
	free(x);
}

static void agent_run_look_again(struct agent_run *x)
{
	loop_timer_start(&x->look, x->every);
	x->every = x->every * look_growth < look_last ? x->every * look_growth : look_last;
}

static void agent_run_go_on(struct agent_run *x)
{
	struct err late = ERR_INIT;

	if (daemon_now() < x->deadline) {
		agent_run_look_again(x);
		return;
	}
	err_set(&late, ERR_TIMEOUT,
		"not done within %.0f s: it is still running in the guest, as process "
		"%" JSON_INTEGER_FORMAT,
		x->timeout, x->pid);
	err_hint(&late, "--timeout gives it more time");
	agent_run_end(x, NULL, &late);
}

/* The end of the VM, which may be why the agent was lost, is not known yet. */
static bool agent_run_is_lost(struct agent_run *x, const struct err *e)
{
	if (!e || e->class != ERR_UNREACHABLE || !x->daemon->emit)
		return false;
	err_copy(&x->lost, e);
	loop_timer_start(&x->look, lost_wait);
	return true;
}

/* It was paused before it could answer. */
static bool agent_run_is_paused(const struct agent_run *x)
{
	const struct vm *vm = x->daemon->emit ? vms_find(x->daemon->vms, x->vm) : NULL;

	return vm && vm->proc.starttime == x->qemu && vm->st.state == VM_PAUSED;
}

static void agent_run_on_status(void *data, const json_t *status, const struct err *e)
{
	struct agent_run *x = data;
	const bool unasked =
		e && e->class == ERR_TIMEOUT && (e->number == -EBUSY || agent_run_is_paused(x));

	if (agent_run_is_lost(x, e))
		return;
	if ((e && !unasked) || json_is_true(json_object_get(status, "exited")))
		agent_run_end(x, e ? NULL : status, e);
	else
		agent_run_go_on(x);
}

/* NULL: its agent is another one, which knows nothing of the command, or has another process of that
 * number. */
static struct vm *agent_run_vm(const struct agent_run *x, struct err *e)
{
	struct vm *vm = x->daemon->emit ? vms_find(x->daemon->vms, x->vm) : NULL;

	if (!x->daemon->emit)
		err_set(e, ERR_FAILED, "the daemon is ending");
	else if (!vm || vm->proc.starttime != x->qemu)
		err_set(e, ERR_WRONG_STATE, "the VM has ended, and the command with it");
	else if (x->lost.number)
		err_copy(e, &x->lost);
	else if (vm_agent_opened(vm) != x->opened)
		err_set(e, ERR_GUEST_REFUSED,
			"the guest agent was restarted: what became of the command is not known");
	return e->number ? NULL : vm;
}

static void agent_run_on_look(void *data)
{
	struct agent_run *x = data;
	struct err e = ERR_INIT;
	struct vm *vm = agent_run_vm(x, &e);

	if (vm && (vm->st.state == VM_PAUSED || vm_agent_is_frozen(vm)))
		agent_run_go_on(x);
	else if (!vm || vm_agent_call(vm, "guest-exec-status", json_pack("{s:I}", "pid", x->pid),
				AGENT_SECONDS, agent_run_on_status, x, &e) < 0)
		agent_run_end(x, NULL, &e);
}

static void agent_run_on_begun(void *data, const json_t *result, const struct err *e)
{
	struct agent_run *x = data;
	const json_t *pid = json_object_get(result, "pid");
	struct err own = ERR_INIT;

	if (agent_run_is_lost(x, e))
		return;
	if (!e && !json_is_integer(pid))
		err_set(&own, ERR_FAILED, "the guest agent's answer to guest-exec has no pid");
	if (e || own.number) {
		agent_run_end(x, NULL, e ? e : &own);
		return;
	}
	x->pid = json_integer_value(pid);
	agent_run_look_again(x);
}

int vm_agent_run(struct vm *vm, json_t *command, double timeout, agent_reply_fn *done, void *data,
	struct err *e)
{
	struct agent_run *x = xcalloc(1, sizeof *x);
	json_t *arguments =
		json_pack("{s:O, s:b}", "path", json_array_get(command, 0), "capture-output", 1);

	json_array_remove(command, 0);
	json_object_set_new(arguments, "arg", command);
	*x = (struct agent_run){ .daemon = vm->daemon,
		.timeout = timeout,
		.deadline = daemon_now() + timeout,
		.every = look_first,
		.qemu = vm->proc.starttime,
		.opened = vm_agent_opened(vm),
		.lost = ERR_INIT,
		.done = done,
		.data = data };
	snprintf(x->vm, sizeof x->vm, "%s", vm->name);
	loop_timer_init(&x->look, vm->daemon->loop.ev, agent_run_on_look, x);
	if (vm_agent_call(vm, "guest-exec", arguments, AGENT_SECONDS, agent_run_on_begun, x, e) ==
		0)
		return 0;
	free(x);
	return e->number;
}
