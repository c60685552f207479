/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/run_state.h"

#include "base/mem.h"

/* clang-format off */
static const struct run_state states[] = {
	{ "running",        RUN_GOES,     VM_END_NONE,      "" },
	{ "suspended",      RUN_GOES,     VM_END_NONE,      "" },
	{ "prelaunch",      RUN_FRESH,    VM_END_NONE,      "" },
	{ "paused",         RUN_PAUSED,   VM_END_NONE,      "paused" },
	{ "debug",          RUN_PAUSED,   VM_END_NONE,      "debug: a debugger stopped the guest" },
	{ "preconfig",      RUN_PAUSED,   VM_END_NONE,      "preconfig: QEMU waits for x-exit-preconfig" },
	{ "inmigrate",      RUN_PAUSED,   VM_END_NONE,      "inmigrate: QEMU waits for a migration" },
	{ "postmigrate",    RUN_PAUSED,   VM_END_NONE,      "postmigrate: the guest was migrated away" },
	{ "colo",           RUN_PAUSED,   VM_END_NONE,      "colo" },
	{ "io-error",       RUN_IO_ERROR, VM_END_NONE,      "io-error" },
	{ "save-vm",        RUN_BUSY,     VM_END_NONE,      "save-vm" },
	{ "finish-migrate", RUN_BUSY,     VM_END_NONE,      "finish-migrate" },
	{ "restore-vm",     RUN_BUSY,     VM_END_NONE,      "restore-vm" },
	{ "shutdown",       RUN_ENDED,    VM_END_POWER_OFF, "" },
	{ "guest-panicked", RUN_ENDED,    VM_END_PANIC,     "" },
	{ "watchdog",       RUN_ENDED,    VM_END_WATCHDOG,  "" },
	{ "internal-error", RUN_ENDED,    VM_END_CRASH,     "" },
};
/* clang-format on */

const struct run_state *run_state_find(const char *name)
{
	static const struct run_state unknown = { "", RUN_UNKNOWN, VM_END_NONE, "" };

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (streq(states[i].name, name))
			return &states[i];
	return &unknown;
}
