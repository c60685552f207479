/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/agent.h"

#include "base/mem.h"
#include "supervisor/vm/vms.h"

static const double look_first = 0.02, look_last = 1, look_growth = 1.5; /* seconds */

struct agent_run { /* holds no pointer to the VM, which may be freed meanwhile */
	struct daemon *daemon;
	char vm[64];
	json_int_t pid; /* in the guest */
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

static void agent_run_on_status(void *data, const json_t *status, const struct err *e)
{
	struct agent_run *x = data;
	struct err late = ERR_INIT;

	if (e || json_is_true(json_object_get(status, "exited"))) {
		agent_run_end(x, e ? NULL : status, e);
	} else if (daemon_now() >= x->deadline) {
		err_set(&late, ERR_TIMEOUT,
			"not done within %.0f s: it is still running in the guest, as process "
			"%" JSON_INTEGER_FORMAT,
			x->timeout, x->pid);
		err_hint(&late, "--timeout gives it more time");
		agent_run_end(x, NULL, &late);
	} else {
		agent_run_look_again(x);
	}
}

static void agent_run_on_look(void *data)
{
	struct agent_run *x = data;
	struct vm *vm = x->daemon->emit ? vms_find(x->daemon->vms, x->vm) : NULL;
	struct err e = ERR_INIT;

	if (!vm)
		err_set(&e, ERR_NOT_FOUND, "is gone");
	else
		vm_agent_call(vm, "guest-exec-status", json_pack("{s:I}", "pid", x->pid),
			AGENT_SECONDS, agent_run_on_status, x, &e);
	if (e.number)
		agent_run_end(x, NULL, &e);
}

static void agent_run_on_begun(void *data, const json_t *result, const struct err *e)
{
	struct agent_run *x = data;
	const json_t *pid = json_object_get(result, "pid");
	struct err own = ERR_INIT;

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
