/* SPDX-License-Identifier: MIT */
/* Up, down and in between. Each is done when the state is reached, not when it was asked for. */
#include "base/mem.h"
#include "supervisor/verbs/verb.h"

struct life { /* a verb that waits for a state */
	struct vm *vm;
	struct job *job;
	bool changed, down;
};

static json_t *verb_life_result_of(const char *state, const char *reason, bool is_changed)
{
	json_t *result = json_pack("{s:s, s:b}", "state", state, "changed", is_changed);

	if (reason[0])
		json_object_set_new(result, "reason", json_string(reason));
	return result;
}

/* The state that was waited for. One that is down may be on its way up again by now, for somebody else. */
static json_t *life_result(struct vm *vm, bool down, bool is_changed)
{
	json_t *result, *notes;

	if (down && vm->st.state != VM_STOPPED)
		return verb_life_result_of(vm_state_name(VM_STOPPED), "", is_changed);
	result = verb_life_result_of(vm_state_name(vm->st.state), vm->st.reason, is_changed);
	notes = vm_take_notes(vm);
	if (notes)
		json_object_set_new(result, "notes", notes);
	return result;
}

static void life_done(void *data, const struct err *e)
{
	struct life *l = data;

	job_finish(l->job, e ? NULL : life_result(l->vm, l->down, l->changed), e);
	free(l);
}

struct join { /* a request that waits for a stop under way */
	struct request *r;
	struct vm *vm;
	struct vm_wait *wait;
};

static void verb_life_join_gone(void *data)
{
	struct join *join = data;

	vm_wait_cancel(join->wait);
	free(join);
}

static void verb_life_join_done(void *data, const struct err *e)
{
	struct join *join = data;

	if (e)
		request_error(join->r, e);
	else
		request_return(join->r, life_result(join->vm, true, true));
	free(join);
}

/* One job per VM: the timeout of the stop that was asked for last counts for all who wait. */
static void verb_life_join_stop(struct vm *vm, struct request *r, const struct job *j)
{
	struct join *join;

	if (!request_bool(r, "wait", true)) {
		request_return(r, json_pack("{s:i}", "job", (int)j->id));
		return;
	}
	join = xcalloc(1, sizeof *join);
	*join = (struct join){ .r = r, .vm = vm };
	request_on_gone(r, verb_life_join_gone, join);
	verb_job_started(r, j);
	join->wait = vm_wait(vm, VM_GOAL_DOWN, 0, verb_life_join_done, join);
}

static const char *life_step(const struct job *j)
{
	const struct vm *vm = vms_find(j->daemon->vms, j->vm);

	return vm ? vm_start_step(vm) : NULL;
}

static bool life_is_there(const struct vm *vm, enum vm_goal goal)
{
	if (goal == VM_GOAL_UP)
		return vm_state_is_up(vm->st.state);
	return goal != VM_GOAL_AGAIN && vm->st.state == VM_STOPPED;
}

void verb_life(struct daemon *d, struct vm *vm, struct request *r, verb_act_fn *act,
	enum vm_goal goal, bool joins)
{
	const struct job *before = NULL;
	bool was = life_is_there(vm, goal);
	struct err e = ERR_INIT;
	struct life *l;
	unsigned n;

	if (act && act(vm, r, &e) < 0) {
		request_error(r, &e);
		return;
	}
	if (joins)
		before = job_running(d, request_verb(r)->execute, vm->name, &n);
	if (before) {
		verb_life_join_stop(vm, r, before);
		return;
	}
	l = xcalloc(1, sizeof *l);
	*l = (struct life){
		.vm = vm, .job = verb_job(d, r, vm), .changed = !was, .down = goal == VM_GOAL_DOWN
	};
	l->job->step = life_step;
	vm_wait(vm, goal, 0, life_done, l);
}

static int life_start(struct vm *vm, const struct request *r, struct err *e)
{
	return vm_start(vm, request_bool(r, "paused", false), request_who(r), e);
}

void verb_start(struct daemon *d, struct vm *vm, struct request *r)
{
	verb_life(d, vm, r, life_start, VM_GOAL_UP, false);
}

static int life_stop(struct vm *vm, const struct request *r, struct err *e)
{
	return vm_stop(vm, request_time(r, "timeout", -1), request_who(r), e);
}

void verb_stop(struct daemon *d, struct vm *vm, struct request *r)
{
	verb_life(d, vm, r, life_stop, VM_GOAL_DOWN, true);
}

static int life_kill(struct vm *vm, const struct request *r, struct err *e)
{
	return vm_kill(vm, request_who(r), e);
}

void verb_kill(struct daemon *d, struct vm *vm, struct request *r)
{
	verb_life(d, vm, r, life_kill, VM_GOAL_DOWN, false);
}

/* --- wait --- */

struct wait { /* a request that waits for a state or an address */
	struct request *r;
	struct vm *vm;
	struct vm_wait *wait;
	enum vm_goal goal;
};

static void verb_life_wait_gone(void *data)
{
	struct wait *p = data;

	vm_wait_cancel(p->wait);
	free(p);
}

static void verb_life_wait_done(void *data, const struct err *e)
{
	struct wait *p = data;
	uint32_t address;

	if (e) {
		request_error(p->r, e);
		free(p);
		return;
	}
	json_t *result = json_pack("{s:s}", "state", vm_state_name(p->vm->st.state));

	for (size_t i = 0; p->goal == VM_GOAL_IP && i < p->vm->proc.nics; i++)
		if (p->vm->proc.nic[i].network &&
			networks_address_seen(p->vm->daemon->networks, p->vm->name,
				p->vm->proc.nic[i].id, &address))
			json_object_set_new(result, "address", verb_address(address));
	request_return(p->r, result);
	free(p);
}

void verb_wait(struct daemon *d, struct vm *vm, struct request *r)
{
	/* clang-format off */
	static const struct {
		const char *word;
		enum vm_goal goal;
	} goals[] = {
		{ "stopped", VM_GOAL_STOPPED },
		{ "running", VM_GOAL_RUNNING },
		{ "paused",  VM_GOAL_PAUSED },
		{ "ip",	     VM_GOAL_IP },
	};
	/* clang-format on */
	struct wait *p = xcalloc(1, sizeof *p);

	(void)d;
	*p = (struct wait){ .r = r, .vm = vm };
	for (size_t i = 0; i < ARRAY_SIZE(goals); i++)
		if (streq(goals[i].word, request_string(r, "condition")))
			p->goal = goals[i].goal;
	request_on_gone(r, verb_life_wait_gone, p);
	p->wait = vm_wait(vm, p->goal, request_time(r, "timeout", 0), verb_life_wait_done, p);
}
