/* SPDX-License-Identifier: MIT */
/*
 * A QEMU binary's capabilities are read from its own answers, queried once per binary and cached; a
 * missing, broken or changed binary is distinguished, and every caller is called back exactly once.
 */
#include "tests/unit/probe_lab.h"

#include <fcntl.h>

#include "tests/unit/golden.h"

static void on_probe(void *data, const struct probe *p, const struct err *e)
{
	struct fixture *f = data;
	const char *machine = p ? probe_machine(p, "q35") : NULL;

	if (p) {
		snprintf(f->machine, sizeof f->machine, "%s", machine ? machine : "");
		f->major = p->major;
	}
	answered(f, e);
}

static const char replies[] =
	"{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n{\"return\": {}}\r\n"
	"{\"return\": {\"qemu\": {\"micro\": 1, \"minor\": 0, \"major\": 9}, \"package\": \"P\"}, \"id\": \"version\"}\r\n"
	"{\"return\": [{\"name\": \"pc-q35-9.0\", \"alias\": \"q35\", \"deprecated\": false, \"cpu-max\": 4096},"
	" {\"name\": \"pc-q35-8.2\"}, {\"name\": \"pc-q35-8.10\"}, {\"name\": \"pc-q35-2.4\", \"deprecated\": true},"
	" {\"name\": \"pc-i440fx-9.0\", \"alias\": \"pc\"}, {\"name\": \"none\"}], \"id\": \"machines\"}\r\n"
	"{\"timestamp\": {}, \"event\": \"SHUTDOWN\"}\r\n"
	"{\"return\": [{\"name\": \"virtio-blk-pci\"}, {\"name\": \"max-x86_64-cpu\"}], \"id\": \"devices\"}\r\n"
	"{\"return\": [{\"name\": \"max\"}, {\"name\": \"EPYC\"}], \"id\": \"cpus\"}\r\n"
	"{\"return\": [{\"name\": \"sse4-1\", \"type\": \"bool\"}, {\"name\": \"level\", \"type\": \"uint32\"},"
	" {\"name\": \"hv-x\", \"type\": \"OnOffAuto\"}, {\"name\": \"enforce\", \"type\": \"bool\"}], \"id\": \"features\"}\r\n";

static void test_document(void **state)
{
	/* clang-format off */
	static const struct {
		const char *wish, *machine;
		bool deprecated;
		const char *nearest;
	} cases[] = {
		{"q35",	 "pc-q35-9.0",    false, NULL						   },
		{ "pc",		"pc-i440fx-9.0", false, NULL					     },
		{ "pc-q35-8.2", "pc-q35-8.2",    false, NULL						  },
		{ "pc-q35-2.4", "pc-q35-2.4",    true,  NULL						 },
		{ "pc-q35-9.9", NULL,	      false, "pc-q35-9.0, pc-q35-8.10, pc-q35-8.2, pc-q35-2.4"},
		{ "virt",	  NULL,		false, "pc-q35-9.0, pc-i440fx-9.0"			   },
	};
	/* clang-format on */
	struct err e = ERR_INIT;
	struct probe p = PROBE_INIT;
	json_t *doc = probe_from_replies("/q", replies, sizeof replies - 1, &e);
	char names[256];

	(void)state;
	assert_non_null(doc);
	assert_int_equal(probe_from_json(&p, doc, &e), 0);
	json_decref(doc);
	assert_string_equal(p.binary, "/q");
	assert_int_equal(p.major, 9);
	assert_int_equal(p.minor, 0);
	assert_int_equal(p.micro, 1);
	assert_true(probe_has_device(&p, "virtio-blk-pci"));
	assert_false(probe_has_device(&p, "max-x86_64-cpu"));
	assert_false(probe_has_device(&p, "virtio-blk"));
	assert_int_equal(probe_cpu_max(&p, "pc-q35-9.0"), 4096);
	assert_true(probe_cpu_max(&p, "pc-q35-8.2") == UINT64_MAX); /* not reported */
	assert_true(probe_has_cpu(&p, "EPYC"));
	assert_false(probe_has_cpu(&p, "EPIC"));
	assert_true(probe_has_feature(&p, "sse4_1"));
	assert_true(probe_has_feature(&p, "hv-x"));
	assert_false(probe_has_feature(&p, "level")); /* a number */
	assert_false(probe_has_feature(&p, "enforce"));
	assert_string_equal(probe_nearest_feature(&p, "sse4-2"), "sse4-1");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *machine = probe_machine(&p, cases[i].wish);

		if (!cases[i].machine) {
			assert_null(machine);
			probe_machines(&p, cases[i].wish, names, sizeof names);
			assert_string_equal(names, cases[i].nearest);
			continue;
		}
		assert_string_equal(machine, cases[i].machine);
		assert_int_equal(probe_machine_is_deprecated(&p, machine), cases[i].deprecated);
	}
	probe_machines(&p, "pc-q35-9.9", names, 8); /* truncated, without an overrun */
	assert_string_equal(names, "pc-q35-");
	probe_release(&p);
}

/* Truncated replies are detected. */
static void test_cut_replies(void **state)
{
	const char *end = strstr(replies, "\"devices\"");

	(void)state;
	for (size_t n = 0; n < (size_t)(end - replies); n++) {
		struct err e = ERR_INIT;

		assert_null(probe_from_replies("/q", replies, n, &e));
		assert_int_equal(e.class, ERR_QEMU_FAILED);
	}
}

static void test_missing(void **state)
{
	struct fixture *f = *state;

	probes_get(f->probes, "no-such-qemu", on_probe, f);
	assert_int_equal(f->calls, 0); /* never from inside the call */
	wait_for(f, 1);
	assert_false(f->ok);
	assert_int_equal(f->err.class, ERR_QEMU_FAILED);
	assert_string_equal(f->err.text, "there is no program 'no-such-qemu'");
	assert_non_null(strstr(f->err.hint, "qemu-system-x86"));
}

static void test_broken(void **state)
{
	/* clang-format off */
	static const struct {
		const char *name, *rest, *says;
	} cases[] = {
		{"fails",	   "echo \"could not \033[1mload\" >&2; exit 3",
			"exit status 3\ncould not \\x1b[1mload"						},
		{ "silent",  "cat >/dev/null",			      "did not report its capabilities"},
		{ "garbage", "echo hello",				   "did not report its capabilities"},
		{ "killed",  "kill -9 $$",				  "Killed"			   },
	};
	/* clang-format on */
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *path = script(f, cases[i].name, cases[i].rest);

		f->calls = 0;
		probes_get(f->probes, path, on_probe, f);
		wait_for(f, 1);
		assert_false(f->ok);
		assert_int_equal(f->err.class, ERR_QEMU_FAILED);
		if (!strstr(f->err.text, cases[i].says))
			fail_msg("'%s' lacks '%s'", f->err.text, cases[i].says);
		free(path);
	}
}

static void forget_cpus(struct fixture *f)
{
	_cleanup_(close_fd) int fd = openat(f->dirfd, "qemu-probe.json", O_RDWR | O_CLOEXEC);
	json_t *cache = json_loadfd(fd, 0, NULL);

	json_object_del(json_array_get(json_object_get(cache, "probes"), 0), "cpus");
	assert_int_equal(ftruncate(fd, 0), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(json_dumpfd(cache, fd, 0), 0);
	json_decref(cache);
}

static void test_real(void **state)
{
	struct fixture *f = *state;
	char *path = script(f, "qemu", "exec qemu-system-x86_64 \"$@\"");

	/* two callers share a run; one that was forgotten is not called */
	probes_get(f->probes, path, on_probe, f);
	probes_get(f->probes, path, on_probe, f);
	probes_get(f->probes, path, on_probe, &f->calls);
	probes_forget(f->probes, &f->calls);
	assert_int_equal(f->calls, 0);
	wait_for(f, 2);
	assert_true(f->ok);
	assert_true(f->major >= 7);
	assert_memory_equal(f->machine, "pc-q35-", 7);
	assert_int_equal(runs(f), 1);

	/* known: answered at once, also by the next daemon */
	probes_get(f->probes, path, on_probe, f);
	assert_int_equal(f->calls, 3);
	probes_free(f->probes);
	f->probes = probes_new(f->loop.ev, f->dirfd, stand_in_jail(), f->dir, &uids);
	probes_get(f->probes, path, on_probe, f);
	assert_int_equal(f->calls, 4);
	assert_int_equal(runs(f), 1);

	/* cached by a vmkeep that did not query CPU models: probed again */
	forget_cpus(f);
	probes_free(f->probes);
	f->probes = probes_new(f->loop.ev, f->dirfd, stand_in_jail(), f->dir, &uids);
	probes_get(f->probes, path, on_probe, f);
	wait_for(f, 5);
	assert_true(f->ok);
	assert_int_equal(runs(f), 2);

	/* replaced by another file: probed again */
	free(path);
	path = script(f, "qemu", "exec qemu-system-x86_64 \"$@\" ");
	probes_get(f->probes, path, on_probe, f);
	wait_for(f, 6);
	assert_true(f->ok);
	assert_int_equal(runs(f), 3);

	/* a damaged cache costs another run, no more */
	assert_int_equal(
		file_replace(f->dirfd, "qemu-probe.json", 0644, "{\"versi", 8, false, NULL), 0);
	probes_free(f->probes);
	f->probes = probes_new(f->loop.ev, f->dirfd, stand_in_jail(), f->dir, &uids);
	probes_get(f->probes, path, on_probe, f);
	wait_for(f, 7);
	assert_true(f->ok);
	assert_int_equal(runs(f), 4);
	free(path);
}

static void test_recorded(void **state)
{
	static const struct {
		const char *qemu, *q35, *pc;
		uint64_t cpus;
		bool genoa;
	} cases[] = {
		{ "7.2", "pc-q35-7.2", "pc-i440fx-7.2", 288, false },
		{ "10.0", "pc-q35-10.0", "pc-i440fx-10.0", 4096, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err e = ERR_INIT;
		struct probe p = PROBE_INIT;
		json_t *doc = golden_probe(cases[i].qemu);

		assert_int_equal(probe_from_json(&p, doc, &e), 0);
		assert_string_equal(probe_machine(&p, "q35"), cases[i].q35);
		assert_string_equal(probe_machine(&p, "pc"), cases[i].pc);
		/* machines of the older one work on the newer one */
		assert_string_equal(probe_machine(&p, "pc-q35-7.2"), "pc-q35-7.2");
		assert_false(probe_machine_is_deprecated(&p, "pc-q35-7.2"));
		assert_int_equal(probe_cpu_max(&p, "pc-q35-7.2"), 288);
		assert_int_equal(probe_cpu_max(&p, cases[i].q35), cases[i].cpus);
		assert_int_equal(probe_cpu_max(&p, cases[i].pc), 255);
		assert_true(probe_has_cpu(&p, "EPYC-Rome"));
		assert_int_equal(probe_has_cpu(&p, "EPYC-Genoa"), cases[i].genoa);
		assert_false(probe_has_cpu(&p, "EPYC-Roma"));
		assert_true(probe_has_feature(&p, "sse4_1"));
		assert_false(probe_has_feature(&p, "enforce"));
		assert_string_equal(probe_nearest_feature(&p, "avx512x"), "avx512f");
		json_object_set_new(doc, "version", json_integer(2));
		assert_true(probe_from_json(&(struct probe)PROBE_INIT, doc, &e) < 0);
		json_decref(doc);
		probe_release(&p);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document),
		cmocka_unit_test(test_cut_replies),
		cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_real, setup, teardown),
		cmocka_unit_test(test_recorded),
	};

	(void)argv;
	if (argc > 1)
		return stand_in_run();
	uids_of_block(&uids, 0);
	return cmocka_run_group_tests_name("host probe", tests, NULL, NULL);
}
