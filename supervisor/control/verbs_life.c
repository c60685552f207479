/* SPDX-License-Identifier: MIT */
/* Up, down and in between. Each is done when the state is reached, not when it was asked for. */
#include "base/mem.h"
#include "supervisor/control/verbs.h"

struct life { /* a verb that waits for a state */
	struct vm *vm;
	struct job *job;
	bool changed, again; /* again: down now, up next */
};

static void life_done(void *data, const struct err *e);

static json_t *life_result(struct vm *vm, bool is_changed)
{
	json_t *result = json_pack("{s:s, s:b}", "state", vm_state_name(vm->state), "changed", is_changed), *notes;

	if (vm->reason[0])
		json_object_set_new(result, "reason", json_string(vm->reason));
	notes = vm_take_notes(vm);
	if (notes)
		json_object_set_new(result, "notes", notes);
	return result;
}

static void life_finish(struct life *l, const struct err *e)
{
	job_finish(l->job, e ? NULL : life_result(l->vm, l->changed), e);
	free(l);
}

static void life_up(struct life *l)
{
	struct err e = ERR_INIT;

	l->again = false;
	if (vm_start(l->vm, false, l->job->who, &e) < 0)
		life_finish(l, &e);
	else
		vm_wait(l->vm, VM_GOAL_UP, 0, life_done, l);
}

static void life_done(void *data, const struct err *e)
{
	struct life *l = data;

	if (!e && l->again)
		life_up(l);
	else
		life_finish(l, e);
}

static struct life *life_new(struct daemon *d, struct request *r, struct vm *vm, const char *verb)
{
	struct life *l = xcalloc(1, sizeof *l);

	l->vm = vm;
	l->job = verb_job(d, r, verb, vm->name);
	return l;
}

/* A save or a load holds the disks: neither stop nor kill may tear it apart unasked. */
static bool is_busy(struct request *r, const struct vm *vm)
{
	struct err e = ERR_INIT;

	if (!vm->busy)
		return false;
	err_set(&e, ERR_CONFLICT, "%s is under way", vm->busy);
	err_hint(&e, "vmkeep jobs shows how far it is");
	request_error(r, &e);
	return true;
}

void verb_start(void *data, struct request *r)
{
	struct vm *vm = verb_vm(data, r);
	struct err e = ERR_INIT;
	bool was;

	if (!vm || is_busy(r, vm))
		return;
	was = vm->state == VM_RUNNING || vm->state == VM_PAUSED;
	if (vm_start(vm, request_bool(r, "paused", false), request_who(r), &e) < 0) {
		request_error(r, &e);
		return;
	}
	struct life *l = life_new(data, r, vm, "vm-start");

	l->changed = !was;
	vm_wait(vm, VM_GOAL_UP, 0, life_done, l);
}

struct join { /* a request that waits for a stop under way */
	struct request *r;
	struct vm *vm;
	struct vm_wait *wait;
};

static void join_gone(void *data)
{
	struct join *join = data;

	vm_wait_cancel(join->wait);
	free(join);
}

static void join_done(void *data, const struct err *e)
{
	struct join *join = data;

	if (e)
		request_error(join->r, e);
	else
		request_return(join->r, life_result(join->vm, true));
	free(join);
}

/* One job per VM: the timeout of the stop that was asked for last counts for all who wait. */
static void join_stop(struct vm *vm, struct request *r, const struct job *j)
{
	struct join *join;

	if (!request_bool(r, "wait", true)) {
		request_return(r, json_pack("{s:i}", "job", (int)j->id));
		return;
	}
	join = xcalloc(1, sizeof *join);
	*join = (struct join){ .r = r, .vm = vm };
	request_on_gone(r, join_gone, join);
	verb_job_started(r, j);
	join->wait = vm_wait(vm, VM_GOAL_DOWN, 0, join_done, join);
}

void verb_stop(void *data, struct request *r)
{
	struct vm *vm = verb_vm(data, r);
	struct err e = ERR_INIT;
	const struct job *before;
	unsigned n;
	bool was;

	if (!vm || is_busy(r, vm))
		return;
	was = vm->state != VM_STOPPED;
	if (vm_stop(vm, request_time(r, "timeout", -1), request_who(r), &e) < 0) {
		request_error(r, &e);
		return;
	}
	before = job_running(data, "vm-stop", vm->name, &n);
	if (before) {
		join_stop(vm, r, before);
		return;
	}
	struct life *l = life_new(data, r, vm, "vm-stop");

	l->changed = was;
	vm_wait(vm, VM_GOAL_DOWN, 0, life_done, l);
}

void verb_kill(void *data, struct request *r)
{
	struct vm *vm = verb_vm(data, r);
	struct err e = ERR_INIT;
	bool was;

	if (!vm)
		return;
	was = vm->state != VM_STOPPED;
	if (vm_kill(vm, request_who(r), &e) < 0) {
		request_error(r, &e);
		return;
	}
	struct life *l = life_new(data, r, vm, "vm-kill");

	l->changed = was;
	vm_wait(vm, VM_GOAL_GONE, 0, life_done, l);
}

void verb_reboot(void *data, struct request *r)
{
	struct vm *vm = verb_vm(data, r);
	struct err e = ERR_INIT;

	if (!vm || is_busy(r, vm) || !verb_needs_guest(r, vm))
		return;
	if (vm_stop(vm, request_time(r, "timeout", -1), request_who(r), &e) < 0) {
		request_error(r, &e);
		return;
	}
	struct life *l = life_new(data, r, vm, "vm-reboot");

	l->changed = l->again = true;
	vm_wait(vm, VM_GOAL_DOWN, 0, life_done, l);
}

/* --- what one QMP command does --- */

struct press { /* a request that waits for QEMU and then for a state */
	struct request *r;
	struct vm *vm;
	struct vm_wait *wait;
	enum vm_goal goal;
	bool changed;
	bool settle; /* it stood still for an i/o error: running is not enough, it has to last */
};

static const double STEADY = 1; /* seconds: a write that still fails takes less */

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
		request_return(p->r, json_pack("{s:s, s:b}", "state", vm_state_name(p->vm->state), "changed",
						   p->changed));
	free(p);
}

static void press_settled(void *data, const struct err *e)
{
	struct press *p = data;
	struct err own = ERR_INIT;

	/* the time went by without another pause */
	if (e && e->class == ERR_TIMEOUT && p->vm->state == VM_RUNNING) {
		press_end(p, NULL);
		return;
	}
	err_set(&own, ERR_FAILED, "stopped again: %s", p->vm->reason);
	err_hint(&own, "what was wrong still is; where space ran out, it goes on by itself once there is some");
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

static void press_reply(void *data, const json_t *result, const struct err *e)
{
	struct press *p = data;

	(void)result;
	if (e) {
		if (e->class != ERR_UNREACHABLE)
			vm_asked(p->vm, NULL);
		press_end(p, e);
	} else if (p->settle && p->vm->state == VM_PAUSED) {
		/* it ran, and stopped again before QEMU said that it ran */
		press_settled(p, NULL);
	} else {
		vm_wait(p->vm, p->goal, VM_QMP_SECONDS, press_waited, p);
	}
}

static void press_refused(struct vm *vm, struct request *r)
{
	struct err e = ERR_INIT;

	if (vm->unresponsive > 0)
		err_set(&e, ERR_TIMEOUT, "does not answer since %.0f s: %s", ev_time() - vm->unresponsive,
			vm->trouble);
	else
		err_set(&e, ERR_TIMEOUT, "its monitor does not answer");
	err_hint(&e, "vmkeep kill %s ends it", vm->name);
	request_error(r, &e);
}

static void press(struct vm *vm, struct request *r, const char *command, enum vm_goal goal, bool changed)
{
	struct press *p;

	if (!vm->qmp || vm->unresponsive > 0) {
		press_refused(vm, r);
		return;
	}
	p = xcalloc(1, sizeof *p);
	*p = (struct press){ .r = r, .vm = vm, .goal = goal, .changed = changed,
		.settle = vm->io_error && goal == VM_GOAL_RUNNING };
	request_on_gone(r, press_gone, p);
	if (changed && !streq(command, "system_reset"))
		vm_asked(vm, request_who(r));
	qmp_call(vm->qmp, command, NULL, -1, VM_QMP_SECONDS, press_reply, p);
}

/* OnReboot= is about the guest's own: this one is a person's. See expect_reset() in vm/join.c. */
static void let_reset(struct vm *vm)
{
	vm_call(vm, "set-action", json_pack("{s:s}", "reboot", "reset"), NULL);
}

void verb_reset(void *data, struct request *r)
{
	struct vm *vm = verb_vm(data, r);

	if (!vm || is_busy(r, vm) || !verb_needs_guest(r, vm))
		return;
	vm_history(vm, "reset", request_who(r), NULL);
	let_reset(vm);
	press(vm, r, "system_reset", vm->state == VM_PAUSED ? VM_GOAL_PAUSED : VM_GOAL_RUNNING, true);
	if (vm->state != VM_PAUSED)
		return;
	/* QEMU then takes it for one that never ran; a later daemon must not let it go for that */
	vm->paused_start = true;
	vm->ending = VM_END_NONE;
	vm_record_write(vm);
}

void verb_pause(void *data, struct request *r)
{
	struct vm *vm = verb_vm(data, r);

	if (vm && !is_busy(r, vm) && verb_needs_guest(r, vm))
		press(vm, r, "stop", VM_GOAL_PAUSED, vm->state != VM_PAUSED);
}

void verb_resume(void *data, struct request *r)
{
	struct vm *vm = verb_vm(data, r);

	if (!vm || is_busy(r, vm) || !verb_needs_guest(r, vm))
		return;
	if (vm_is_tombstone(vm)) {
		let_reset(vm);
		vm_call(vm, "system_reset", NULL, NULL);
	}
	press(vm, r, "cont", VM_GOAL_RUNNING, vm->state != VM_RUNNING);
}

/* --- wait --- */

static void wait_gone(void *data)
{
	struct press *p = data;

	vm_wait_cancel(p->wait);
	free(p);
}

static void wait_done(void *data, const struct err *e)
{
	struct press *p = data;
	uint32_t address;

	if (e) {
		request_error(p->r, e);
		free(p);
		return;
	}
	json_t *result = json_pack("{s:s}", "state", vm_state_name(p->vm->state));

	for (size_t i = 0; p->goal == VM_GOAL_IP && i < p->vm->nics; i++)
		if (p->vm->nic[i].network &&
			networks_address_seen(p->vm->daemon->networks, p->vm->name, p->vm->nic[i].id, &address))
			json_object_set_new(result, "address", verb_address(address));
	request_return(p->r, result);
	free(p);
}

void verb_wait(void *data, struct request *r)
{
	static const struct {
		const char *word;
		enum vm_goal goal;
	} goals[] = {
		{ "stopped", VM_GOAL_STOPPED },
		{ "running", VM_GOAL_RUNNING },
		{ "paused",  VM_GOAL_PAUSED },
		{ "ip",	     VM_GOAL_IP },
	};
	struct vm *vm = verb_vm(data, r);
	struct press *p;

	if (!vm)
		return;
	p = xcalloc(1, sizeof *p);
	*p = (struct press){ .r = r, .vm = vm };
	for (size_t i = 0; i < ARRAY_SIZE(goals); i++)
		if (streq(goals[i].word, request_string(r, "condition")))
			p->goal = goals[i].goal;
	request_on_gone(r, wait_gone, p);
	p->wait = vm_wait(vm, p->goal, request_time(r, "timeout", 0), wait_done, p);
}
