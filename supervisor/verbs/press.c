/* SPDX-License-Identifier: MIT */
/* Verbs that send one QMP command: reset, pause and resume. Each completes when the state is
 * reached. */
#include "base/clock.h"
#include "base/mem.h"
#include "supervisor/verbs/verb.h"

struct press { /* a request that waits for QEMU and then for a state */
	struct request *r;
	struct vm *vm;
	struct vm_wait *wait;
	enum vm_goal goal;
	bool changed;
	bool reset;  /* OnReboot= is suspended until it is done */
	bool settle; /* paused by an I/O error: it must keep running for STEADY */
};

static const double STEADY = 1; /* seconds; a write that still fails does so sooner */

static void press_gone(void *data)
{
	struct press *p = data;

	p->r = NULL;
}

static void press_end(struct press *p, const struct err *e)
{
	if (p->r && e)
		request_error(p->r, e);
	else if (p->r)
		request_return(
			p->r, json_pack("{s:s, s:b}", "state", vm_state_name(p->vm->st.state),
				      "changed", p->changed));
	free(p);
}

static void press_settled(void *data, const struct err *e)
{
	struct press *p = data;
	struct err own = ERR_INIT;

	/* no further pause within STEADY */
	if (e && e->class == ERR_TIMEOUT && p->vm->st.state == VM_RUNNING) {
		press_end(p, NULL);
		return;
	}
	err_set(&own, ERR_FAILED, "stopped again: %s", p->vm->st.reason);
	err_hint(&own,
		"the cause remains; if space ran out, the guest continues by itself once space is freed");
	press_end(p, &own);
}

static void press_waited(void *data, const struct err *e)
{
	struct press *p = data;

	if (!e && p->settle)
		p->wait = vm_wait(p->vm, VM_GOAL_PAUSED, STEADY, press_settled, p);
	else
		press_end(p, e);
}

/* QEMU's error for a guest that has powered off, which its next event will report
 * (runstate_needs_reset() in softmmu/runstate.c). */
static const char ended_meanwhile[] = "Resetting the Virtual Machine is required";

static void press_reply(void *data, const json_t *result, const struct err *e)
{
	struct press *p = data;
	struct err own = ERR_INIT;

	if (e && !p->reset && streq(e->text, ended_meanwhile)) {
		err_set(&own, ERR_WRONG_STATE, "its guest powered off in the meantime");
		e = &own;
	}
	if (e) {
		const bool there = e->class !=
				   ERR_UNREACHABLE; /* else the session closes, maybe with its VM */

		if (there)
			vm_set_requester(p->vm, NULL);
		if (there && p->reset)
			vm_spare_reset(p->vm, VM_RESET_SECONDS);
		press_end(p, e);
	} else if (p->settle && p->vm->st.state == VM_PAUSED) {
		/* it resumed and was paused again before the reply arrived */
		press_settled(p, NULL);
	} else {
		vm_wait(p->vm, p->goal, VM_QMP_SECONDS, press_waited, p);
	}
}

static void press_refused(struct vm *vm, struct request *r)
{
	struct err e = ERR_INIT;

	if (vm->mon.unresponsive > 0)
		err_set(&e, ERR_TIMEOUT, "has not responded for %.0f s: %s; nothing was sent",
			clock_boot() - vm->mon.unresponsive, vm->mon.trouble);
	else
		err_set(&e, ERR_TIMEOUT, "QEMU's monitor does not answer: nothing was sent");
	err_hint(&e, "vmkeep kill %s ends it", vm->name);
	request_error(r, &e);
}

static void press(
	struct vm *vm, struct request *r, const char *command, enum vm_goal goal, bool changed)
{
	struct press *p;

	if (!vm->mon.qmp || vm->mon.unresponsive > 0) {
		press_refused(vm, r);
		return;
	}
	p = xcalloc(1, sizeof *p);
	*p = (struct press){ .r = r,
		.vm = vm,
		.goal = goal,
		.changed = changed,
		.reset = streq(command, "system_reset"),
		.settle = vm->mon.io_error && goal == VM_GOAL_RUNNING };
	request_on_gone(r, press_gone, p);
	if (changed && !p->reset)
		vm_set_requester(vm, request_who(r));
	qmp_call(vm->mon.qmp, command, NULL, -1, VM_QMP_SECONDS, press_reply, p);
}

/* OnReboot= applies to resets by the guest; this one was requested by a user. See vm/reset.c. */
static void verb_press_let_reset(struct vm *vm)
{
	vm_call(vm, "set-action", json_pack("{s:s}", "reboot", "reset"), NULL);
	/* after this time OnReboot= applies again, even without a reset; RESET shortens it */
	vm_spare_reset(vm, VM_QMP_SECONDS + VM_RESET_SECONDS);
}

void verb_reset(struct vm *vm, struct request *r)
{
	verb_press_let_reset(vm);
	press(vm, r, "system_reset", vm->st.state == VM_PAUSED ? VM_GOAL_PAUSED : VM_GOAL_RUNNING,
		true);
	if (vm->st.state != VM_PAUSED)
		return;
	/* QEMU then reports it as a guest that never ran; a later daemon must not resume it for
	 * that reason */
	vm->st.paused_start = true;
	vm->st.ending = VM_END_NONE;
	vm_record_write(vm);
}

void verb_pause(struct vm *vm, struct request *r)
{
	press(vm, r, "stop", VM_GOAL_PAUSED, vm->st.state != VM_PAUSED);
}

void verb_resume(struct vm *vm, struct request *r)
{
	if (vm_is_tombstone(vm)) {
		verb_press_let_reset(vm);
		vm_call(vm, "system_reset", NULL, NULL);
	}
	press(vm, r, "cont", VM_GOAL_RUNNING, vm->st.state != VM_RUNNING);
}
