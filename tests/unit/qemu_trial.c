/* SPDX-License-Identifier: MIT */
/*
 * A trial of a command line uses nothing of the host, and refuses nothing that a start would
 * accept: each golden is tried with the real QEMU. What QEMU refuses is refused by its trial with
 * the same text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/child.h"
#include "base/loop.h"
#include "supervisor/qemu/trial.h"
#include "tests/unit/golden.h"
#include "tests/unit/slow.h"

struct tried {
	struct loop loop;
	int status;
	char *err;
};

static void on_ended(void *data, const struct child_result *r)
{
	struct tried *t = data;

	t->status = r->status;
	t->err = xstrdup(r->err);
	ev_break(t->loop.ev, EVBREAK_ALL);
}

static void try_it(struct tried *t, const struct argv *argv)
{
	struct err e = ERR_INIT;

	*t = (struct tried){ .err = NULL };
	assert_int_equal(loop_init(&t->loop), 0);
	assert_non_null(child_run(t->loop.ev,
		&(struct child_options){ .argv = argv->word,
			.input = trial_input,
			.timeout = stretched(30),
			.done = on_ended,
			.data = t },
		&e));
	ev_run(t->loop.ev, 0);
	loop_release(&t->loop);
}

static void test_golden(void **state)
{
	struct golden g = { .image_dir = GOLDEN_IMAGES, .tcg = true };
	struct argv trial = ARGV_INIT;
	struct tried r;

	golden_load(&g, *state);
	g.conf.args.n = 0;
	golden_build(&g);
	trial_argv(&trial, &g.argv, &(struct trial_host){ .no_files = true });
	for (size_t i = 1; i < trial.n; i++)
		if ((strchr(trial.word[i], '/') && !strstr(trial.word[i], trial.word[0])) ||
			strstr(trial.word[i], "fd=") || strstr(trial.word[i], g.id.uuid) ||
			strstr(trial.word[i], "vmkeep:"))
			fail_msg("'%s' is the host's", trial.word[i]);
	try_it(&r, &trial);
	if (r.status != 0 && !strstr(r.err, "io_uring")) /* which containers often forbid */
		fail_msg("status %d: %s", r.status, r.err);
	free(r.err);
	argv_release(&trial);
	golden_release(&g);
}

static void test_refused(void **state)
{
	static const char *const lines[][3] = {
		{ "-cpu", "qemu64,avx512f=on,enforce=on", "doesn't support requested features" },
		{ "-smp", "195,sockets=3,cores=65,threads=1", "X2APIC" },
		{ "-k", "no-such-keymap", "could not read keymap file" },
	};
	struct golden g = { .image_dir = GOLDEN_IMAGES, .tcg = true };
	struct argv trial = ARGV_INIT;

	(void)state;
	golden_load(&g, "minimal");
	golden_build(&g);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct argv argv = g.argv;
		struct tried r;

		argv.word = xcalloc(g.argv.n + 3, sizeof *argv.word);
		memcpy(argv.word, g.argv.word, g.argv.n * sizeof *argv.word);
		argv.word[argv.n++] = lines[i][0];
		argv.word[argv.n++] = lines[i][1];
		trial_argv(&trial, &argv, &(struct trial_host){ .no_files = true });
		try_it(&r, &trial);
		/* with TCG, QEMU 10 has an x2APIC */
		if (r.status == 0 && !streq(lines[i][2], "X2APIC"))
			fail_msg("%s %s was taken", lines[i][0], lines[i][1]);
		if (r.status && !strstr(r.err, lines[i][2]))
			fail_msg("'%s' lacks '%s'", r.err, lines[i][2]);
		free(r.err);
		free(argv.word);
		argv_release(&trial);
	}
	golden_release(&g);
}

/* A running VM already has its memory. */
static void test_memory(void **state)
{
	const char *words[] = { "qemu", "-m", "1048576M", "-S", NULL };
	struct argv argv = { .arena = ARENA_INIT, .word = words, .n = 4 }, trial = ARGV_INIT;

	(void)state;
	trial_argv(&trial, &argv, &(struct trial_host){ .no_files = true });
	assert_string_equal(trial.word[2], "1048576M");
	argv_release(&trial);
	trial_argv(&trial, &argv, &(struct trial_host){ .no_memory = true, .no_files = true });
	assert_string_equal(trial.word[2], "16M");
	assert_string_equal(trial.word[3], "-S");
	argv_release(&trial);
	argv.own = 3; /* the operator's */
	trial_argv(&trial, &argv, &(struct trial_host){ .no_memory = true, .no_files = true });
	assert_string_equal(trial.word[2], "1048576M");
	argv_release(&trial);
}

static void test_said(void **state)
{
	static const char said[] =
		"qemu: warning: hub 0 is not connected to host network\nqemu: why\nmore";
	char *left = trial_said(said, sizeof said - 1);

	(void)state;
	assert_string_equal(left, "qemu: why\nmore");
	free(left);
	left = trial_said("", 0);
	assert_string_equal(left, "");
	free(left);
}

int main(void)
{
	struct CMUnitTest tests[GOLDEN_MAX + 3] = { cmocka_unit_test(test_refused),
		cmocka_unit_test(test_memory), cmocka_unit_test(test_said) };
	char *names[GOLDEN_MAX];
	size_t n = golden_names(names);
	int r;

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < n; i++)
		tests[3 + i] = (struct CMUnitTest){ names[i], test_golden, NULL, NULL, names[i] };
	r = _cmocka_run_group_tests("trials", tests, 3 + n, NULL, NULL);
	while (n)
		free(names[--n]);
	return r;
}
