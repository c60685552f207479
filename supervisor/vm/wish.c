/* SPDX-License-Identifier: MIT */
/* The desired state of a VM, its requester, and what prevents a start. */
#include "base/log.h"
#include "supervisor/vm/adopt.h"
#include "supervisor/vm/bases.h"
#include "supervisor/vm/ended.h"
#include "supervisor/vm/part.h"
#include "supervisor/vm/revert.h"

/* --- what prevents a start --- */

/* A process known only from an unreadable record may still be running: see adopt.c. */
static int wish_check_unread(struct vm *vm, struct err *e)
{
	if (vm->held.why && proc_is(vm->held.pid, vm->held.starttime)) {
		err_set(e, ERR_CONFLICT, "%s", vm->held.why);
		return err_hint(e,
			"install the version of vmkeep that started it, or shut the guest down from inside");
	}
	free_ptr(&vm->held.why);
	return 0;
}

int vm_is_free(struct vm *vm, struct err *e)
{
	/* the operation's own start; a process left over from an earlier operation does not
	 * excuse the next */
	bool own = vm->busy && streq(vm->busy, vm->st.serves);

	if (wish_check_unread(vm, e) < 0)
		return e->number;
	if (!vm->busy || own)
		return 0;
	err_set(e, ERR_CONFLICT, "%s is under way", vm->busy);
	return err_hint(e, "vmkeep jobs shows its progress");
}

int vm_may_start(struct vm *vm, bool asked, struct err *e)
{
	bool own = vm->busy && streq(vm->busy, vm->st.serves);

	if (vm_is_free(vm, e) < 0)
		return e->number;
	if (!own && vm_revert_check(vm, e) < 0) {
		vm_revert_again(vm);
		return e->number;
	}
	if (vm->file.orphan)
		return err_set(e, ERR_NOT_FOUND, "its file is gone");
	if (vm->file.problems && (asked || !vm->file.have_conf))
		return err_set(e, ERR_INVALID_CONFIG, "%s", vm->file.problems);
	return vm_template_check(vm, e);
}

/* with_host: the host goes down, which is no word on whether the VM starts with it again. */
static void wish_set(struct vm *vm, enum vm_want want, bool with_host)
{
	bool missed = vm->st.missed;

	vm->st.want = want;
	vm->st.missed = false;
	/* nor is a process that only an operation wants */
	if (!with_host && !vm->st.serves[0])
		vm->st.last = want == VM_WANT_STOPPED ? VM_LAST_DOWN : VM_LAST_UP;
	if (missed || vm->st.last != vm->st.noted_last)
		ended_save(vm);
	vm_observed_wish(vm);
}

/* --- up --- */

static void wish_begin_start(struct vm *vm, bool paused, bool by_policy, const char *who)
{
	log_debug(vm->name, "start by %s", who);
	vm_set_requester(vm, who);
	free_ptr(&vm->start_error);
	vm->st.paused_start = paused;
	vm->st.policy = (struct policy_memory){ .n = 0 };
	vm->st.by_policy = by_policy;
}

static int wish_start(struct vm *vm, bool paused, bool by_policy, const char *who, struct err *e)
{
	bool up;

	adopt_unrecorded(vm);
	up = vm_state_has_process(vm->st.state) && vm->st.state != VM_QUITTING;
	/* it will start again anyway */
	if (vm->st.state == VM_STOPPING && vm->st.want == VM_WANT_RESTART)
		return 0;
	if (vm->st.state == VM_STOPPING)
		return err_set(e, ERR_WRONG_STATE, "is stopping");
	if ((!up || vm->busy) && vm_may_start(vm, true, e) < 0)
		return e->number;
	if (vm->st.want == VM_WANT_STOPPED || !up)
		wish_begin_start(vm, paused, by_policy, who);
	/* however the process ends, a start follows */
	wish_set(vm, vm->st.state == VM_QUITTING ? VM_WANT_RESTART : VM_WANT_RUNNING, false);
	if (vm->st.want == VM_WANT_RESTART)
		snprintf(vm->st.again, sizeof vm->st.again, "%s", who);
	vm->stop.left = false;
	vm_event(vm, VM_EV_START, NULL);
	return 0;
}

int vm_start(struct vm *vm, bool paused, const char *who, struct err *e)
{
	return wish_start(vm, paused, false, who, e);
}

int vm_start_at_boot(struct vm *vm, struct err *e)
{
	return wish_start(vm, false, true, vm_boot_requester(vm), e);
}

int vm_start_for(struct vm *vm, bool paused, const char *who, struct err *e)
{
	int r;

	snprintf(vm->st.serves, sizeof vm->st.serves, "%s", vm->busy);
	r = wish_start(vm, paused, false, who, e);
	if (r < 0)
		vm->st.serves[0] = '\0';
	return r;
}

void vm_keep(struct vm *vm)
{
	vm->st.serves[0] = '\0';
	vm->st.last = VM_LAST_UP;
	ended_save(vm);
	vm_record_write(vm);
}

void vm_idle(struct vm *vm)
{
	vm->busy = NULL;
	/* its file disappeared in the meantime */
	if (vm->file.orphan && !vm_state_has_process(vm->st.state))
		vm->daemon->vms->changed = true;
	vm_observed_state(vm);
}

/* --- down --- */

/* If neither the monitor nor the agent can be reached, nothing can ask the guest. */
static int wish_check_monitor(struct vm *vm, struct err *e)
{
	if (!vm_state_is_up(vm->st.state) || vm->mon.hostile_since > 0 || vm_is_tombstone(vm))
		return 0;
	if (!vm->mon.qmp)
		vm_connect_monitor(vm);
	if (vm->mon.qmp || vm_parts_power_off(vm, false))
		return 0;
	err_set(e, ERR_WRONG_STATE,
		"its monitor cannot be reached, so it cannot be asked to power off");
	return err_hint(e, "vmkeep kill %s ends it; or shut it down from inside", vm->name);
}

static int wish_check_can_power_off(struct vm *vm, struct err *e)
{
	adopt_unrecorded(vm);
	if (wish_check_unread(vm, e) < 0 || wish_check_monitor(vm, e) < 0)
		return e->number;
	if (vm->st.state != VM_PAUSED || !vm->mon.io_error)
		return 0;
	err_set(e, ERR_WRONG_STATE, "is paused by an i/o error (%s): the guest cannot power off",
		vm->mon.io_error);
	return err_hint(e,
		"vmkeep kill %s forces it off; what the guest had written so far is on disk",
		vm->name);
}

/* After wish_set(). */
static void wish_ask_to_power_off(struct vm *vm, double timeout)
{
	uint64_t ms = vm->proc.conf.timeout_stop_ms;

	if (timeout < 0)
		timeout = ms == UINT64_MAX ? 1e9 : (double)ms / 1000;
	vm->stop.left = false;
	vm->stop.timeout = timeout;
	vm->stop.deadline = daemon_now() + timeout;
	vm->stop.agent_asked = false;
	vm->stop.presses = 0;
	if (vm_is_tombstone(vm)) {
		vm_event(vm, VM_EV_ENDED, NULL);
		return;
	}
	/* a paused guest cannot act on its power button */
	if (vm->st.state == VM_PAUSED)
		vm_call(vm, "cont", NULL, NULL);
	vm_event(vm, VM_EV_STOP, NULL);
}

static int wish_stop(struct vm *vm, bool with_host, double timeout, const char *who, struct err *e)
{
	if (wish_check_can_power_off(vm, e) < 0)
		return e->number;
	log_debug(vm->name, "stop by %s", who);
	vm_set_requester(vm, who);
	wish_set(vm, VM_WANT_STOPPED, with_host);
	wish_ask_to_power_off(vm, timeout);
	return 0;
}

int vm_stop(struct vm *vm, double timeout, const char *who, struct err *e)
{
	return wish_stop(vm, false, timeout, who, e);
}

int vm_stop_with_host(struct vm *vm, double timeout, const char *who, struct err *e)
{
	return wish_stop(vm, true, timeout, who, e);
}

int vm_reboot(struct vm *vm, double timeout, const char *who, struct err *e)
{
	if (wish_check_can_power_off(vm, e) < 0)
		return e->number;
	log_debug(vm->name, "reboot by %s", who);
	snprintf(vm->st.again, sizeof vm->st.again, "%s", who);
	vm->st.by_policy = vm->st.paused_start = false;
	vm_set_requester(vm, who);
	wish_set(vm, VM_WANT_RESTART, false);
	wish_ask_to_power_off(vm, timeout);
	return 0;
}

static int wish_kill(struct vm *vm, bool with_host, const char *who, struct err *e)
{
	adopt_unrecorded(vm);
	if (wish_check_unread(vm, e) < 0)
		return e->number;
	log_debug(vm->name, "kill by %s", who);
	vm_set_requester(vm, who);
	wish_set(vm, VM_WANT_STOPPED, with_host);
	vm->stop.left = false;
	vm_event(vm, VM_EV_KILL, vm_state_has_process(vm->st.state) ? "killed" : NULL);
	return 0;
}

int vm_kill(struct vm *vm, const char *who, struct err *e)
{
	return wish_kill(vm, false, who, e);
}

int vm_kill_with_host(struct vm *vm, const char *who, struct err *e)
{
	return wish_kill(vm, true, who, e);
}

void vm_reset_failed(struct vm *vm, const char *who)
{
	log_debug(vm->name, "reset-failed by %s", who);
	vm_history(vm, "reset-failed", who, NULL);
	vm->st.policy = (struct policy_memory){ 0 };
	vm->st.missed = false;
	if (vm_state_is_down(vm->st.state) && vm->st.state != VM_BACKOFF && !vm->revert) {
		free_ptr(&vm->start_error);
		vm->st.ending = VM_END_NONE;
		vm_set_reason(vm, "%s", "");
	}
	ended_save(vm);
	if (vm->st.state == VM_FAILED) {
		vm_set_requester(vm, who);
		vm_event(vm, VM_EV_STOP, "");
	} else if (vm->st.state == VM_BACKOFF) {
		vm_record_write_resting(vm);
	} else if (vm_state_has_process(vm->st.state)) {
		vm_record_write(vm);
	}
}
