/* SPDX-License-Identifier: MIT */
/* Every system call that the filter refuses has a number, an unknown name is not found, and the
 * filter's jumps stay inside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <seccomp.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

static void test_every_name_has_a_number(void **state)
{
	const char *calls, *word;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; (calls = filter_calls(i)); i++)
		for (word = calls; *word; word += strcspn(word, " "), word += *word == ' ', n++)
			if (filter_number(word) == __NR_SCMP_ERROR)
				fail_msg("'%s' is not known, and has no number", word);
	assert_true(n > 100);
}

/* If libseccomp knows the name, it has the same number. */
static void test_numbers_are_right(void **state)
{
	const char *calls, *word;

	(void)state;
	for (size_t i = 0; (calls = filter_calls(i)); i++)
		for (word = calls; *word; word += strcspn(word, " "), word += *word == ' ') {
			size_t len = strcspn(word, "= ");
			_cleanup_(free_ptr) char *name = xstrndup(word, len);
			int known = seccomp_syscall_resolve_name(name);

			if (word[len] == '=' && known != __NR_SCMP_ERROR)
				assert_int_equal(known, atoi(word + len + 1));
		}
	assert_int_equal(filter_number("mount"), seccomp_syscall_resolve_name("mount"));
	assert_int_equal(filter_number("mount umount2"), seccomp_syscall_resolve_name("mount"));
	assert_int_equal(filter_number("vmkeep_call"), __NR_SCMP_ERROR);
	assert_int_equal(filter_number("vmkeep_call=4711"), 4711);
}

static void test_gate_ends_where_the_rest_begins(void **state)
{
	static struct gate g;
	struct jail j = { .n_nodes = 4,
		.node = { { .path = "/dev/kvm" }, { .path = "/dev/vhost-net" },
			{ .path = "/dev/vfio/1" }, { .path = "/dev/bus/usb/001/001" } } };
	static const char *const roles[] = { "qemu", "tool", "dnsmasq" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
		j.role = role_named(roles[i]);
		gate_write(&g, &j);
		assert_in_range(g.n, 20, GATE_OPS);
		for (unsigned k = 0; k < g.n; k++)
			if (g.op[k].code == (BPF_JMP | BPF_JA))
				assert_int_equal(k + 1 + g.op[k].k, g.n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_name_has_a_number),
		cmocka_unit_test(test_numbers_are_right),
		cmocka_unit_test(test_gate_ends_where_the_rest_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
