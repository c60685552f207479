/* SPDX-License-Identifier: MIT */
/*
 * KVM is tested by booting 512 bytes, once, and again when it is in doubt; a failure comes with the fix. The test
 * runs with TCG instead.
 */
#include "tests/unit/probe_lab.h"

#include "supervisor/qemu/probe_ask.h"

static const char qemu[] = "qemu-system-x86_64";

static void on_kvm(void *data, const struct probe *none, const struct err *e)
{
	assert_null(none);
	answered(data, e);
}

static void init(struct fixture *f, struct kvm *k, const char *accel)
{
	const struct ask blank = {
		.ev = f->loop.ev, .jail = stand_in_jail(), .root = f->dir, .uids = &uids
	};

	kvm_init(k, &blank, accel);
}

static void prove(struct fixture *f, struct kvm *k, const char *binary)
{
	f->calls = 0;
	kvm_prove(k, binary, on_kvm, f);
	wait_for(f, 1);
	if (!f->ok)
		fail_msg("%s", f->err.text);
}

static void test_boot_proof(void **state)
{
	struct fixture *f = *state;
	struct kvm k;

	init(f, &k, "tcg");
	prove(f, &k, qemu);
	assert_int_equal(f->calls, 1);
	kvm_prove(&k, qemu, on_kvm, f);
	assert_int_equal(f->calls, 2); /* remembered */
	kvm_release(&k);
}

/* Slow is not broken: later tries have more time. */
static void test_slow_proof(void **state)
{
	struct fixture *f = *state;
	char *path = script(f, "qemu", "sleep 0.5; exec qemu-system-x86_64 \"$@\"");
	struct kvm k;

	init(f, &k, "tcg");
	k.seconds[0] = 0.05;
	k.seconds[1] = stretched(30);
	prove(f, &k, path);
	assert_int_equal(k.tries, 1);
	assert_true(k.took > 0.5);
	kvm_release(&k);
	free(path);
}

static struct kvm_seen shown; /* of /dev/kvm */

static void show(int root, struct kvm_seen *s)
{
	(void)root;
	*s = shown;
}

/* A KVM that worked may disappear, and come back as another device. */
static void test_lost_proof(void **state)
{
	struct fixture *f = *state;
	char *path = script(f, "qemu", "exec qemu-system-x86_64 \"$@\"");
	struct kvm k;

	shown = (struct kvm_seen){ .flag = "svm", .loaded = true, .ino = 7 };
	init(f, &k, "tcg");
	k.look = show;
	prove(f, &k, path);
	assert_int_equal(runs(f), k.tries + 1);
	prove(f, &k, path);
	assert_int_equal(runs(f), k.tries + 1);

	shown = (struct kvm_seen){ .flag = "svm", .error = ENOENT };
	f->calls = 0;
	kvm_prove(&k, path, on_kvm, f);
	assert_int_equal(f->calls, 0); /* called from the loop */
	wait_for(f, 1);
	assert_false(f->ok);
	assert_non_null(strstr(f->err.text, "the module kvm_amd is not loaded"));
	assert_non_null(strstr(f->err.hint, "modprobe kvm_amd"));
	assert_non_null(strstr(f->err.hint, "Accel=tcg"));

	shown = (struct kvm_seen){ .flag = "svm", .loaded = true, .ino = 7 };
	for (unsigned i = 0; i < 3; i++) {
		size_t before = runs(f);

		/* back again, then another device, then in doubt */
		shown.ino += i == 1;
		if (i == 2)
			kvm_doubt(&k);
		prove(f, &k, path);
		assert_int_equal(runs(f), before + k.tries + 1);
	}
	kvm_release(&k);
	free(path);
}

/* Not every start waits for the longest try of a KVM that hangs; a KVM that works again is detected
 * at once. */
static void test_hangs_again(void **state)
{
	struct fixture *f = *state;
	char *path = script(f, "qemu", "exec sleep 60");
	struct kvm k;

	shown = (struct kvm_seen){ .flag = "svm", .loaded = true, .ino = 7 };
	init(f, &k, "tcg");
	k.look = show;
	for (size_t n = 0; n < KVM_TRIES; n++)
		k.seconds[n] = 0.1;
	for (unsigned i = 0; i < 4; i++) {
		const bool whole = i == 0 || i == 2; /* the first time, and for another device */
		size_t before = runs(f);

		shown.ino += i == 2;
		f->calls = 0;
		kvm_prove(&k, path, on_kvm, f);
		wait_for(f, 1);
		assert_false(f->ok);
		assert_non_null(strstr(f->err.text, whole ? "in 3 tries" : "s ago"));
		assert_true(
			runs(f) - before <= (whole ? 3 : 2)); /* the shell may not have started */
		assert_int_equal(k.tries, whole ? 3 : 2);
	}
	k.hung -= KVM_HUNG_SECONDS;
	f->calls = 0;
	kvm_prove(&k, path, on_kvm, f);
	wait_for(f, 1);
	assert_int_equal(k.tries, 3);
	free(script(f, "qemu", "exec qemu-system-x86_64 \"$@\""));
	k.seconds[0] = stretched(30);
	prove(f, &k, path);
	assert_true(k.hung == 0);
	kvm_release(&k);
	free(path);
}

static void test_no_proof(void **state)
{
	/* clang-format off */
	static const struct {
		const char *accel, *rest, *says;
		size_t runs;
		const char *cure;
	} cases[] = {
		{ "no-such", "exec qemu-system-x86_64 \"$@\"", "invalid accelerator no-such", 3, "dmesg" },
		{ "tcg", "exec sleep 60", "it hangs: 512 bytes did not boot", 3, "dmesg" },
		{ "tcg", "exit 0", "ended with status 0", 3, "dmesg" },
		{ "tcg", "echo 'ioctl(KVM_CREATE_VM) failed: 16 Device or resource busy' >&2; exit 1",
			"Device or resource busy", 3, "such as VirtualBox" },
	};
	/* clang-format on */
	struct fixture *f = *state;
	size_t before = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *path = script(f, "qemu", cases[i].rest);
		struct kvm k;

		init(f, &k, cases[i].accel);
		for (size_t n = 0; i == 1 && n < KVM_TRIES; n++)
			k.seconds[n] = 1; /* time for a shell to start on a busy machine */
		f->calls = 0;
		kvm_prove(&k, path, on_kvm, f);
		kvm_prove(&k, path, on_kvm, f);
		kvm_prove(&k, path, on_kvm, &f->calls);
		ask_forget(&k.ask, &f->calls);
		assert_int_equal(f->calls, 0);
		wait_for(f, 2);
		assert_false(f->ok);
		assert_int_equal(f->err.class, ERR_NO_RESOURCES);
		if (!strstr(f->err.text, cases[i].says))
			fail_msg("'%s' lacks '%s'", f->err.text, cases[i].says);
		assert_non_null(strstr(f->err.hint, "Accel=tcg"));
		assert_non_null(strstr(f->err.hint, cases[i].cure));
		assert_int_equal(runs(f) - before, cases[i].runs);
		before = runs(f);
		kvm_release(&k);
		free(path);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_boot_proof, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_proof, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_proof, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hangs_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_proof, setup, teardown),
	};

	(void)argv;
	if (argc > 1)
		return stand_in_run();
	uids_of_block(&uids, 0);
	return cmocka_run_group_tests_name("KVM", tests, NULL, NULL);
}
