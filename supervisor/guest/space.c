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

static bool space_is_wanted(const struct vm *vm)
{
	return vm->st.state == VM_PAUSED && vm->mon.io_error && strncmp(vm->mon.io_error, "nospace", 7) == 0;
}

static void space_tried(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;

	(void)result;
	if (e)
		vm_space_wait(vm);
}

static void space_try(struct vm *vm)
{
	if (vm->mon.unresponsive > 0 || vm->busy) {
		vm_space_wait(vm);
		return;
	}
	vm->mon.space_tries++;
	vm->mon.space_trying = true;
	vm_call(vm, "cont", NULL, space_tried);
}

static void space_timer(void *data)
{
	struct vm *vm = data;

	if (!vm->mon.qmp) {
		vm->mon.space_trying = false;
	} else if (space_is_wanted(vm)) {
		space_try(vm);
	} else if (vm->st.state == VM_RUNNING && vm->mon.space_trying) {
		vm->mon.space_trying = false;
		vm->mon.space_tries = 0;
		log_info(vm->name, "runs again: there is space");
		vm_history(vm, "resumed", "policy", "there is space again");
	}
}

static void space_arm(struct vm *vm, double seconds)
{
	loop_timer_stop(&vm->mon.space);
	loop_timer_init(&vm->mon.space, vm->daemon->loop.ev, space_timer, vm);
	loop_timer_start(&vm->mon.space, seconds);
}

void vm_space_wait(struct vm *vm)
{
	double delay = FIRST_TRY;

	vm->mon.space_trying = false;
	if (!space_is_wanted(vm))
		return;
	for (unsigned i = 0; i < vm->mon.space_tries && delay < LONGEST_WAIT; i++)
		delay *= 2;
	space_arm(vm, delay < LONGEST_WAIT ? delay : LONGEST_WAIT);
}

void vm_space_resumed(struct vm *vm)
{
	if (vm->mon.space_trying)
		space_arm(vm, STEADY);
	else
		vm->mon.space_tries = 0;
}
