/* SPDX-License-Identifier: MIT */
/* Proves that a listener never spins: without descriptors its clients get an error or wait, and are
 * served once there are descriptors again; a client that hung up before accept() has no effect. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/accept.h"
#include "base/mem.h"
#include "tests/unit/slow.h"

enum { PER_TURN = 4 };

static struct ev_loop *ev;
static struct acceptor acceptor;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static unsigned taken, told;
static bool timed_out;

static void on_connected(struct acceptor *a, int fd)
{
	assert_ptr_equal(a, &acceptor);
	taken++;
	close(fd);
}

static void on_refused(struct acceptor *a, int fd)
{
	assert_ptr_equal(a, &acceptor);
	told++;
	close(fd);
}

static void on_time(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w, (void)revents;
	timed_out = true;
	ev_break(loop, EVBREAK_ALL);
}

/* How often the loop woke up within this time. */
static unsigned turns_in(double seconds)
{
	unsigned before = ev_iteration(ev);
	ev_timer timer;

	ev_timer_init(&timer, on_time, seconds, 0);
	ev_timer_start(ev, &timer);
	ev_run(ev, 0);
	return ev_iteration(ev) - before;
}

static void run_until(const unsigned *count, unsigned wanted)
{
	ev_timer timer;

	timed_out = false;
	ev_timer_init(&timer, on_time, stretched(60), 0);
	ev_timer_start(ev, &timer);
	while (*count < wanted && !timed_out)
		ev_run(ev, EVRUN_ONCE);
	ev_timer_stop(ev, &timer);
	assert_int_equal(*count, wanted);
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	return fd;
}

static void connect_it(int fd)
{
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
}

static int setup(void **state)
{
	int fd = new_socket();

	(void)state;
	ev = ev_loop_new(EVFLAG_AUTO);
	snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "vmkeep-test-accept-%d",
		(int)getpid());
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 64), 0);
	acceptor_init(&acceptor, ev, fd, PER_TURN, on_connected, on_refused);
	acceptor_start(&acceptor);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	acceptor_stop(&acceptor);
	close(acceptor.io.fd);
	ev_loop_destroy(ev);
	return 0;
}

static int reset(void **state)
{
	(void)state;
	taken = told = 0;
	return 0;
}

static void limit(rlim_t n, struct rlimit *old)
{
	getrlimit(RLIMIT_NOFILE, old);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ n, old->rlim_max }), 0);
}

static void takes_some_a_turn(void **state)
{
	int fd[PER_TURN * 2 + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		connect_it(fd[i] = new_socket());
	ev_run(ev, EVRUN_ONCE);
	assert_int_equal(taken, PER_TURN);
	run_until(&taken, ARRAY_SIZE(fd));
	assert_int_equal(told, 0);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
}

static void tells_each_when_all_are_used(void **state)
{
	int fd[6], fill[64];
	struct rlimit old;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = new_socket();
	limit(60, &old);
	while (n < ARRAY_SIZE(fill) && (fill[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	for (size_t i = 0; i < ARRAY_SIZE(fd) - 1; i++)
		connect_it(fd[i]);
	run_until(&told, ARRAY_SIZE(fd) - 1);
	assert_int_equal(taken, 0);
	assert_true(turns_in(0.2) <= 3);
	while (n > 0)
		close(fill[--n]);
	setrlimit(RLIMIT_NOFILE, &old);
	connect_it(fd[ARRAY_SIZE(fd) - 1]);
	run_until(&taken, 1);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
}

static void waits_when_even_the_reserve_is_gone(void **state)
{
	int fd[2] = { new_socket(), new_socket() };
	struct rlimit old;

	(void)state;
	limit(3, &old);
	connect_it(fd[0]);
	assert_true(turns_in(0.3) <= 4);
	assert_int_equal(taken + told, 0);
	setrlimit(RLIMIT_NOFILE, &old);
	run_until(&taken, 1); /* by itself */

	limit(3, &old);
	connect_it(fd[1]);
	turns_in(0.01);
	setrlimit(RLIMIT_NOFILE, &old);
	acceptor_retry(&acceptor);
	assert_false(ev_is_active(&acceptor.again));
	run_until(&taken, 2);
	close(fd[0]);
	close(fd[1]);
}

static void stopped_is_stopped(void **state)
{
	struct acceptor empty = { .ev = NULL };
	int fd = new_socket();

	(void)state;
	acceptor_stop(&empty);
	acceptor_stop(&acceptor);
	acceptor_retry(&acceptor);
	connect_it(fd);
	assert_true(turns_in(0.05) <= 2);
	assert_int_equal(taken, 0);
	acceptor_start(&acceptor);
	run_until(&taken, 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(takes_some_a_turn, reset),
		cmocka_unit_test_setup(tells_each_when_all_are_used, reset),
		cmocka_unit_test_setup(waits_when_even_the_reserve_is_gone, reset),
		cmocka_unit_test_setup(stopped_is_stopped, reset),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
