/* SPDX-License-Identifier: MIT */
/* Proves that a child which writes endlessly delays neither an iteration of the loop nor its own
 * end. */
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/child.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/mem.h"

enum { PIPE_FULL = 65536 };

struct flood {
	struct loop loop;
	ev_prepare sleeps;
	size_t in_turn, most, all;
	int calls, status;
};

struct flood *flood_now;

/* Counts what base/child reads from the pipe, in chunks of this size. */
ssize_t read(int fd, void *to, size_t room)
{
	ssize_t n = syscall(SYS_read, fd, to, room);

	if (flood_now && n > 0 && room == 16384) {
		flood_now->in_turn += (size_t)n;
		flood_now->all += (size_t)n;
	}
	return n;
}

static void turn_ended(struct ev_loop *ev, ev_prepare *w, int revents)
{
	struct flood *f = w->data;

	(void)ev, (void)revents;
	if (f->in_turn > f->most)
		f->most = f->in_turn;
	f->in_turn = 0;
}

static void ended(void *data, const struct child_result *r)
{
	struct flood *f = data;

	f->calls++;
	f->status = r->status;
	ev_break(f->loop.ev, EVBREAK_ALL);
}

static void run(struct flood *f, const char *script)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct child_options o = { .argv = argv, .done = ended, .data = f };
	struct err e = ERR_INIT;

	flood_now = f;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(loop_init(&f->loop), 0);
	ev_prepare_init(&f->sleeps, turn_ended);
	f->sleeps.data = f;
	ev_prepare_start(f->loop.ev, &f->sleeps);
	assert_non_null(child_run(f->loop.ev, &o, &e));
	ev_run(f->loop.ev, 0);
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->status, 0);
	ev_prepare_stop(f->loop.ev, &f->sleeps);
	loop_release(&f->loop);
	flood_now = NULL;
}

/* All of the output arrives, at most one full pipe per iteration; the iteration in which the
 * child's end is detected may add another. */
static void in_pieces(void **state)
{
	struct flood f = { .all = 0 };

	(void)state;
	run(&f, "head -c 32000000 /dev/zero; echo");
	assert_int_equal(f.all, 32000001);
	assert_true(f.most <= 2 * PIPE_FULL);
}

/* A process that the child left behind keeps writing, and is not waited for. */
static void survivor(void **state)
{
	struct flood f = { .all = 0 };

	(void)state;
	run(&f, "yes & exit 0");
	assert_true(f.most <= 2 * PIPE_FULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_pieces),
		cmocka_unit_test(survivor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
