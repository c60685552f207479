/* SPDX-License-Identifier: MIT */
/*
 * A guest that ran out of space on the host stands still until somebody makes room. Policy tries
 * `cont` from time to time, for its success means nothing: QEMU stops the guest again at the next
 * write. Only a guest that still runs a second later counts. A broken disk is never tried by
 * itself.
 */
#include "base/log.h"
#include "supervisor/vm/vm.h"

static const double FIRST_TRY = 10, LONGEST_WAIT = 300, STEADY = 1; /* seconds */

static bool waits_for_space(const struct vm *vm)
{
	return vm->st.state == VM_PAUSED && vm->mon.io_error && strncmp(vm->mon.io_error, "nospace", 7) == 0;
}

void vm_space_wait(struct vm *vm)
{
	double delay = FIRST_TRY;

	vm->mon.space_trying = false;
	if (!waits_for_space(vm))
		return;
	for (unsigned i = 0; i < vm->mon.space_tries && delay < LONGEST_WAIT; i++)
		delay *= 2;
	vm_arm(vm, delay < LONGEST_WAIT ? delay : LONGEST_WAIT);
}

static void on_tried(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;

	(void)result;
	if (e)
		vm_space_wait(vm);
}

/* The state's one timer is free here: other uses begin when the monitor is lost. */
bool vm_space_timer(struct vm *vm)
{
	if (!vm->mon.qmp) {
		vm->mon.space_trying = false;
		return false;
	}
	if (waits_for_space(vm)) {
		if (vm->mon.unresponsive > 0 || vm->busy) {
			vm_space_wait(vm);
			return true;
		}
		vm->mon.space_tries++;
		vm->mon.space_trying = true;
		vm_call(vm, "cont", NULL, on_tried);
		return true;
	}
	if (vm->st.state != VM_RUNNING || !vm->mon.space_trying)
		return false;
	vm->mon.space_trying = false;
	vm->mon.space_tries = 0;
	log_info(vm->name, "runs again: there is space");
	vm_history(vm, "resumed", "policy", "there is space again");
	/* the timer may have been meant for others as well */
	return false;
}

void vm_space_resumed(struct vm *vm)
{
	if (vm->mon.space_trying)
		vm_arm(vm, STEADY);
	else
		vm->mon.space_tries = 0;
}
