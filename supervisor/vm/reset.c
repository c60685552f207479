/* SPDX-License-Identifier: MIT */
/*
 * OnReboot= applies to resets by the guest itself: unless the reboot continues in place, it
 * leaves a tombstone like a power-off. After a manual reset SeaBIOS resets once more, because
 * its code in RAM is not pristine. Only some seconds later does a reset count as the guest's
 * own.
 */
#include "supervisor/vm/vm.h"

void vm_set_reboot_action(struct vm *vm)
{
	if (vm->proc.conf.on_reboot != CONF_ENDING_RESTART)
		vm_call(vm, "set-action", json_pack("{s:s}", "reboot", "shutdown"), NULL);
}

/* A paused guest cannot reset: the delay starts again when it resumes. */
static void reset_spared(void *data)
{
	struct vm *vm = data;

	if (vm->st.state == VM_RUNNING)
		vm_set_reboot_action(vm);
}

void vm_spare_reset(struct vm *vm, double seconds)
{
	if (vm->st.state != VM_RUNNING || vm->proc.conf.on_reboot == CONF_ENDING_RESTART)
		return;
	loop_timer_stop(&vm->mon.reset);
	loop_timer_init(&vm->mon.reset, vm->daemon->loop.ev, reset_spared, vm);
	loop_timer_start(&vm->mon.reset, seconds);
}
