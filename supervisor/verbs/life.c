/* SPDX-License-Identifier: MIT */
/* start, stop, kill, wait, ssh. Each completes when the state is reached, not when it is requested. */
#include "base/mem.h"
#include "supervisor/start/once.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/verbs/quota.h"
#include "supervisor/verbs/verb.h"

enum { SSH_SECONDS = 60 };

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

/* The state that was waited for. After a stop the VM may already be starting again for another
 * client. */
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

static json_t *life_is_down(struct vm *vm)
{
	return life_result(vm, true, true);
}

/* Stops share one job per VM: the timeout of the latest request applies to all waiters. */
static void verb_life_join_stop(struct vm *vm, struct request *r, const struct job *j)
{
	if (!request_bool(r, "wait", true)) {
		request_return(r, json_pack("{s:i}", "job", (int)j->id));
		return;
	}
	verb_job_started(r, j);
	verb_wait_for(r, vm, VM_GOAL_DOWN, 0, life_is_down);
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

void verb_life(struct vm *vm, struct request *r, verb_act_fn *act, enum vm_goal goal)
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
	request_on_error(r, NULL, NULL); /* from here on the state tells */
	if (request_verb(r)->traits & API_SHARED)
		before = job_running(vm->daemon, request_verb(r)->execute, vm->name, &n);
	if (before) {
		verb_life_join_stop(vm, r, before);
		return;
	}
	l = xcalloc(1, sizeof *l);
	*l = (struct life){ .vm = vm,
		.job = verb_job(vm->daemon, r, vm),
		.changed = !was,
		.down = goal == VM_GOAL_DOWN };
	l->job->step = life_step;
	l->job->by_state = true;
	vm_wait(vm, goal, 0, life_done, l);
}

/* The rules for Path= of a CD, see edit_may(). */
static int life_may_boot(
	const struct vm *vm, const struct request *r, const char *iso, struct err *e)
{
	if (!iso != !request_bool(r, "once", false))
		return err_set(e, ERR_USAGE, "--iso and --once belong together");
	if (!iso)
		return 0;
	if (!vm_state_is_down(vm->st.state)) {
		err_set(e, ERR_WRONG_STATE, "is %s: a CD to boot from is for a start",
			vm_state_name(vm->st.state));
		return err_hint(e, "vmkeep stop %s first", vm->name);
	}
	if (request_role(r) < API_ROLE_OPERATOR)
		return err_set(
			e, ERR_PERMISSION, "only an operator may use another image, '%s'", iso);
	if (edit_is_outside(vm->daemon, iso) && request_role(r) < API_ROLE_ROOT)
		return err_set(e, ERR_PERMISSION,
			"only root may use '%s': it is outside of the stores", iso);
	return 0;
}

static int life_start(struct vm *vm, const struct request *r, struct err *e)
{
	const char *iso = request_string(r, "iso");

	if (life_may_boot(vm, r, iso, e) < 0 ||
		quota_check(vm->daemon, request_role(r), request_peer(r), vm->name, NULL,
			&vm->file.conf, e) < 0 ||
		once_set(vm, iso, false, e) < 0)
		return e->number;
	return vm_start(vm, request_bool(r, "paused", false), request_who(r), e);
}

void verb_start(struct vm *vm, struct request *r)
{
	verb_life(vm, r, life_start, VM_GOAL_UP);
}

static int life_stop(struct vm *vm, const struct request *r, struct err *e)
{
	return vm_stop(vm, request_time(r, "timeout", -1), request_who(r), e);
}

void verb_stop(struct vm *vm, struct request *r)
{
	verb_life(vm, r, life_stop, VM_GOAL_DOWN);
}

static int life_kill(struct vm *vm, const struct request *r, struct err *e)
{
	return vm_kill(vm, request_who(r), e);
}

void verb_kill(struct vm *vm, struct request *r)
{
	verb_life(vm, r, life_kill, VM_GOAL_DOWN);
}

/* --- wait --- */

struct wait { /* a request that waits for a state or an address */
	struct request *r;
	struct vm *vm;
	struct vm_wait *wait;
	verb_result_fn *result;
};

static void verb_life_wait_gone(void *data)
{
	struct wait *w = data;

	vm_wait_cancel(w->wait);
	free(w);
}

static void verb_life_wait_done(void *data, const struct err *e)
{
	struct wait *w = data;

	request_answer(w->r, e ? NULL : w->result(w->vm), e);
	free(w);
}

void verb_wait_for(
	struct request *r, struct vm *vm, enum vm_goal goal, double timeout, verb_result_fn *result)
{
	struct wait *w = xcalloc(1, sizeof *w);

	*w = (struct wait){ .r = r, .vm = vm, .result = result };
	request_on_gone(r, verb_life_wait_gone, w);
	w->wait = vm_wait(vm, goal, timeout, verb_life_wait_done, w);
}

static json_t *life_state(struct vm *vm)
{
	return json_pack("{s:s}", "state", vm_state_name(vm->st.state));
}

static json_t *life_address(struct vm *vm)
{
	json_t *result = life_state(vm);
	const uint32_t address = vm_address(vm);

	if (address)
		json_object_set_new(result, "address", verb_address(address));
	return result;
}

void verb_wait(struct vm *vm, struct request *r)
{
	/* clang-format off */
	static const struct {
		const char *word;
		enum vm_goal goal;
	} goals[] = {
		{ "stopped", VM_GOAL_STOPPED },
		{ "running", VM_GOAL_RUNNING },
		{ "paused",  VM_GOAL_PAUSED },
	};
	/* clang-format on */
	enum vm_goal goal = VM_GOAL_IP;

	for (size_t i = 0; i < ARRAY_SIZE(goals); i++)
		if (streq(goals[i].word, request_string(r, "condition")))
			goal = goals[i].goal;
	verb_wait_for(r, vm, goal, request_time(r, "timeout", 0),
		goal == VM_GOAL_IP ? life_address : life_state);
}

static json_t *life_ssh(struct vm *vm)
{
	const char *uuid = vm->proc.conf.uuid, *user = vm->proc.conf.seed.user;
	json_t *result = life_address(vm);

	json_object_set_new(result, "uuid", json_string(uuid ? uuid : vm->identity.uuid));
	json_object_set_new(result, "user", user ? json_string(user) : json_null());
	return result;
}

void verb_ssh(struct vm *vm, struct request *r)
{
	verb_wait_for(r, vm, VM_GOAL_IP, request_time(r, "timeout", SSH_SECONDS), life_ssh);
}
