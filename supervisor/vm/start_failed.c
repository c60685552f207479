/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "supervisor/vm/start_state.h"

void vm_start_failed(struct vm *vm, enum vm_ending whose, const struct err *e)
{
	if (!vm->start_error)
		vm->start_error = xcalloc(1, sizeof *vm->start_error);
	err_copy(vm->start_error, e);
	log_error(vm->name, "start failed%s%s: %s", vm->start ? " at its step " : "",
		vm->start ? vm->start->step->name : "", e->text);
	vm->st.ending = whose;
	vm_set_reason(vm, "start failed: %s", e->text);
}

void vm_start_fail(struct vm *vm, enum vm_ending whose, const struct err *e)
{
	vm_start_failed(vm, whose, e);
	if (vm->proc.pidfd < 0)
		vm_exited(vm);
	else
		vm_event(vm, VM_EV_BROKEN, NULL);
}
