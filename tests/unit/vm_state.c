/* SPDX-License-Identifier: MIT */
/* Proves the state table itself: no unset cell, every state reachable, a way home from each, never a
 * second process while there is one, and policy's verdicts on every ending. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/vm/policy.h"
#include "supervisor/vm/state.h"

static void no_unset_cell(void **state)
{
	(void)state;
	for (int s = 0; s < VM_STATES; s++)
		for (int e = 0; e < VM_EVENTS; e++)
			if (!vm_table[s][e].set)
				fail_msg("%s x %s is unset", vm_state_inner_name((enum vm_state)s),
					vm_event_name((enum vm_event)e));
}

static void close_over(bool reached[VM_STATES])
{
	for (int round = 0; round < VM_STATES; round++)
		for (int s = 0; s < VM_STATES; s++)
			for (int e = 0; reached[s] && e < VM_EVENTS; e++)
				reached[vm_table[s][e].next] = true;
}

static void all_reachable_and_home(void **state)
{
	bool from_stopped[VM_STATES] = { [VM_STOPPED] = true };

	(void)state;
	close_over(from_stopped);
	for (int s = 0; s < VM_STATES; s++) {
		bool from_here[VM_STATES] = { false };

		assert_true(from_stopped[s]);
		from_here[s] = true;
		close_over(from_here);
		assert_true(from_here[VM_STOPPED]);
	}
}

/* A process is made only where there is none, and forgotten only by an event that says it is gone. */
static void one_process(void **state)
{
	(void)state;
	for (int s = 0; s < VM_STATES; s++)
		for (int e = 0; e < VM_EVENTS; e++) {
			const struct vm_cell *c = &vm_table[s][e];
			bool before = vm_state_has_process((enum vm_state)s);
			bool after = vm_state_has_process(c->next);
			bool gone = e == VM_EV_GONE_STOP || e == VM_EV_GONE_RESTART || e == VM_EV_GONE_FAIL;

			if (c->action == VM_DO_SPAWN || c->action == VM_DO_PREPARE)
				assert_false(before);
			if (before && !after)
				assert_true(gone);
			if (before && gone)
				assert_false(after);
			if (!before && after)
				assert_true(e == VM_EV_PREPARED || e == VM_EV_ADOPT ||
					e == VM_EV_ADOPT_EARLY || e == VM_EV_ADOPT_PAUSED);
			if (c->action == VM_DO_KILL || c->action == VM_DO_QUIT || c->action == VM_DO_EXPIRE)
				assert_int_equal(c->next, VM_QUITTING);
		}
}

/* A wish to stop or kill is never lost: each state answers it by going there or being there. */
static void stop_and_kill_always_count(void **state)
{
	(void)state;
	for (int s = 0; s < VM_STATES; s++) {
		const struct vm_cell *stop = &vm_table[s][VM_EV_STOP], *kill = &vm_table[s][VM_EV_KILL];

		assert_true(stop->next == VM_STOPPED || stop->next == VM_STOPPING || stop->next == VM_QUITTING);
		assert_true(kill->next == VM_STOPPED || kill->next == VM_QUITTING);
	}
	/* a guest that runs is asked, never killed, by stop and by every event of the monitor */
	for (int e = 0; e < VM_EVENTS; e++) {
		assert_int_not_equal(vm_table[VM_RUNNING][e].action, VM_DO_KILL);
		assert_int_not_equal(vm_table[VM_RUNNING][e].action, VM_DO_EXPIRE);
		assert_int_not_equal(vm_table[VM_PAUSED][e].action, VM_DO_KILL);
	}
	assert_int_equal(vm_table[VM_RUNNING][VM_EV_STOP].action, VM_DO_PRESS);
}

static const struct conf_vm defaults = { .on_power_off = CONF_ENDING_STOP,
	.on_reboot = CONF_ENDING_RESTART,
	.on_panic = CONF_ENDING_RESTART,
	.on_watchdog = CONF_ENDING_RESTART,
	.restart = CONF_RESTART_ON_FAILURE,
	.restart_ms = 5000,
	.start_limit_burst = 5,
	.start_limit_interval_ms = 600000,
	.start_limit_per_day = 20 };

static void verdicts(void **state)
{
	static const struct {
		enum vm_ending ending;
		enum conf_restart restart;
		bool wanted, by_policy;
		enum vm_event event;
		double delay;
	} cases[] = {
		{ VM_END_POWER_OFF, CONF_RESTART_ON_FAILURE, true, false, VM_EV_GONE_STOP, 0 },
		{ VM_END_POWER_OFF, CONF_RESTART_ALWAYS, true, false, VM_EV_GONE_STOP, 0 },
		{ VM_END_PANIC, CONF_RESTART_ON_FAILURE, true, false, VM_EV_GONE_RESTART, 5 },
		{ VM_END_WATCHDOG, CONF_RESTART_ON_FAILURE, true, false, VM_EV_GONE_RESTART, 5 },
		{ VM_END_CRASH, CONF_RESTART_ON_FAILURE, true, false, VM_EV_GONE_RESTART, 5 },
		{ VM_END_CRASH, CONF_RESTART_NO, true, false, VM_EV_GONE_STOP, 0 },
		{ VM_END_CRASH, CONF_RESTART_ON_FAILURE, false, false, VM_EV_GONE_STOP, 0 },
		{ VM_END_HOST_SIGNAL, CONF_RESTART_ON_FAILURE, true, false, VM_EV_GONE_STOP, 0 },
		{ VM_END_HOST_SIGNAL, CONF_RESTART_ALWAYS, true, false, VM_EV_GONE_RESTART, 5 },
		{ VM_END_START_FAILED, CONF_RESTART_ON_FAILURE, true, false, VM_EV_GONE_STOP, 0 },
		{ VM_END_START_FAILED, CONF_RESTART_ON_FAILURE, true, true, VM_EV_GONE_RESTART, 5 },
		{ VM_END_HOST_CAUSE, CONF_RESTART_ON_FAILURE, true, true, VM_EV_GONE_RESTART, 300 },
		{ VM_END_QUIT, CONF_RESTART_ON_FAILURE, true, false, VM_EV_GONE_RESTART, 0 },
		{ VM_END_QUIT, CONF_RESTART_ALWAYS, false, false, VM_EV_GONE_STOP, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_vm c = defaults;
		struct policy_memory m = { { 0 }, 0, 0, 0 };
		struct policy_verdict v;

		c.restart = cases[i].restart;
		v = policy_gone(&c, cases[i].ending, cases[i].wanted, cases[i].by_policy, &m, 1000);
		assert_int_equal(v.event, cases[i].event);
		assert_true(v.delay == cases[i].delay);
	}
}

static void budget(void **state)
{
	static const double delays[] = { 5, 10, 20, 40 };
	struct policy_memory m = { { 0 }, 0, 0, 0 };
	struct policy_verdict v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(delays); i++) {
		v = policy_gone(&defaults, VM_END_CRASH, true, true, &m, 1000 + (double)i);
		assert_int_equal(v.event, VM_EV_GONE_RESTART);
		assert_true(v.delay == delays[i]);
	}
	v = policy_gone(&defaults, VM_END_CRASH, true, true, &m, 1010);
	assert_int_equal(v.event, VM_EV_GONE_FAIL);
	assert_non_null(v.why);
	/* the host's fault costs no budget, however often */
	for (int i = 0; i < 100; i++) {
		v = policy_gone(&defaults, VM_END_HOST_CAUSE, true, true, &m, 1010);
		assert_int_equal(v.event, VM_EV_GONE_RESTART);
	}
	/* ten minutes later the burst is forgotten; twenty a day are not */
	for (int i = 4; i < 19; i++) {
		v = policy_gone(&defaults, VM_END_CRASH, true, true, &m, 1000 + 700.0 * i);
		assert_int_equal(v.event, VM_EV_GONE_RESTART);
	}
	v = policy_gone(&defaults, VM_END_CRASH, true, true, &m, 1000 + 700.0 * 20);
	assert_int_equal(v.event, VM_EV_GONE_FAIL);
	v = policy_gone(&defaults, VM_END_CRASH, true, true, &m, 1000 + 86400 + 700.0 * 20);
	assert_int_equal(v.event, VM_EV_GONE_RESTART);
	assert_true(v.delay == 300);
	policy_settled(&m);
	v = policy_gone(&defaults, VM_END_CRASH, true, true, &m, 1000 + 3 * 86400);
	assert_true(v.delay == 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_unset_cell),
		cmocka_unit_test(all_reachable_and_home),
		cmocka_unit_test(one_process),
		cmocka_unit_test(stop_and_kill_always_count),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
