/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/actions.h"

#include "supervisor/vm/vm.h"

void (*const vm_actions[VM_ACTIONS])(struct vm *vm) = {
	[VM_DO_PREPARE] = vm_prepare,
	[VM_DO_SPAWN] = vm_spawn,
	[VM_DO_GREET] = vm_greet,
	[VM_DO_JOIN] = vm_join,
	[VM_DO_PRESS] = vm_press,
	[VM_DO_INSIST] = vm_insist,
	[VM_DO_QUIT] = vm_quit,
	[VM_DO_KILL] = vm_kill_process,
	[VM_DO_CLEAN] = vm_clean,
	[VM_DO_EXPIRE] = vm_expire,
};
