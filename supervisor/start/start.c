/* SPDX-License-Identifier: MIT */
/*
 * A start, step by step, in this order. Four events enter the table, each at the first step of
 * the state it leads to; among them a start at the top, and a monitor that answers at "status".
 * Adoption enters there as well, since QEMU's status must be queried anyway. Before "run
 * directory" nothing has been made that a cancel must undo, except networks, which are shared;
 * from "jail" on there is a process.
 *
 * The check column tells in advance what the step would refuse: `check` runs it.
 */
#include "supervisor/start/check.h"

/* Who is at fault, where an error's class does not tell: the host, whose state may change soon, or
 * the VM itself. */
#define HOST VM_END_HOST_CAUSE
#define OWN  VM_END_START_FAILED

/* clang-format off */
static const struct start_step steps[] = {
	{ "permission",    VM_PREPARING, start_permission,    start_check_permission,    OWN,  false },
	{ "configuration", VM_PREPARING, start_configuration, start_check_configuration, OWN,  false },
	{ "memory",        VM_PREPARING, start_memory,        start_check_memory,        HOST, false },
	{ "qemu",          VM_PREPARING, start_qemu,          start_check_qemu,          OWN,  false }, /* waits */
	{ "kvm",           VM_PREPARING, start_kvm,           start_check_kvm,           HOST, false }, /* waits */
	{ "identity",      VM_PREPARING, start_identity,      start_check_identity,      OWN,  true },
	{ "volumes",       VM_PREPARING, start_volumes,       start_check_volumes,       HOST, false }, /* waits */
	{ "nvram",         VM_PREPARING, start_nvram,         start_check_nvram,         HOST, false }, /* waits */
	{ "networks",      VM_PREPARING, start_networks,      start_check_networks,      HOST, false }, /* waits */
	{ "addresses",     VM_PREPARING, start_addresses,     NULL,                      OWN,  true }, /* another VM keeps its address */
	{ "run directory", VM_SPAWNING,  start_run_dir,       start_check_run_dir,       HOST, false },
	{ "socket",        VM_SPAWNING,  start_socket,        NULL,                      HOST, false },
	{ "parts",         VM_SPAWNING,  start_parts,         start_check_parts,         HOST, false },
	{ "taps",          VM_SPAWNING,  start_taps,          NULL,                      HOST, false },
	{ "seed",          VM_SPAWNING,  start_seed,          start_check_seed,          HOST, false }, /* waits */
	{ "plan",          VM_SPAWNING,  start_plan,          start_check_plan,          HOST, false },
	{ "record",        VM_SPAWNING,  start_record,        NULL,                      HOST, false },
	{ "jail",          VM_SPAWNING,  start_jail,          start_check_files,         HOST, false }, /* waits */
	{ "monitor",       VM_GREETING,  start_monitor,       start_check_trial,         OWN,  false }, /* waits */
	{ "status",        VM_JOINING,   start_status,        NULL,                      OWN,  false }, /* waits */
	{ "bridges",       VM_JOINING,   start_bridges,       NULL,                      OWN,  false },
	{ "run",           VM_JOINING,   start_run,           NULL,                      OWN,  false }, /* waits */
	{ NULL,            VM_RUNNING,   NULL,                NULL,                      OWN,  false },
};
/* clang-format on */

static void start_enter(struct vm *vm, enum vm_state state)
{
	const struct start_step *step = steps;

	while (step->state != state)
		step++;
	start_at(vm->start ? vm->start : start_new(vm), step);
}

/* An active VM re-enters when its monitor is connected again. */
static void start_enter_here(struct vm *vm)
{
	start_enter(vm, vm_state_is_live(vm->st.state) ? VM_JOINING : vm->st.state);
}

static void start_greet(struct vm *vm)
{
	if (vm->st.state == VM_GREETING)
		start_enter_here(vm);
	else
		vm_connect_monitor(vm);
}

void (*const vm_actions[VM_ACTIONS])(struct vm *vm) = {
	[VM_DO_PREPARE] = start_enter_here,
	[VM_DO_SPAWN] = start_enter_here,
	[VM_DO_GREET] = start_greet,
	[VM_DO_JOIN] = start_enter_here,
	[VM_DO_PRESS] = vm_power_button,
	[VM_DO_INSIST] = vm_power_button_again,
	[VM_DO_QUIT] = vm_quit,
	[VM_DO_KILL] = vm_kill_process,
	[VM_DO_CLEAN] = vm_clean,
	[VM_DO_EXPIRE] = vm_start_timeout,
};

void vm_start_check(struct start_check *c)
{
	start_check_at(c, steps);
}
