/* SPDX-License-Identifier: MIT */
/* Proves the basic parts: bounded buffers, arenas, errors, whole files, and children whose end is
 * reported exactly once. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/err.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/proc.h"

static void buffers(void **state)
{
	struct buf b = BUF_MAX(8);

	(void)state;
	assert_int_equal(buf_adds(&b, "12345678"), 0);
	assert_int_equal(buf_addc(&b, '9'), -E2BIG);
	assert_string_equal(b.data, "12345678");
	assert_int_equal(buf_printf(&b, "%s", "x"), -E2BIG);
	buf_drop(&b, 3);
	assert_string_equal(b.data, "45678");
	assert_int_equal(buf_printf(&b, "%d", 900), 0);
	assert_string_equal(b.data, "45678900");
	buf_drop(&b, 8);
	assert_null(b.data);
	assert_int_equal(buf_adds(&b, "again"), 0);
	char *s = buf_steal(&b);

	assert_string_equal(s, "again");
	free(s);
	assert_null(buf_reserve(&b, SIZE_MAX));
	buf_release(&b);
}

static void arenas(void **state)
{
	struct arena a = ARENA_INIT;
	char *first = arena_strdup(&a, "first");

	(void)state;
	for (int i = 0; i < 1000; i++) {
		char *p = arena_alloc(&a, (size_t)i);

		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (int k = 0; k < i; k++)
			assert_int_equal(p[k], 0);
		memset(p, 0xff, (size_t)i);
	}
	assert_string_equal(first, "first");
	assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
	arena_release(&a);
	assert_null(a.head);
	arena_release(&a);
}

static void errors(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_errno(&e, "open disk '%s'", "x"), -ENOENT);
	assert_int_equal(e.class, ERR_NOT_FOUND);
	assert_int_equal(err_wrap(&e, -ENOENT, "nic '%s'", "lan"), -ENOENT);
	assert_string_equal(e.text, "nic 'lan': open disk 'x': No such file or directory");
	assert_int_equal(err_hint(&e, "look"), -ENOENT);
	assert_string_equal(e.hint, "look");
	/* nobody reads the text: the number is still right */
	errno = EACCES;
	assert_int_equal(err_errno(NULL, "x"), -EACCES);
	assert_int_equal(err_set(NULL, ERR_TIMEOUT, "x"), -ETIMEDOUT);
	for (int i = 0; i < 100; i++)
		err_wrap(&e, -1, "%0200d", i);
	assert_true(strlen(e.text) < ERR_TEXT_MAX);
	err_clear(&e);
	assert_string_equal(e.text, "");
}

static void files(void **state)
{
	char dir[] = "/tmp/base-parts-XXXXXX";
	struct buf b = BUF_MAX(16);
	struct err e = ERR_INIT;
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_replace(fd, "x", 0600, "one", 3, true, &e), 0);
	assert_int_equal(file_replace(fd, "x", 0640, "two!", 4, false, &e), 0);
	assert_int_equal(fstatat(fd, "x", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(file_read(fd, "x", &b, &e), 0);
	assert_string_equal(b.data, "two!");
	assert_int_equal(faccessat(fd, "x.tmp", F_OK, 0), -1);
	buf_clear(&b);
	assert_int_equal(file_replace(fd, "big", 0600, "0123456789abcdefg", 17, false, &e), 0);
	assert_true(file_read(fd, "big", &b, &e) < 0);
	buf_clear(&b);
	assert_int_equal(mkdirat(fd, "d", 0700), 0);
	assert_int_equal(symlinkat("/etc", fd, "d/link"), 0);
	assert_true(file_read(fd, "d", &b, &e) < 0);
	assert_string_equal(e.text, "read 'd': not a regular file");
	assert_int_equal(file_remove_tree(fd, "d", &e), 0);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	assert_int_equal(file_remove_tree(fd, "d", &e), 0);
	close(fd);
	assert_int_equal(file_remove_tree(AT_FDCWD, dir, &e), 0);
	assert_int_equal(access(dir, F_OK), -1);
	buf_release(&b);
}

/* --- children --- */

struct run {
	struct loop *loop;
	int calls, status;
	char out[64], err[64];
	size_t out_len;
};

static void done(void *data, const struct child_result *r)
{
	struct run *run = data;

	run->calls++;
	run->status = r->status;
	run->out_len = r->out_len;
	snprintf(run->out, sizeof run->out, "%s", r->out);
	snprintf(run->err, sizeof run->err, "%s", r->err);
	ev_break(run->loop->ev, EVBREAK_ALL);
}

static void children(void **state)
{
	static const struct {
		const char *script, *input;
		double timeout;
		size_t out_max;
		int status;
		const char *out, *err;
	} cases[] = {
		{ "echo out; echo err >&2", NULL, 0, 0, 0, "out\n", "err\n" },
		{ "cat", "text", 0, 0, 0, "text", "" },
		{ "exit 3", NULL, 0, 0, 3, "", "" },
		{ "kill -9 $$", NULL, 0, 0, -SIGKILL, "", "" },
		{ "exec sleep 100", NULL, 0.05, 0, -ETIMEDOUT, "", "" },
		{ "echo 123456789", NULL, 0, 4, 0, "1234", "" },
		/* input that the child does not read */
		{ "exec true", "text", 0, 0, 0, "", "" },
		{ "ls /proc/self/fd | wc -l", NULL, 0, 0, 0, "4\n", "" },
	};

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *argv[] = { "sh", "-c", cases[i].script, NULL };
		struct loop loop;
		struct run run = { .loop = &loop };
		struct child_options o = { .argv = argv,
			.input = cases[i].input,
			.timeout = cases[i].timeout,
			.out_max = cases[i].out_max,
			.done = done,
			.data = &run };
		struct err e = ERR_INIT;

		assert_int_equal(loop_init(&loop), 0);
		assert_non_null(child_run(loop.ev, &o, &e));
		assert_int_equal(run.calls, 0);
		ev_run(loop.ev, 0);
		assert_int_equal(run.calls, 1);
		assert_int_equal(run.status, cases[i].status);
		assert_string_equal(run.out, cases[i].out);
		assert_string_equal(run.err, cases[i].err);
		loop_release(&loop);
	}
}

/* --- loop iterations --- */

struct turns {
	struct loop loop;
	ev_prepare sleeps;
	struct loop_task slow, other, never;
	char told[16];
};

static void tell(struct turns *t, const char *what)
{
	assert_true(strlen(t->told) + strlen(what) < sizeof t->told);
	strcat(t->told, what);
}

static void turn_ended(struct ev_loop *ev, ev_prepare *w, int revents)
{
	struct turns *t = w->data;

	(void)ev, (void)revents;
	tell(t, "|");
	if (!t->loop.first)
		ev_break(t->loop.ev, EVBREAK_ALL);
}

static void other_runs(struct loop_task *task)
{
	tell(container_of(task, struct turns, other), "o");
}

/* Takes longer than one iteration allows. */
static void slow_runs(struct loop_task *task)
{
	struct turns *t = container_of(task, struct turns, slow);
	double begin = ev_time();

	tell(t, "s");
	loop_cancel(t->loop.ev, &t->never);
	loop_cancel(t->loop.ev, &t->slow);
	if (strlen(t->told) < 4)
		loop_later(t->loop.ev, &t->slow, slow_runs);
	while (ev_time() < begin + 0.003)
		;
}

static void never_runs(struct loop_task *task)
{
	tell(container_of(task, struct turns, never), "n");
}

/* In the order of the requests, once each; a slow task ends the iteration. */
static void tasks(void **state)
{
	struct turns t = { .told = "" };

	(void)state;
	assert_int_equal(loop_init(&t.loop), 0);
	ev_prepare_init(&t.sleeps, turn_ended);
	t.sleeps.data = &t;
	ev_prepare_start(t.loop.ev, &t.sleeps);
	loop_later(t.loop.ev, &t.slow, slow_runs);
	loop_later(t.loop.ev, &t.never, never_runs);
	loop_later(t.loop.ev, &t.other, other_runs);
	loop_later(t.loop.ev, &t.slow, slow_runs);
	ev_run(t.loop.ev, 0);
	/* the first "|" is from the loop's start */
	assert_string_equal(t.told, "|s|os|");
	ev_prepare_stop(t.loop.ev, &t.sleeps);
	loop_release(&t.loop);
}

struct timed {
	struct loop loop;
	struct loop_timer first, second, never;
	unsigned fired;
};

static void timer_second(void *data)
{
	struct timed *t = data;

	t->fired++;
	ev_break(t->loop.ev, EVBREAK_ALL);
}

static void timer_first(void *data)
{
	struct timed *t = data;

	t->fired++;
	assert_false(loop_timer_is_active(&t->first));
	loop_timer_stop(&t->never);
	loop_timer_start(&t->second, -1);
	assert_true(loop_timer_is_active(&t->second));
}

static void timers(void **state)
{
	struct timed t = { 0 };
	size_t n = 0, cap = 0;
	int *array = NULL;

	(void)state;
	loop_timer_stop(&t.never);
	assert_int_equal(loop_init(&t.loop), 0);
	loop_timer_init(&t.first, t.loop.ev, timer_first, &t);
	loop_timer_init(&t.second, t.loop.ev, timer_second, &t);
	loop_timer_init(&t.never, t.loop.ev, timer_second, &t);
	loop_timer_start(&t.never, 1000);
	loop_timer_start(&t.first, 1000);
	loop_timer_start(&t.first, 0.001);
	ev_run(t.loop.ev, 0);
	assert_int_equal(t.fired, 2);
	loop_release(&t.loop);

	for (int i = 0; i < 100; i++) {
		GROW(array, n, cap);
		array[n++] = i;
	}
	assert_int_equal(cap, 128);
	assert_int_equal(array[99], 99);
	free(array);
}

static void no_such_program(void **state)
{
	const char *argv[] = { "/no/such/program", NULL };
	struct loop loop;
	struct run run = { .loop = &loop };
	struct child_options o = { .argv = argv, .done = done, .data = &run };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	assert_non_null(child_run(loop.ev, &o, &e));
	ev_run(loop.ev, 0);
	assert_int_equal(run.calls, 1);
	assert_int_equal(run.status, CHILD_NOT_RUN);
	assert_string_equal(run.err, "run '/no/such/program': No such file or directory\n");
	loop_release(&loop);
}

/* Descriptors whose source and target numbers overlap all end up in place. */
static void spawn_descriptors(void **state)
{
	const char *argv[] = { "sh", "-c", "cat <&3 >&4", NULL };
	int a[2], b[2], status;
	struct err e = ERR_INIT;
	char text[8] = "";
	pid_t pid;
	int pidfd;

	(void)state;
	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	/* the sources are exactly each other's targets */
	assert_int_equal(dup3(a[0], 4 + 60, O_CLOEXEC), 64);
	assert_int_equal(dup3(b[1], 3 + 60, O_CLOEXEC), 63);
	struct child_fd fds[] = { { 64, 63 }, { 63, 64 }, { 64, 3 }, { 63, 4 } };

	assert_int_equal(child_spawn(argv, fds, ARRAY_SIZE(fds), false, &pid, &pidfd, &e), 0);
	assert_int_equal(write(a[1], "ping", 4), 4);
	close(a[1]);
	assert_int_equal(read(b[0], text, sizeof text), 4);
	assert_string_equal(text, "ping");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(a[0]);
	close(b[0]);
	close(b[1]);
	close(63);
	close(64);
	close(pidfd);
}

/* A process name that looks like the following fields is parsed as a name. */
static void processes(void **state)
{
	struct proc_stat own = { 0 }, child = { 0 };
	char id[PROC_BOOT_ID];
	pid_t pid;

	(void)state;
	prctl(PR_SET_NAME, ") Z 1 2) T 7");
	assert_true(proc_stat(getpid(), &own));
	assert_int_equal(own.state, 'R');
	assert_true(own.starttime > 0);
	pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	assert_true(proc_stat(pid, &child));
	assert_int_equal(child.state, 'Z');
	assert_int_equal(child.threads, 1);
	assert_true(child.starttime >= own.starttime);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(proc_stat(pid, &child));
	proc_boot_id(id);
	assert_int_equal(strlen(id), PROC_BOOT_ID - 1);
}

static void *rest(void *data)
{
	(void)data;
	for (;;)
		pause();
	return NULL;
}

/* A zombie with live threads still has its files open. */
static void zombie_with_threads(void **state)
{
	struct proc_stat child = { 0 };
	pthread_t thread;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		pthread_create(&thread, NULL, rest, NULL);
		pthread_exit(NULL);
	}
	while (child.state != 'Z')
		assert_true(proc_stat(pid, &child));
	assert_int_equal(child.threads, 2);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers),
		cmocka_unit_test(arenas),
		cmocka_unit_test(errors),
		cmocka_unit_test(files),
		cmocka_unit_test(children),
		cmocka_unit_test(tasks),
		cmocka_unit_test(timers),
		cmocka_unit_test(no_such_program),
		cmocka_unit_test(spawn_descriptors),
		cmocka_unit_test(processes),
		cmocka_unit_test(zombie_with_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
