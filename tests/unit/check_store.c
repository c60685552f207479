/* SPDX-License-Identifier: MIT */
/* What the state of a store is, by what a child process could find out of it before its deadline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/check/store.h"

#define DF "     1B-blocks        Avail\n"

static const struct {
	const char *printed;
	bool killed, require_mount, read_only;
	const char *state;
	uint64_t size;
	unsigned used, mode, owner;
} cases[] = {
	/* clang-format off */
	{ "700 0\nm\nw\n" DF "1000 500\n", false, false, false, "ok", 1000, 50, 0700, 0 },
	{ "700 0\n-\nw\n" DF "1000 999\n", false, false, false, "ok", 1000, 0, 0700, 0 },
	{ "700 0\nm\nw\n" DF "1000 150\n", false, true, false, "ok", 1000, 85, 0700, 0 },
	{ "1777 0\nm\n-\n" DF "1000 0\n", false, true, false, "read-only", 1000, 100, 01777, 0 },
	{ "755 0\nm\nw\n" DF "1000 500\n", false, false, true, "read-only", 1000, 50, 0755, 0 },
	{ "700 0\n-\nw\n" DF "1000 500\n", false, true, false, "not mounted", 0, 0, 0700, 0 },
	{ "700 0\n-\n-\n" DF "1000 500\n", false, true, true, "not mounted", 0, 0, 0700, 0 },
	{ "700 4711\nm\nw\n" DF "1000 500\n", false, false, false, "ok", 1000, 50, 0700, 4711 },
	{ "", false, true, true, "missing", 0, 0, 0, 0 },
	{ "700 0\n-\n", false, true, false, "not answering", 0, 0, 0700, 0 },
	{ "", true, false, false, "not answering", 0, 0, 0, 0 },
	{ "700 0\nm\nw\n", true, false, false, "not answering", 0, 0, 0700, 0 },
	{ "700 0\nm\nw\n", false, false, false, "not answering", 0, 0, 0700, 0 }, /* no df */
	/* avail may be more than a quota's size */
	{ "700 0\nm\nw\n" DF "1000 1001\n", false, false, false, "ok", 1000, 0, 0700, 0 },
	{ "700 0\nm\nw\n" DF "18446744073709551615 9223372036854775807\n", false, false, false, "ok",
	  UINT64_MAX, 50, 0700, 0 },
	/* clang-format on */
};

static void test_judge(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct store_seen s = { .require_mount = cases[i].require_mount,
			.read_only = cases[i].read_only };

		store_judge(&s, cases[i].printed, cases[i].killed);
		assert_string_equal(store_state_name(s.state), cases[i].state);
		assert_int_equal(s.size, cases[i].size);
		assert_int_equal(store_used(&s), cases[i].used);
		assert_int_equal(s.mode, cases[i].mode);
		assert_int_equal(s.owner, cases[i].owner);
	}
}

/* Blocks of 512 bytes, one file a line. */
static void test_trash(void **state)
{
	struct store_seen s = { 0 }, missing = { .require_mount = true };

	(void)state;
	store_judge(&s, "700 0\n-\nw\n" DF "1000 999\n8\n16\n4", false); /* cut off */
	assert_int_equal(s.size, 1000);
	assert_int_equal(s.trash, 24 * 512);
	store_judge(&s, "700 0\n-\nw\n" DF "1000 999\n", false);
	assert_int_equal(s.trash, 0);
	store_judge(&missing, "700 0\n-\nw\n" DF "1000 999\n8\n", false);
	assert_int_equal(missing.trash, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_trash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
