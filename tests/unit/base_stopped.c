/* SPDX-License-Identifier: MIT */
/*
 * A loop that is stopped (SIGSTOP) for longer than a timer lasts gives the time back, whatever it
 * was doing: waiting, or just woken up by something that was ready. The stop takes place inside
 * epoll_wait(), which libev calls here instead of in libc.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/loop.h"

#define STOPPED (2 * CLOCK_GAP) /* seconds */
#define TIMEOUT (CLOCK_GAP / 2)

enum { NOT, WITH_EVENTS, INTERRUPTED };

static int stop_when;

struct test {
	struct loop loop;
	struct loop_timer timer;
	ev_io io;
	int pipe[2];
	double started, fired;
};

/* A child stops us, and lets us go on. */
static void stop_for_a_while(void)
{
	const pid_t self = getpid(), child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		kill(self, SIGSTOP);
		usleep((useconds_t)(STOPPED * 1e6));
		kill(self, SIGCONT);
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
}

int epoll_wait(int fd, struct epoll_event *event, int max, int timeout_ms)
{
	const int n = (int)syscall(SYS_epoll_pwait, fd, event, max, timeout_ms, NULL, 0);
	const int error = errno, when = stop_when;

	if (when == NOT || (when == WITH_EVENTS) != (n > 0))
		return n;
	stop_when = NOT;
	stop_for_a_while();
	errno = when == INTERRUPTED ? EINTR : error;
	return when == INTERRUPTED ? -1 : n;
}

static void pipe_is_ready(struct ev_loop *ev, ev_io *w, int revents)
{
	char c;

	assert_int_equal(read(w->fd, &c, 1), 1);
}

static void timer_fires(void *data)
{
	struct test *t = data;

	t->fired = clock_awake();
	ev_break(t->loop.ev, EVBREAK_ALL);
}

static void time_is_given_back(int when)
{
	struct test t = { .pipe = { -1, -1 } };

	assert_int_equal(pipe(t.pipe), 0);
	assert_int_equal(loop_init(&t.loop), 0);
	loop_timer_init(&t.timer, t.loop.ev, timer_fires, &t);
	ev_io_init(&t.io, pipe_is_ready, t.pipe[0], EV_READ);
	ev_io_start(t.loop.ev, &t.io);
	assert_int_equal(write(t.pipe[1], "x", 1), 1);
	t.started = clock_awake();
	loop_timer_start(&t.timer, TIMEOUT);
	stop_when = when;
	ev_run(t.loop.ev, 0);
	assert_int_equal(stop_when, NOT);
	assert_true(t.fired - t.started > STOPPED + TIMEOUT / 2);
	assert_true(clock_left_out() > STOPPED / 2);
	ev_io_stop(t.loop.ev, &t.io);
	loop_release(&t.loop);
	close(t.pipe[0]);
	close(t.pipe[1]);
}

static void stopped_while_something_was_ready(void **state)
{
	time_is_given_back(WITH_EVENTS);
}

static void stopped_while_asleep(void **state)
{
	time_is_given_back(INTERRUPTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stopped_while_something_was_ready),
		cmocka_unit_test(stopped_while_asleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
