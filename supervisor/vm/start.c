/* SPDX-License-Identifier: MIT */
/*
 * A start, step by step, in this order. Four events enter the table, each where its state begins: a
 * wish to run at the top; a monitor that answers at "status", and so does every adoption, since what QEMU
 * is must be asked in any case. Until "run directory" nothing was made that a cancel must unmake but
 * networks, which stand for all; from "jail" on there is a process.
 */
#include "supervisor/vm/start.h"

/* clang-format off */
static const struct start_step steps[] = {
	{ "permission",    VM_PREPARING, start_permission,    VM_END_START_FAILED, false },
	{ "configuration", VM_PREPARING, start_configuration, VM_END_START_FAILED, false },
	{ "memory",        VM_PREPARING, start_memory,        VM_END_HOST_CAUSE,   false },
	{ "qemu",          VM_PREPARING, start_qemu,          VM_END_START_FAILED, false }, /* waits */
	{ "kvm",           VM_PREPARING, start_kvm,           VM_END_HOST_CAUSE,   false }, /* waits */
	{ "identity",      VM_PREPARING, start_identity,      VM_END_START_FAILED, true  },
	{ "nvram",         VM_PREPARING, start_nvram,         VM_END_HOST_CAUSE,   false }, /* waits */
	{ "networks",      VM_PREPARING, start_networks,      VM_END_HOST_CAUSE,   false }, /* waits */
	{ "addresses",     VM_PREPARING, start_addresses,     VM_END_HOST_CAUSE,   true  },
	{ "run directory", VM_SPAWNING,  start_run_dir,       VM_END_HOST_CAUSE,   false },
	{ "socket",        VM_SPAWNING,  start_socket,        VM_END_HOST_CAUSE,   false },
	{ "parts",         VM_SPAWNING,  start_parts,         VM_END_HOST_CAUSE,   false },
	{ "taps",          VM_SPAWNING,  start_taps,          VM_END_HOST_CAUSE,   false },
	{ "plan",          VM_SPAWNING,  start_plan,          VM_END_HOST_CAUSE,   false },
	{ "record",        VM_SPAWNING,  start_record,        VM_END_HOST_CAUSE,   false },
	{ "jail",          VM_SPAWNING,  start_jail,          VM_END_HOST_CAUSE,   false }, /* waits */
	{ "monitor",       VM_GREETING,  start_monitor,       VM_END_START_FAILED, false }, /* waits */
	{ "status",        VM_JOINING,   start_status,        VM_END_START_FAILED, false }, /* waits */
	{ "bridges",       VM_JOINING,   start_bridges,       VM_END_START_FAILED, false },
	{ "run",           VM_JOINING,   start_run,           VM_END_START_FAILED, false }, /* waits */
	{ NULL,            VM_RUNNING,   NULL,                VM_END_NONE,         false },
};
/* clang-format on */

static void start_enter(struct vm *vm, enum vm_state state)
{
	const struct start_step *step = steps;

	while (step->state != state)
		step++;
	start_at(vm->start ? vm->start : start_new(vm), step);
}

void vm_prepare(struct vm *vm)
{
	start_enter(vm, VM_PREPARING);
}

void vm_spawn(struct vm *vm)
{
	start_enter(vm, VM_SPAWNING);
}

void vm_greet(struct vm *vm)
{
	if (vm->st.state == VM_GREETING)
		start_enter(vm, VM_GREETING);
	else
		vm_connect_monitor(vm);
}

void vm_join(struct vm *vm)
{
	start_enter(vm, VM_JOINING);
}
