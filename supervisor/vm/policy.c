/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/policy.h"

#include "base/mem.h"

enum { DELAY_MAX = 300, DAY = 86400 }; /* seconds */

static const char *const endings[] = {
	[VM_END_NONE]	      = "",
	[VM_END_POWER_OFF]    = "guest-shutdown",
	[VM_END_REBOOT]	      = "guest-reboot",
	[VM_END_PANIC]	      = "guest-panicked",
	[VM_END_WATCHDOG]     = "watchdog",
	[VM_END_HOST_SIGNAL]  = "host-signal",
	[VM_END_QUIT]	      = "killed",
	[VM_END_CRASH]	      = "crashed",
	[VM_END_START_FAILED] = "start failed",
	[VM_END_HOST_CAUSE]   = "start failed",
};
_Static_assert(ARRAY_SIZE(endings) == VM_ENDINGS, "an ending has no name");

const char *vm_ending_name(enum vm_ending ending)
{
	return endings[ending];
}

enum conf_ending policy_ended(const struct conf_vm *c, enum vm_ending ending)
{
	switch (ending) {
	case VM_END_POWER_OFF:
		return c->on_power_off;
	case VM_END_REBOOT:
		return c->on_reboot;
	case VM_END_PANIC:
		return c->on_panic;
	case VM_END_WATCHDOG:
		return c->on_watchdog;
	case VM_END_NONE:
	case VM_END_HOST_SIGNAL:
	case VM_END_QUIT:
	case VM_END_CRASH:
	case VM_END_START_FAILED:
	case VM_END_HOST_CAUSE:
	case VM_ENDINGS:
		break;
	}
	return CONF_ENDING_STOP;
}

/* Does this ending ask for another start? */
static bool wants_restart(const struct conf_vm *c, enum vm_ending ending, bool by_policy)
{
	switch (ending) {
	case VM_END_POWER_OFF:
	case VM_END_REBOOT:
	case VM_END_PANIC:
	case VM_END_WATCHDOG:
		return policy_ended(c, ending) == CONF_ENDING_RESTART;
	case VM_END_HOST_SIGNAL:
		return c->restart == CONF_RESTART_ALWAYS;
	case VM_END_CRASH:
		return c->restart != CONF_RESTART_NO;
	case VM_END_START_FAILED:
	case VM_END_HOST_CAUSE:
		/* the person who typed start reads the error; nobody reads it after a crash at night */
		return by_policy && c->restart != CONF_RESTART_NO;
	case VM_END_NONE:
	case VM_END_QUIT:
	case VM_ENDINGS:
		break;
	}
	return false;
}

static unsigned restarts_since(const struct policy_memory *m, double from)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n; i++)
		n += m->at[i] >= from;
	return n;
}

static double doubled(const struct conf_vm *c, unsigned in_row)
{
	double delay = (double)c->restart_ms / 1000;

	while (in_row-- && delay < DELAY_MAX)
		delay *= 2;
	return delay < DELAY_MAX ? delay : DELAY_MAX;
}

struct policy_verdict policy_gone(const struct conf_vm *c, enum vm_ending ending, bool wanted,
	bool by_policy, struct policy_memory *m, double now)
{
	double interval = (double)c->start_limit_interval_ms / 1000;
	bool asked = ending == VM_END_POWER_OFF || ending == VM_END_REBOOT;

	/* a start that was typed while it was quitting */
	if (wanted && ending == VM_END_QUIT)
		return (struct policy_verdict){ .event = VM_EV_GONE_RESTART };
	if (!wanted || !wants_restart(c, ending, by_policy))
		return (struct policy_verdict){ .event = VM_EV_GONE_STOP };
	if (ending == VM_END_HOST_CAUSE)
		return (struct policy_verdict){ .event = VM_EV_GONE_RESTART, .delay = DELAY_MAX };
	if (restarts_since(m, now - interval) + 1 >= c->start_limit_burst)
		return (struct policy_verdict){ .event = VM_EV_GONE_FAIL,
			.why = "restart limit of StartLimitBurst= reached" };
	if (restarts_since(m, now - DAY) + 1 >= c->start_limit_per_day)
		return (struct policy_verdict){ .event = VM_EV_GONE_FAIL,
			.why = "restart limit of StartLimitPerDay= reached" };
	m->at[m->next] = now;
	m->next = (m->next + 1) % POLICY_STARTS;
	if (m->n < POLICY_STARTS)
		m->n++;
	return (struct policy_verdict){ .event = VM_EV_GONE_RESTART,
		.delay = asked ? 0 : doubled(c, m->in_row++) };
}

void policy_settled(struct policy_memory *m)
{
	m->in_row = 0;
}
