/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/policy.h"

enum { DELAY_MAX = 300, DAY = 86400 }; /* seconds */

/* clang-format off */
static const struct {
	const char *name, *word;
	bool wrong;
} endings[] = {
	[VM_END_NONE]	      = { "",                "none",         false },
	[VM_END_POWER_OFF]    = { "guest-shutdown",  "power-off",    false },
	[VM_END_REBOOT]	      = { "guest-reboot",    "reboot",       false },
	[VM_END_PANIC]	      = { "guest-panicked",  "panic",        true },
	[VM_END_WATCHDOG]     = { "watchdog",        "watchdog",     true },
	[VM_END_HOST_SIGNAL]  = { "host-signal",     "host-signal",  false },
	[VM_END_QUIT]	      = { "killed",          "quit",         false },
	[VM_END_CRASH]	      = { "crashed",         "crash",        true },
	[VM_END_START_FAILED] = { "start failed",    "start-failed", true },
	[VM_END_HOST_CAUSE]   = { "start failed",    "host-cause",   true },
	[VM_END_QMP_QUIT]     = { "host-qmp-quit",   "qmp-quit",     false },
	[VM_END_HOST_DOWN]    = { "host-down",       "host-down",    false },
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(endings) == VM_ENDINGS, "an ending has no row");

const char *vm_ending_name(enum vm_ending ending)
{
	return endings[ending].name;
}

const char *vm_ending_word(enum vm_ending ending)
{
	return endings[ending].word;
}

bool vm_ending_is_wrong(enum vm_ending ending)
{
	return endings[ending].wrong;
}

enum vm_ending policy_start_fault(enum vm_ending step, enum err_class class)
{
	switch (class) {
	case ERR_USAGE:
	case ERR_INVALID_CONFIG:
	case ERR_PERMISSION:
		return VM_END_START_FAILED;
	case ERR_TIMEOUT:
	case ERR_UNREACHABLE:
	case ERR_NO_RESOURCES:
		return VM_END_HOST_CAUSE;
	case ERR_FAILED:
	case ERR_CONFLICT:
	case ERR_NOT_FOUND:
	case ERR_WRONG_STATE:
	case ERR_QEMU_FAILED:
	case ERR_GUEST_REFUSED:
	case ERR_DIFFERS:
	case ERR_CLASSES:
		break;
	}
	return step;
}

bool policy_is_eager(enum vm_ending ending, double until, double now)
{
	return ending == VM_END_HOST_CAUSE && now < until;
}

enum conf_ending policy_ended(const struct conf_vm *c, enum vm_ending ending)
{
	return ending == VM_END_POWER_OFF  ? c->on_power_off
	       : ending == VM_END_REBOOT   ? c->on_reboot
	       : ending == VM_END_PANIC	   ? c->on_panic
	       : ending == VM_END_WATCHDOG ? c->on_watchdog
					   : CONF_ENDING_STOP;
}

/* Does policy restart after this ending? */
static bool policy_wants_restart(const struct conf_vm *c, enum vm_ending ending, bool by_policy)
{
	if (ending == VM_END_HOST_SIGNAL || ending == VM_END_QMP_QUIT)
		return c->restart == CONF_RESTART_ALWAYS;
	if (ending == VM_END_CRASH)
		return c->restart != CONF_RESTART_NO;
	/* whoever typed start reads the error; nobody reads it after a crash at night */
	if (ending == VM_END_START_FAILED || ending == VM_END_HOST_CAUSE)
		return by_policy && c->restart != CONF_RESTART_NO;
	return policy_ended(c, ending) == CONF_ENDING_RESTART;
}

static unsigned policy_restarts_since(const struct policy_memory *m, double from)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n; i++)
		n += m->past[i].at >= from ? m->past[i].n : 0;
	return n;
}

static void policy_drop(struct policy_memory *m, unsigned i)
{
	m->n--;
	memmove(&m->past[i], &m->past[i + 1], (m->n - i) * sizeof m->past[0]);
}

/* If full, merges the two adjacent entries with the smallest sum, so that all entries cover
 * about the same part of the day. Merged restarts are forgotten a little late rather than too
 * early. */
static void policy_remember(struct policy_memory *m, double now, double horizon)
{
	unsigned fewest = 0;

	while (m->n && m->past[0].at < now - horizon)
		policy_drop(m, 0);
	if (m->n == POLICY_PAST) {
		for (unsigned i = 1; i + 1 < m->n; i++)
			if (m->past[i].n + m->past[i + 1].n <
				m->past[fewest].n + m->past[fewest + 1].n)
				fewest = i;
		m->past[fewest + 1].n += m->past[fewest].n;
		policy_drop(m, fewest);
	}
	m->past[m->n++] = (struct policy_past){ now, 1 };
}

static double policy_doubled(const struct conf_vm *c, unsigned in_row)
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

	/* a start requested in QUITTING */
	if (wanted && ending == VM_END_QUIT)
		return (struct policy_verdict){ .event = VM_EV_GONE_RESTART };
	if (!wanted || !policy_wants_restart(c, ending, by_policy))
		return (struct policy_verdict){ .event = VM_EV_GONE_STOP };
	if (ending == VM_END_HOST_CAUSE)
		return (struct policy_verdict){ .event = VM_EV_GONE_RESTART, .delay = DELAY_MAX };
	if (policy_restarts_since(m, now - interval) + 1 >= c->start_limit_burst)
		return (struct policy_verdict){ .event = VM_EV_GONE_FAIL,
			.why = "restart limit of StartLimitBurst= reached" };
	if (policy_restarts_since(m, now - DAY) + 1 >= c->start_limit_per_day)
		return (struct policy_verdict){ .event = VM_EV_GONE_FAIL,
			.why = "restart limit of StartLimitPerDay= reached" };
	policy_remember(m, now, interval > DAY ? interval : DAY);
	return (struct policy_verdict){ .event = VM_EV_GONE_RESTART,
		.delay = asked ? 0 : policy_doubled(c, m->in_row++) };
}

void policy_settled(struct policy_memory *m)
{
	m->in_row = 0;
}
