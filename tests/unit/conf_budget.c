/* SPDX-License-Identifier: MIT */
/* TimeoutStopSec= of all VMs against [Shutdown] TimeoutSec=: each by itself, and in sequence. */
#include "base/mem.h"
#include "conf/budget.h"
#include "tests/unit/conf_case.h"

enum { VMS_MAX = 6 };

#define TO_DISK "[Disk root]\nPath=a.qcow2\n[Lifecycle]\n"

struct budget_case {
	const char *daemon;	     /* vmkeep.conf */
	const char *vm[VMS_MAX + 1]; /* [Lifecycle] of a, b, c... */
	const char *only;
	const char *rows; /* "file:line key: reason", shortened to the relevant part; "": none */
};

struct said {
	struct buf rows, hints;
};

static void on_row(void *data, const struct conf_place *place, const char *key, const char *reason,
	const char *hint)
{
	struct said *s = data;

	buf_printf(&s->rows, "%s:%u %s: %s\n", place->file, place->line, key, reason);
	buf_printf(&s->hints, "%s\n", hint);
}

static void run(const struct budget_case *c, struct said *s)
{
	struct conf_daemon daemon = CONF_DAEMON_INIT;
	struct conf_vm vm[VMS_MAX];
	const struct conf_vm *all[VMS_MAX];
	struct conf_source source = conf_case_source("vmkeep.conf", c->daemon);
	struct conf_problems p = { 0 };
	struct conf_context ctx = {
		.defaults = &daemon, .uuid = UUID, .state_dir = "/var/lib/vmkeep"
	};
	size_t n = 0;

	conf_daemon_parse(&daemon, &source, 1, &p);
	for (; n < VMS_MAX && c->vm[n]; n++) {
		const char name[] = { (char)('a' + n), '\0' };
		_cleanup_(free_ptr) char *file = xasprintf("%s.vm", name),
					 *text = xasprintf(TO_DISK "%s", c->vm[n]);
		struct conf_source own = conf_case_source(file, text);

		vm[n] = (struct conf_vm)CONF_VM_INIT;
		conf_vm_parse(&vm[n], name, &own, 1, &ctx, &p);
		all[n] = &vm[n];
	}
	conf_case_no_problems(&p);
	budget_check(&daemon, all, n, c->only, on_row, s);
	while (n)
		conf_vm_release(&vm[--n]);
	conf_daemon_release(&daemon);
	conf_problems_release(&p);
}

static void warns_where_it_does_not_fit(void **state)
{
	static const struct budget_case cases[] = {
		{ "", { "" }, NULL, "" },
		{ "", { "TimeoutStopSec=5min\n" }, NULL, "" },
		{ "", { "", "TimeoutStopSec=6min\n" }, NULL,
			"b.vm:4 TimeoutStopSec: 6min is more than the 5min that all guests together have when the host shuts down" },
		{ "", { "", "TimeoutStopSec=6min\n" }, "a", "" },
		{ "", { "TimeoutStopSec=infinity\n" }, NULL,
			"a.vm:4 TimeoutStopSec: infinity is more than" },
		{ "[Shutdown]\nTimeoutSec=10min\n", { "TimeoutStopSec=10min\n" }, NULL, "" },
		/* the default, and [Defaults] */
		{ "[Shutdown]\nTimeoutSec=1min\n", { "", "TimeoutStopSec=30\n", "" }, NULL,
			"vmkeep.conf:2 TimeoutSec: 1min for all guests together, when the host shuts down, is less than the "
			"3min of TimeoutStopSec= that apply unless a VM's file says otherwise: a, c would be killed" },
		{ "[Shutdown]\nTimeoutSec=1min\n", { "", "", "" }, "b",
			"vmkeep.conf:2 TimeoutSec: 1min for all guests "
			"together, when the host shuts down, is less than the 3min of TimeoutStopSec= that apply unless a "
			"VM's file says otherwise: b would be killed" },
		{ "[Defaults]\nLifecycle.TimeoutStopSec=10min\n", { "", "TimeoutStopSec=1min\n" },
			NULL, "vmkeep.conf:0 TimeoutSec: 5min for all guests together" },
		/* in sequence */
		{ "", { "After=b\n", "" }, NULL,
			"a.vm:4 After: a -> b may take 6min, one after the other, when the host shuts down, but all guests "
			"together have 5min" },
		{ "", { "After=b\n", "" }, "b", "a.vm:4 After: a -> b may take 6min" },
		{ "[Shutdown]\nTimeoutSec=6min\n", { "After=b\n", "" }, NULL, "" },
		{ "",
			{ "After=b\nTimeoutStopSec=2min\n", "TimeoutStopSec=4min\n",
				"TimeoutStopSec=2min\nAfter=d\n", "TimeoutStopSec=2min\n" },
			NULL, "a.vm:4 After: a -> b may take 6min" },
		{ "", { "", "TimeoutStopSec=2min\nRequires=a\n" }, NULL, "" },
		{ "", { "", "TimeoutStopSec=150\nRequires=a\n" }, NULL,
			"b.vm:5 Requires: b -> a may take 330s" },
		/* in parallel */
		{ "[Shutdown]\nTimeoutSec=50\n",
			{ "TimeoutStopSec=10\nAfter=c\n", "TimeoutStopSec=30\nAfter=d\n",
				"TimeoutStopSec=30\n", "TimeoutStopSec=10\n" },
			NULL, "" },
		{ "[Shutdown]\nTimeoutSec=50\n",
			{ "TimeoutStopSec=10\nAfter=b\n", "TimeoutStopSec=30\nAfter=d\n",
				"TimeoutStopSec=30\n", "TimeoutStopSec=11\nAfter=default\n" },
			NULL, "a.vm:5 After: a -> b -> d may take 51s" },
		{ "[Shutdown]\nTimeoutSec=50\n",
			{ "TimeoutStopSec=10\nAfter=b\n", "TimeoutStopSec=30\nAfter=d\n",
				"TimeoutStopSec=30\n", "TimeoutStopSec=11\n" },
			"c", "" },
		{ "[Shutdown]\nTimeoutSec=50\n",
			{ "TimeoutStopSec=10\nAfter=b\n", "TimeoutStopSec=30\nAfter=d\n",
				"TimeoutStopSec=30\n", "TimeoutStopSec=11\n" },
			"b", "b.vm:5 After: a -> b -> d may take 51s" },
		/* a cycle is an error of its own */
		{ "", { "After=b\n", "After=a\n" }, NULL, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct said s = { BUF_INIT, BUF_INIT };
		size_t lines = 0;

		run(&cases[i], &s);
		print_message("  %zu: %s", i, s.rows.data ? s.rows.data : "-\n");
		for (const char *p = s.rows.data; p && *p; p++)
			lines += *p == '\n';
		assert_int_equal(lines, *cases[i].rows ? 1 : 0);
		if (lines)
			assert_int_equal(
				strncmp(s.rows.data, cases[i].rows, strlen(cases[i].rows)), 0);
		buf_release(&s.rows);
		buf_release(&s.hints);
	}
}

static void both_are_told_with_what_cures_both(void **state)
{
	static const struct budget_case c = { "",
		{ "TimeoutStopSec=10min\nAfter=b\n", "TimeoutStopSec=25h\n", "" }, NULL, NULL };
	struct said s = { BUF_INIT, BUF_INIT };

	(void)state;
	run(&c, &s);
	assert_string_equal(s.hints.data,
		"write TimeoutSec=10min below [Shutdown] in vmkeep.conf, or a shorter time here\n"
		"write a shorter time here\n"
		"write shorter TimeoutStopSec= in their files\n");
	assert_non_null(strstr(s.rows.data, "a.vm:5 After: a -> b may take 1510min, one"));
	buf_release(&s.rows);
	buf_release(&s.hints);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(warns_where_it_does_not_fit),
		cmocka_unit_test(both_are_told_with_what_cures_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
