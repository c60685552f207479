/* SPDX-License-Identifier: MIT */
/*
 * A guest ended, or a start failed: policy decides what comes next, and everything made for the
 * process is undone.
 */
#include "base/clock.h"
#include "base/log.h"
#include "supervisor/core/sweeper.h"
#include "supervisor/host/cgroup.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/revert.h"
#include "supervisor/vm/start_state.h"

enum { SETTLED_SECONDS = 600, EAGER_RETRY_SECONDS = 5 };

static void gone_set_end_reason(struct vm *vm, const struct policy_verdict *v)
{
	static const char killed[] = "killed: "; /* by the timeout of a stop */
	bool told = vm->st.ending == VM_END_CRASH || vm->st.ending == VM_END_START_FAILED ||
		    vm->st.ending == VM_END_HOST_CAUSE ||
		    (vm->st.ending == VM_END_QUIT &&
			    strncmp(vm->st.reason, killed, strlen(killed)) == 0);
	char old[sizeof vm->st.reason];

	if (!told)
		vm_set_reason(vm, "%s", vm_ending_name(vm->st.ending));
	if (v->why) {
		memcpy(old, vm->st.reason, sizeof old);
		vm_set_reason(vm, "%s; last: %s", v->why, old);
	}
	vm_revert_report(vm);
}

/* A request made during the shutdown overrides policy. */
static struct policy_verdict gone_decide(struct vm *vm)
{
	/* not wanted any more: a VM without a file; a process started for an operation, unless
	 * somebody has requested a start since; a throw-away VM; disks from two points in time */
	bool served = vm->file.throwaway || (vm->st.serves[0] && vm->st.want != VM_WANT_RESTART);
	bool wanted = vm->st.want != VM_WANT_STOPPED && !vm->file.orphan && !served && !vm->revert;

	if (wanted && vm->st.want == VM_WANT_RESTART) {
		vm->st.policy = (struct policy_memory){ .n = 0 };
		return (struct policy_verdict){ .event = VM_EV_GONE_RESTART };
	}
	return policy_gone(&vm->proc.conf, vm->st.ending, wanted, vm->st.by_policy, &vm->st.policy,
		clock_boot());
}

/* It stays down, though not on request. Enable=last does not go by what the host caused: its
 * shutdown may end QEMU with a signal, and what a start at boot lacks may be there at the next. */
static void gone_set_last(struct vm *vm, enum vm_event event)
{
	const enum vm_ending ending = vm->st.ending;
	bool start = ending == VM_END_START_FAILED || ending == VM_END_HOST_CAUSE;

	if (vm->st.want != VM_WANT_STOPPED && !vm->st.serves[0] && ending != VM_END_HOST_SIGNAL &&
		!(start && vm->st.by_policy && event != VM_EV_GONE_FAIL))
		vm->st.last = VM_LAST_DOWN;
}

void vm_exited(struct vm *vm)
{
	struct policy_verdict v;

	free_ptr(&vm->once);
	if (vm_state_has_process(vm->st.state) &&
		clock_boot() - vm->proc.started_boot > SETTLED_SECONDS)
		policy_settled(&vm->st.policy);
	v = gone_decide(vm);
	gone_set_end_reason(vm, &v);
	if (vm->st.want == VM_WANT_RESTART && v.event != VM_EV_GONE_RESTART) {
		_cleanup_(free_ptr) char *last = xstrdup(vm->st.reason);

		/* the reason already has the text of the unfinished revert */
		vm_set_reason(vm, "not started again: %s%s",
			vm->revert ? "" : "its file is gone; last: ", last);
		log_error(vm->name, "%s", vm->st.reason);
	}
	if (v.event != VM_EV_GONE_RESTART) {
		gone_set_last(vm, v.event);
		vm->st.want = VM_WANT_STOPPED;
	} else if (vm->st.want != VM_WANT_RESTART && vm->st.ending != VM_END_QUIT) {
		vm->st.by_policy = true;
		vm->st.paused_start = false;
	}
	if (v.event == VM_EV_GONE_RESTART)
		vm->st.want = VM_WANT_RUNNING;
	vm->st.due = clock_boot() + (policy_is_eager(vm->st.ending, vm->st.eager, daemon_now())
						    ? EAGER_RETRY_SECONDS
						    : v.delay);
	vm_event(vm, v.event, NULL);
	vm_enter_backoff(vm);
}

void vm_enter_backoff(struct vm *vm)
{
	double left = vm->st.due - clock_boot();

	if (vm->st.state == VM_BACKOFF)
		vm_arm(vm, left > 0.001 ? left : 0.001);
	if (vm_state_is_resting(vm->st.state))
		vm_record_write_resting(vm);
}

void vm_clean(struct vm *vm)
{
	start_free(vm);
	vm_monitor_release(vm);
	vm_parts_close(vm, true);
	for (size_t i = 0; i < vm->proc.nics; i++)
		networks_leave(vm->daemon->networks, vm->name, vm->proc.nic[i].net.nic,
			&vm->proc.nic[i].tap);
	/* an operation on this process ended with it; one that needs no process continues */
	if (vm->proc.pidfd >= 0)
		vm->busy = NULL;
	sweeper_close(vm->daemon->sweeper, steal_fd(&vm->proc.mounts));
	vm_process_release(vm);
	vm->st.serves[0] = '\0';
	vm->log.resets.n = 0;
	vm->log.resets.last = vm->log.resets.last_boot = vm->log.resets.spared = 0;
	cgroups_end(vm->daemon->cgroups, vm->name);
	if (vm_state_is_resting(vm->st.state))
		vm_record_rest(vm);
	else
		vm_run_dir_remove(vm);
	close_fd(&vm->state_fd);
}
