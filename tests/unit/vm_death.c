/* SPDX-License-Identifier: MIT */
/* Proves that the ways in which a process ends are distinguished, and that a process that does not
 * end is described. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "supervisor/vm/death.h"
#include "tests/unit/slow.h"

static void texts(void **state)
{
	static const struct {
		struct death death;
		const char *text;
	} cases[] = {
		{ { false, 0, 0, OOM_NO },
			"crashed: exit status unknown (started by a previous daemon)" },
		{ { true, CLD_EXITED, 1, OOM_NO }, "crashed: exit status 1" },
		{ { true, CLD_KILLED, SIGKILL, OOM_NO }, "crashed: signal 9 (SIGKILL)" },
		{ { true, CLD_KILLED, SIGKILL, OOM_YES }, "killed: out of memory" },
		{ { true, CLD_KILLED, SIGKILL, OOM_MAYBE },
			"killed: apparently out of memory (signal 9 (SIGKILL))" },
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		death_text(&cases[i].death, text, sizeof text);
		assert_string_equal(text, cases[i].text);
	}
}

static void how_children_end(void **state)
{
	static const struct {
		int signal, exit;
		const char *how;
	} cases[] = {
		{ 0, 3, "exit status 3" },
		{ SIGKILL, 0, "signal 9 (SIGKILL)" },
		{ SIGABRT, 0, "signal 6 (SIGABRT)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct oom_watch w = { 0 };
		struct rlimit none = { 0, 0 };
		struct death d;
		char how[128];
		pid_t pid = fork();

		if (pid == 0) {
			setrlimit(RLIMIT_CORE, &none);
			signal(SIGABRT, SIG_DFL);
			if (cases[i].signal)
				raise(cases[i].signal);
			_exit(cases[i].exit);
		}
		oom_watch_begin(&w, pid);
		int fd = pidfd_open(pid, 0);
		struct pollfd p = { .fd = fd, .events = POLLIN };

		assert_int_equal(poll(&p, 1, stretched_ms(10)), 1);
		death_read(&d, fd, &w, false);
		death_how(&d, how, sizeof how);
		assert_string_equal(how, cases[i].how);
		/* reaped: a second read learns nothing */
		death_read(&d, fd, &w, false);
		assert_false(d.known);
		close(fd);
		oom_watch_release(&w);
	}
}

/* A QEMU may end before its daemon has read the counters: earlier OOM kills of the host prove
 * nothing. */
static void a_watch_that_never_began(void **state)
{
	struct oom_watch w = { 0 };
	struct death d;

	(void)state;
	death_read(&d, -1, &w, false);
	assert_int_equal(d.oom, OOM_NO);
}

/* F26: the core's path is reported, and the end only once the core is complete: a restart does not
 * compete with the dump for memory and disk. */
static void a_core_is_named(void **state)
{
	enum { SIZE = 32 << 20 };
	struct rlimit any = { RLIM_INFINITY, RLIM_INFINITY };
	struct oom_watch w = { 0 };
	struct death d;
	char dir[] = "/tmp/vmkeep-core-XXXXXX", path[64], how[128], pattern[256] = "";
	struct stat st;
	FILE *f = fopen("/proc/sys/kernel/core_pattern", "re");

	(void)state;
	if (f && fgets(pattern, sizeof pattern, f))
		pattern[strcspn(pattern, "\n")] = '\0';
	if (f)
		fclose(f);
#ifdef __SANITIZE_ADDRESS__
	print_message("[  SKIP    ] a sanitizer's shadow memory is too much for a core\n");
	skip();
#endif
	if (strcmp(pattern, "core") != 0) {
		print_message("[  SKIP    ] cores of this host go to '%s'\n", pattern);
		skip();
	}
	if (setrlimit(RLIMIT_CORE, &any) < 0) {
		print_message(
			"[  SKIP    ] cores are forbidden here, as by sudo, and may not be allowed again\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	pid_t pid = fork();

	if (pid == 0) {
		char *memory = malloc(SIZE);

		if (!memory || chdir(dir) < 0)
			_exit(1);
		memset(memory, 1, SIZE);
		signal(SIGABRT, SIG_DFL);
		raise(SIGABRT);
		_exit(memory[SIZE - 1]);
	}
	int fd = pidfd_open(pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, stretched_ms(60)), 1);
	snprintf(path, sizeof path, "%s/core", dir);
	if (stat(path, &st) < 0)
		snprintf(path, sizeof path, "%s/core.%d", dir, (int)pid); /* core_uses_pid */
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size >= SIZE);
	death_read(&d, fd, &w, false);
	death_how(&d, how, sizeof how);
	assert_string_equal(how, "signal 6 (SIGABRT), core dumped to core");
	close(fd);
	unlink(path);
	rmdir(dir);
}

static void a_stopped_one_is_named(void **state)
{
	char text[256], begin[64];
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	death_refused(pid, text, sizeof text);
	snprintf(begin, sizeof begin, "process %d does not end after SIGKILL: stopped (state T",
		(int)pid);
	assert_memory_equal(text, begin, strlen(begin));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* a process that is gone is handled */
	death_refused(pid, text, sizeof text);
	assert_non_null(strstr(text, "state unknown"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(how_children_end),
		cmocka_unit_test(a_watch_that_never_began),
		cmocka_unit_test(a_core_is_named),
		cmocka_unit_test(a_stopped_one_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
