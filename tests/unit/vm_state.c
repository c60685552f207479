/* SPDX-License-Identifier: MIT */
/*
 * Proves the rules of state.c: their expansion is exactly tests/golden/states.txt, every state is
 * reachable, each can get back to stopped, and there is never a second process while there is one;
 * also policy's verdict on every ending. GOLDEN=write writes the golden.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "supervisor/vm/policy.h"
#include "supervisor/vm/state.h"

/* No cell is unset: the golden shows the effect of a changed rule on all cells. */
static void golden_matrix(void **state)
{
	static const char path[] = "tests/golden/states.txt";
	struct buf now = BUF_INIT, golden = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	for (enum vm_state s = 0; s < VM_STATES; s++)
		for (enum vm_event ev = 0; ev < VM_EVENTS; ev++) {
			struct vm_outcome to = vm_outcome(s, ev);

			if (to.next == s && to.action == VM_DO_NOTHING)
				buf_printf(&now, "%-9s  %-13s  -\n", vm_state_inner_name(s),
					vm_event_name(ev));
			else
				buf_printf(&now, "%-9s  %-13s  %-9s  %s\n", vm_state_inner_name(s),
					vm_event_name(ev), vm_state_inner_name(to.next),
					vm_action_name(to.action));
		}
	if (streq(getenv("GOLDEN"), "write"))
		file_replace(AT_FDCWD, path, 0644, now.data, now.len, false, NULL);
	if (file_read(AT_FDCWD, path, &golden, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(now.data, golden.data);
	buf_release(&now);
	buf_release(&golden);
}

/* No event in a state has two rules, and each rule changes something. */
static void rules_are_apart(void **state)
{
	unsigned spoken[VM_EVENTS] = { 0 };

	(void)state;
	for (size_t i = 0; i < vm_rules_count; i++) {
		const struct vm_rule *r = &vm_rules[i];

		assert_false(spoken[r->event] & r->in);
		spoken[r->event] |= r->in;
		assert_true(r->action != VM_DO_NOTHING || r->to != VM_STATES);
		assert_true(r->action != VM_DO_NOTHING || !(r->in & 1u << r->to));
	}
}

static struct vm_outcome at(int s, int ev)
{
	return vm_outcome((enum vm_state)s, (enum vm_event)ev);
}

static void close_over(bool reached[VM_STATES])
{
	for (int round = 0; round < VM_STATES; round++)
		for (int s = 0; s < VM_STATES; s++)
			for (int e = 0; reached[s] && e < VM_EVENTS; e++)
				reached[at(s, e).next] = true;
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

/* A process is created only if there is none, and forgotten only at an event that says it has
 * ended. */
static void one_process(void **state)
{
	(void)state;
	for (int s = 0; s < VM_STATES; s++)
		for (int e = 0; e < VM_EVENTS; e++) {
			struct vm_outcome c = at(s, e);
			bool before = vm_state_has_process((enum vm_state)s);
			bool after = vm_state_has_process(c.next);
			bool gone = e == VM_EV_GONE_STOP || e == VM_EV_GONE_RESTART ||
				    e == VM_EV_GONE_FAIL;

			if (c.action == VM_DO_SPAWN || c.action == VM_DO_PREPARE)
				assert_false(before);
			if (before && !after)
				assert_true(gone);
			if (before && gone)
				assert_false(after);
			if (!before && after)
				assert_true(e == VM_EV_PREPARED || e == VM_EV_ADOPT ||
					    e == VM_EV_ADOPT_EARLY || e == VM_EV_ADOPT_PAUSED);
			if (c.action == VM_DO_KILL || c.action == VM_DO_QUIT ||
				c.action == VM_DO_EXPIRE)
				assert_int_equal(c.next, VM_QUITTING);
		}
}

/* A request to stop or kill is never lost: each state follows it, or has already done so. */
static void stop_and_kill_always_count(void **state)
{
	(void)state;
	for (int s = 0; s < VM_STATES; s++) {
		struct vm_outcome stop = at(s, VM_EV_STOP), kill = at(s, VM_EV_KILL);

		assert_true(stop.next == VM_STOPPED || stop.next == VM_STOPPING ||
			    stop.next == VM_QUITTING);
		assert_true(kill.next == VM_STOPPED || kill.next == VM_QUITTING);
	}
	/* neither stop nor any event of the monitor kills a running guest */
	for (int e = 0; e < VM_EVENTS; e++) {
		assert_int_not_equal(at(VM_RUNNING, e).action, VM_DO_KILL);
		assert_int_not_equal(at(VM_RUNNING, e).action, VM_DO_EXPIRE);
		assert_int_not_equal(at(VM_PAUSED, e).action, VM_DO_KILL);
	}
	assert_int_equal(at(VM_RUNNING, VM_EV_STOP).action, VM_DO_PRESS);
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
		struct policy_memory m = { .n = 0 };
		struct policy_verdict v;

		c.restart = cases[i].restart;
		v = policy_gone(&c, cases[i].ending, cases[i].wanted, cases[i].by_policy, &m, 1000);
		assert_int_equal(v.event, cases[i].event);
		assert_true(v.delay == cases[i].delay);
	}
}

/* Errors that someone must fix are the VM's, temporary ones the host's; for others the step
 * decides. */
static void fault_of_a_start(void **state)
{
	static const struct {
		enum err_class class;
		enum vm_ending fault; /* NONE: decided by the step */
	} cases[] = {
		{ ERR_USAGE, VM_END_START_FAILED },
		{ ERR_INVALID_CONFIG, VM_END_START_FAILED },
		{ ERR_PERMISSION, VM_END_START_FAILED },
		{ ERR_NO_RESOURCES, VM_END_HOST_CAUSE },
		{ ERR_TIMEOUT, VM_END_HOST_CAUSE },
		{ ERR_UNREACHABLE, VM_END_HOST_CAUSE },
		{ ERR_FAILED, VM_END_NONE },
		{ ERR_CONFLICT, VM_END_NONE },
		{ ERR_NOT_FOUND, VM_END_NONE },
		{ ERR_QEMU_FAILED, VM_END_NONE },
	};
	static const enum vm_ending steps[] = { VM_END_START_FAILED, VM_END_HOST_CAUSE };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t k = 0; k < ARRAY_SIZE(steps); k++)
			assert_int_equal(policy_start_fault(steps[k], cases[i].class),
				cases[i].fault ? cases[i].fault : steps[k]);
}

static void budget(void **state)
{
	static const double delays[] = { 5, 10, 20, 40 };
	struct policy_memory m = { .n = 0 };
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
	/* failures of the host do not count, however many there are */
	for (int i = 0; i < 100; i++) {
		v = policy_gone(&defaults, VM_END_HOST_CAUSE, true, true, &m, 1010);
		assert_int_equal(v.event, VM_EV_GONE_RESTART);
	}
	/* after ten minutes the burst limit is free again; twenty a day still count */
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

/* The number of crashes, at this interval, until the VM is failed. 0: never. */
static unsigned crashes_until_failed(unsigned burst, unsigned per_day, double apart, unsigned most)
{
	struct policy_memory m = { .n = 0 };
	struct conf_vm c = defaults;

	c.start_limit_burst = burst;
	c.start_limit_per_day = per_day;
	c.start_limit_interval_ms = per_day < 100000 ? 1000 : 600000;
	for (unsigned i = 1; i <= most; i++)
		if (policy_gone(&c, VM_END_CRASH, true, true, &m, 1000 + apart * i).event ==
			VM_EV_GONE_FAIL)
			return i;
	return 0;
}

/* Both limits take effect as configured, up to the schema's maximum. */
static void largest_budgets(void **state)
{
	(void)state;
	for (unsigned burst = 1; burst <= 1000; burst += burst < 100 ? 1 : 50)
		assert_int_equal(crashes_until_failed(burst, 100000, 0.5, 2000), burst);
	assert_int_equal(crashes_until_failed(1000, 100000, 0.5, 2000), 1000);
	for (unsigned day = 20; day <= 86400; day *= 3)
		assert_int_equal(crashes_until_failed(1000, day, 0.9, 200000), day);
	assert_int_equal(crashes_until_failed(1000, 80000, 1, 200000), 80000);
	/* one every five minutes is 288 a day, forever */
	assert_int_equal(crashes_until_failed(1000, 320, 300, 20000), 0);
	assert_int_equal(crashes_until_failed(1000, 280, 300, 20000), 280);
}

static void ending_words(void **state)
{
	(void)state;
	for (enum vm_ending i = 0; i < VM_ENDINGS; i++)
		for (enum vm_ending k = 0; k < i; k++)
			assert_string_not_equal(vm_ending_word(i), vm_ending_word(k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_matrix),
		cmocka_unit_test(rules_are_apart),
		cmocka_unit_test(all_reachable_and_home),
		cmocka_unit_test(one_process),
		cmocka_unit_test(stop_and_kill_always_count),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(fault_of_a_start),
		cmocka_unit_test(budget),
		cmocka_unit_test(largest_budgets),
		cmocka_unit_test(ending_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
