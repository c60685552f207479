/* SPDX-License-Identifier: MIT */
/*
 * The one timer of a VM's state. A deadline of it is over when we and the guest had all of its time:
 * what was lost meanwhile (base/clock.h) is given back.
 */
#include <math.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/vm/vm.h"

#define STOP_TICK 1.0 /* seconds: what is left of a stop is recorded so often, for the next daemon to go on with */

void vm_arm(struct vm *vm, double seconds)
{
	struct ev_loop *ev = vm->daemon->loop.ev;

	ev_timer_stop(ev, &vm->timer);
	if (seconds <= 0)
		return;
	vm->timer_due = daemon_now() + seconds;
	ev_now_update(ev);
	ev_timer_set(&vm->timer, vm->st.state == VM_STOPPING && seconds > STOP_TICK ? STOP_TICK : seconds, 0);
	ev_timer_start(ev, &vm->timer);
}

double vm_start_left(const struct vm *vm)
{
	double left = (double)vm->proc.conf.timeout_start_ms / 1000 - (daemon_now() - vm->proc.begun);

	if (vm->proc.conf.timeout_start_ms == UINT64_MAX)
		return INFINITY;
	return left > 0.01 ? left : 0.01;
}

void vm_arm_start(struct vm *vm)
{
	double left = vm_start_left(vm);

	vm_arm(vm, isinf(left) ? 0 : left);
}

/* The guest may have had no time to act on it, or was away itself. */
static bool lost_since_press(const struct vm *vm)
{
	return clock_lost() - vm->stop.pressed > CLOCK_GAP;
}

static void on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct vm *vm = w->data;
	double early = vm->timer_due - daemon_now();

	(void)ev, (void)revents;
	/* a tick; or something held us up, which is nobody's fault */
	if (early > 0.001) {
		if (vm->st.state == VM_STOPPING)
			vm_record_write(vm);
		vm_arm(vm, early);
		return;
	}
	if (vm->st.state == VM_STOPPING && daemon_now() >= vm->stop.deadline && lost_since_press(vm)) {
		log_info(vm->name, "is asked once more: this daemon was stopped, or the host slept");
		vm->stop.deadline = daemon_now() + VM_PRESS_SECONDS;
	} else if (vm->st.state == VM_STOPPING && daemon_now() >= vm->stop.deadline) {
		bool leave = vm->proc.conf.on_stop_timeout == CONF_STOP_TIMEOUT_LEAVE;

		vm->stop.left = leave;
		if (leave)
			vm->st.want = VM_WANT_RUNNING;
		vm_event(vm, leave ? VM_EV_STOP_LEAVE : VM_EV_STOP_KILL,
			leave ? "guest ignored the power button" : "stop timed out");
		return;
	}
	if (!vm_space_timer(vm))
		vm_event(vm, VM_EV_TIMER, NULL);
}

void vm_timer_init(struct vm *vm)
{
	ev_timer_init(&vm->timer, on_timer, 0, 0);
	vm->timer.data = vm;
}
