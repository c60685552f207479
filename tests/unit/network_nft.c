/* SPDX-License-Identifier: MIT */
/* Proves that nft runs in sequence for each network: never a second one before the first has ended
 * and been reaped, however it ended; and that each run reports once, unless it was cancelled. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/loop.h"
#include "supervisor/network/nft_run.c"

static struct loop loop;
static struct networks ns;
static char dir[32], *path;

/* Installs a script as nft. */
static void install(const char *script)
{
	_cleanup_(free_ptr) char *file = xasprintf("%s/nft", dir);

	file_remove_tree(AT_FDCWD, file, NULL);
	if (script)
		assert_int_equal(
			file_replace(AT_FDCWD, file, 0755, script, strlen(script), false, NULL), 0);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as in the daemon: a killed nft does not read */
	snprintf(dir, sizeof dir, "/tmp/vmkeep-nftXXXXXX");
	if (!mkdtemp(dir) || loop_init(&loop) < 0)
		return -1;
	path = xasprintf("%s:%s", dir, getenv("PATH"));
	ns = (struct networks){ .ev = loop.ev };
	install("#!/bin/sh\nread -r word\n[ $word != hang ] || exec sleep 600\necho ${word#exit} >&2\nexit ${word#exit}\n");
	return setenv("PATH", path, 1);
}

static int teardown(void **state)
{
	(void)state;
	network_nft_end(&ns);
	loop_finish(&loop, 60);
	loop_release(&loop);
	file_remove_tree(AT_FDCWD, dir, NULL);
	free(path);
	return 0;
}

struct told {
	pid_t before; /* must have ended by then */
	unsigned n;
	char why[64];
};

static void on_done(void *data, const struct err *e)
{
	struct told *t = data;

	t->n++;
	snprintf(t->why, sizeof t->why, "%.63s", e ? e->text : "");
	assert_true(!t->before || (kill(t->before, 0) < 0 && errno == ESRCH));
}

static void never(void *data, const struct err *e)
{
	(void)data, (void)e;
	fail_msg("a cancelled one is told");
}

static pid_t pid_of(void)
{
	char text[64];

	child_bequeath(text, sizeof text); /* the newest child is listed first */
	return (pid_t)atol(text);
}

static void wait_for(struct told *t)
{
	while (!t->n)
		ev_run(loop.ev, EVRUN_ONCE);
	assert_int_equal(t->n, 1);
}

static void after_one_that_was_cancelled(void **state)
{
	struct nft_run *hangs, *next, *other;
	struct told t = { 0 }, u = { 0 };
	struct err e = ERR_INIT;

	(void)state;
	hangs = network_run_nft(&ns, "a", "hang\n", never, NULL, &e);
	assert_non_null(hangs->child);
	t.before = pid_of();
	network_nft_cancel(hangs);
	next = network_run_nft(&ns, "a", "exit3\n", on_done, &t, &e);
	assert_null(next->child);
	/* other networks do not wait for this one */
	other = network_run_nft(&ns, "b", "exit4\n", on_done, &u, &e);
	assert_non_null(other->child);
	wait_for(&t);
	wait_for(&u);
	assert_string_equal(t.why, "nft failed: 3");
	assert_string_equal(u.why, "nft failed: 4");
	assert_null(ns.nft);
}

/* A waiting run that is cancelled is never started. */
static void cancelled_while_it_waits(void **state)
{
	struct nft_run *hangs, *waits;
	struct told t = { 0 };
	struct err e = ERR_INIT;

	(void)state;
	hangs = network_run_nft(&ns, "a", "hang\n", never, NULL, &e);
	waits = network_run_nft(&ns, "a", "exit1\n", never, NULL, &e);
	network_nft_cancel(waits);
	network_nft_cancel(hangs);
	assert_non_null(network_run_nft(&ns, "a", "exit0\n", on_done, &t, &e));
	wait_for(&t);
	assert_string_equal(t.why, "");
	assert_null(ns.nft);
}

static void not_there(void **state)
{
	struct nft_run *hangs;
	struct told t = { 0 };
	struct err e = ERR_INIT;

	(void)state;
	hangs = network_run_nft(&ns, "a", "hang\n", never, NULL, &e);
	network_nft_cancel(hangs);
	assert_non_null(network_run_nft(&ns, "a", "exit0\n", on_done, &t, &e));
	install(NULL);
	setenv("PATH", dir, 1);
	wait_for(&t);
	assert_non_null(strstr(t.why, "nft failed: "));
	assert_null(network_run_nft(&ns, "a", "exit0\n", never, NULL, &e));
	assert_int_equal(e.class, ERR_NOT_FOUND);
	assert_non_null(strstr(e.hint, "apt install nftables"));
	assert_null(ns.nft);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(after_one_that_was_cancelled, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelled_while_it_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(not_there, setup, teardown),
	};

	return cmocka_run_group_tests_name("network/nft", tests, NULL, NULL);
}
