/* SPDX-License-Identifier: MIT */
/*
 * The one timer of a VM's state. A deadline only expires once we and the guest had all of its
 * time: lost time (base/clock.h) is given back.
 */
#include <math.h>

#include "supervisor/vm/vm.h"

#define STOP_TICK \
	1.0 /* seconds: how often the time left of a stop is recorded, for the next daemon */

void vm_arm(struct vm *vm, double seconds)
{
	loop_timer_stop(&vm->timer);
	if (seconds <= 0)
		return;
	vm->timer_due = daemon_now() + seconds;
	loop_timer_start(&vm->timer,
		vm->st.state == VM_STOPPING && seconds > STOP_TICK ? STOP_TICK : seconds);
}

bool vm_timer_is_over(struct vm *vm)
{
	double early = vm->timer_due - daemon_now();

	/* a tick, or time was lost */
	if (early <= 0.001)
		return true;
	if (vm->st.state == VM_STOPPING)
		vm_record_write(vm);
	vm_arm(vm, early);
	return false;
}

double vm_start_left(const struct vm *vm)
{
	double left =
		(double)vm->proc.conf.timeout_start_ms / 1000 - (daemon_now() - vm->proc.begun);

	if (vm->proc.conf.timeout_start_ms == UINT64_MAX)
		return INFINITY;
	return left > 0.01 ? left : 0.01;
}

void vm_arm_start(struct vm *vm)
{
	double left = vm_start_left(vm);

	vm_arm(vm, isinf(left) ? 0 : left);
}
