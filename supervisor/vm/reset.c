/* SPDX-License-Identifier: MIT */
/*
 * OnReboot= is about resets that the guest does by itself: a reboot that does not go on in place leaves
 * a tombstone, as a power-off does. After a reset by hand SeaBIOS resets once more, for its code in RAM
 * is not fresh. Only after some seconds is a reset the guest's own again.
 */
#include "supervisor/vm/vm.h"

void vm_set_reboot_action(struct vm *vm)
{
	if (vm->proc.conf.on_reboot != CONF_ENDING_RESTART)
		vm_call(vm, "set-action", json_pack("{s:s}", "reboot", "shutdown"), NULL);
}

/* While it is paused it cannot reset: it gets the time once it is resumed. */
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
