/* SPDX-License-Identifier: MIT */
/* Proves that children end when they should: cancelled at any step, with all their processes; or
 * after idling too long; and that no zombie is left. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/child.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/proc.h"

enum { PATIENCE = 60 }; /* seconds */

/* A cancelled child ends at whatever step it was, and so do the processes that it started. All of
 * them hold the pipe's write end, which is closed once none is left. */
static void nothing_survives_its_cancelling(void **state)
{
	enum { CHILDREN = 200 };
	const char *argv[] = { "sh", "-c", "sleep 600 & sleep 600", NULL };
	struct child_options o = { .argv = argv };
	struct pollfd end = { .events = POLLIN };
	struct child_fd held;
	struct err e = ERR_INIT;
	struct loop loop;
	int p[2];

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	held = (struct child_fd){ p[1], 7 };
	o.more = &held;
	for (unsigned i = 0; i < CHILDREN; i++) {
		struct child *c = child_run(loop.ev, &o, &e);

		assert_non_null(c);
		/* at once, or at some step of its start */
		for (unsigned turn = 0; i % 4 && turn < i; turn++)
			sched_yield();
		child_cancel(c);
	}
	loop_finish(&loop, PATIENCE);
	close(p[1]);
	end.fd = p[0];
	assert_int_equal(poll(&end, 1, PATIENCE * 1000), 1);
	assert_true(end.revents & POLLHUP);
	close(p[0]);
	loop_release(&loop);
}

static void left_done(void *data, const struct child_result *r)
{
	assert_int_equal(r->status, 0);
	assert_string_equal(r->out, "done\n");
	*(bool *)data = true;
}

/* What a child leaves behind when it succeeds ends with it; its answer is as it was. */
static void nothing_is_left_behind(void **state)
{
	const char *argv[] = { "sh", "-c", "sleep 600 & sh -c 'sleep 600 & sleep 600' & echo done",
		NULL };
	struct pollfd end = { .events = POLLIN };
	struct child_fd held;
	struct err e = ERR_INIT;
	struct loop loop;
	bool done = false;
	struct child_options o = { .argv = argv, .more = &held, .done = left_done, .data = &done };
	int p[2];

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	held = (struct child_fd){ p[1], 7 };
	assert_non_null(child_run(loop.ev, &o, &e));
	loop_finish(&loop, PATIENCE);
	assert_true(done);
	close(p[1]);
	end.fd = p[0];
	assert_int_equal(poll(&end, 1, PATIENCE * 1000), 1);
	assert_true(end.revents & POLLHUP);
	close(p[0]);
	loop_release(&loop);
}

static void one_done(void *data, const struct child_result *r)
{
	*(int *)data = r->status;
}

/* The completion of a killed child is called too. */
static void killed_is_told(void **state)
{
	const char *argv[] = { "sleep", "600", NULL };
	struct loop loop;
	int status = 0;
	struct child_options o = { .argv = argv, .done = one_done, .data = &status };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	child_kill(child_run(loop.ev, &o, &e));
	loop_finish(&loop, PATIENCE);
	assert_int_equal(status, -SIGKILL);
	loop_release(&loop);
}

/* The idle timeout ends a child that hangs; a child that reads or computes is not idle. */
static void idle_deadline(void **state)
{
	const char *argv[] = { "sleep", "600", NULL };
	const uint64_t before = proc_work(getpid());
	struct loop loop;
	int status = 1;
	struct child_options o = {
		.argv = argv, .timeout = 0.1, .while_idle = true, .done = one_done, .data = &status
	};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	assert_non_null(child_run(loop.ev, &o, &e));
	loop_finish(&loop, PATIENCE);
	assert_int_equal(status, -ETIMEDOUT);
	loop_release(&loop);
	assert_true(proc_work(getpid()) > before);
	assert_int_equal(proc_work(999999999), 0);
}

/* The message for every kind of late child: how long it had, and what was done about it. */
static void late_is_told(void **state)
{
	static const struct {
		bool while_idle;
		double seconds;
		const char *text;
	} rows[] = {
		{ false, 30, "did not end within 30 s and was killed" },
		{ false, 0.5, "did not end within 0.5 s and was killed" },
		{ true, 300, "did nothing for 300 s and was killed" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct child_result r = { .status = -ETIMEDOUT,
			.seconds = rows[i].seconds,
			.while_idle = rows[i].while_idle };
		char text[CHILD_LATE];

		assert_string_equal(child_late(&r, text), rows[i].text);
	}
}

static void late_done(void *data, const struct child_result *r)
{
	char *text = data;

	child_late(r, text);
}

/* The message contains the timeout that was set. */
static void late_knows_its_timeout(void **state)
{
	static const char *const argv[] = { "sleep", "1000", NULL };
	char text[CHILD_LATE] = "";
	struct loop loop;
	struct child_options o = { .argv = argv, .timeout = 0.25, .done = late_done, .data = text };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	assert_non_null(child_run(loop.ev, &o, &e));
	loop_finish(&loop, PATIENCE);
	assert_string_equal(text, "did not end within 0.25 s and was killed");
	loop_release(&loop);
}

/* The successor process reaps cancelled children; other numbers are harmless. */
static void inherited(void **state)
{
	const char *argv[] = { "sleep", "600", NULL };
	struct child_options o = { .argv = argv };
	struct err e = ERR_INIT;
	struct loop before, after;
	char text[64];
	pid_t pid;

	(void)state;
	assert_int_equal(loop_init(&before), 0);
	child_cancel(child_run(before.ev, &o, &e));
	child_bequeath(text, sizeof text);
	pid = (pid_t)strtol(text, NULL, 10);
	assert_true(pid > 1);
	assert_int_equal(loop_init(&after), 0);
	child_inherit(after.ev, "");
	child_inherit(after.ev, "1 999999999 x");
	child_inherit(after.ev, text);
	loop_finish(&after, PATIENCE);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	loop_release(&after);
	/* nothing is left for the first loop to wait for; it is released with its child */
	loop_release(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_survives_its_cancelling),
		cmocka_unit_test(nothing_is_left_behind),
		cmocka_unit_test(killed_is_told),
		cmocka_unit_test(idle_deadline),
		cmocka_unit_test(late_is_told),
		cmocka_unit_test(late_knows_its_timeout),
		cmocka_unit_test(inherited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
