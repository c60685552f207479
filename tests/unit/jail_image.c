/* SPDX-License-Identifier: MIT */
/* An image's header against the plan: what fits passes, what does not is refused with the cure, and
 * no header, however made, is read beyond its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

enum { MEANT = 1 << 0, BASE = 1 << 1, ALIEN = 1 << 2 };

static const struct {
	const char *name;
	enum jail_format format;
	int flags;
	/* the header */
	size_t len;
	uint32_t version, incompatible;
	uint64_t backing_at;
	uint32_t backing_size;
	const char *backing; /* put at backing_at */
	/* the outcome */
	const char *says; /* NULL: accepted */
	const char *hint;
} cases[] = {
	/* clang-format off */
	{ "no format", JAIL_ANY, 0, 512, 3, 0, 0, 0, NULL, NULL, "" },
	{ "raw", JAIL_RAW, ALIEN, 512, 0, 0, 0, 0, NULL, NULL, "" },
	{ "empty raw", JAIL_RAW, ALIEN, 0, 0, 0, 0, 0, NULL, NULL, "" },
	{ "short raw", JAIL_RAW, 0, 3, 3, 0, 0, 0, NULL, NULL, "" },
	{ "raw like qcow2", JAIL_RAW, 0, 4, 3, 0, 0, 0, NULL, "begins like", "Format=qcow2" },
	{ "raw, meant", JAIL_RAW, MEANT, 512, 3, 0, 0, 0, NULL, NULL, "" },
	{ "raw on a base", JAIL_RAW, BASE | ALIEN, 512, 0, 0, 0, 0, NULL, "no backing file", "" },
	{ "qcow2", JAIL_QCOW2, 0, 512, 3, 0, 0, 0, NULL, NULL, "" },
	{ "qcow2 of version 2", JAIL_QCOW2, 0, 72, 2, 4, 0, 0, NULL, NULL, "" },
	{ "not qcow2", JAIL_QCOW2, ALIEN, 512, 3, 0, 0, 0, NULL, "not a qcow2", "Format=raw" },
	{ "empty", JAIL_QCOW2, 0, 0, 0, 0, 0, 0, NULL, "not a qcow2 image: it is empty", "" },
	{ "cut", JAIL_QCOW2, 0, 71, 2, 0, 0, 0, NULL, "not a qcow2", "" },
	{ "cut version 3", JAIL_QCOW2, 0, 103, 3, 0, 0, 0, NULL, "is cut short: 103 bytes", "" },
	{ "version 1", JAIL_QCOW2, 0, 512, 1, 0, 0, 0, NULL, "version 1", "" },
	{ "version 4", JAIL_QCOW2, 0, 512, 4, 0, 0, 0, NULL, "version 4", "" },
	{ "dirty", JAIL_QCOW2, 0, 512, 3, 1, 0, 0, NULL, NULL, "" },
	{ "data file", JAIL_QCOW2, 0, 512, 3, 4, 0, 0, NULL, "another file", "convert" },
	{ "base", JAIL_QCOW2, BASE, 512, 3, 0, 200, 3, "b.q", NULL, "" },
	{ "no base", JAIL_QCOW2, BASE, 512, 3, 0, 0, 0, NULL, "has no backing file", "Base=" },
	{ "base unnamed", JAIL_QCOW2, 0, 512, 3, 0, 200, 3, "b.q", "file 'b.q'", "Base=b.q" },
	{ "base to the end", JAIL_QCOW2, 0, 512, 3, 0, 509, 3, "b.q", "backing file 'b.q'", "" },
	{ "base beyond the end", JAIL_QCOW2, 0, 512, 3, 0, 510, 3, NULL, "damaged", "" },
	{ "base far away", JAIL_QCOW2, 0, 512, 3, 0, UINT64_MAX, 3, NULL, "damaged", "" },
	{ "base wraps", JAIL_QCOW2, 0, 512, 3, 0, UINT64_MAX - 1, 3, NULL, "damaged", "" },
	{ "base too long", JAIL_QCOW2, 0, 512, 3, 0, 104, 1024, NULL, "damaged", "" },
	{ "base endless", JAIL_QCOW2, 0, 512, 3, 0, 104, UINT32_MAX, NULL, "damaged", "" },
	{ "base without name", JAIL_QCOW2, 0, 512, 3, 0, 104, 0, NULL, "damaged", "" },
	{ "hostile base", JAIL_QCOW2, 0, 512, 3, 0, 200, 7, "nbd:\x1b[2", "'nbd:\\x1b[2'", "path" },
	/* clang-format on */
};

static void put(uint8_t *p, size_t len, uint64_t v)
{
	while (len--) {
		p[len] = (uint8_t)v;
		v >>= 8;
	}
}

static void test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct jail_file f = { .what = "disk 'r'",
			.shown_path = "/p",
			.data = -1,
			.format = cases[i].format,
			.format_written = cases[i].flags & MEANT,
			.has_base = cases[i].flags & BASE };
		uint8_t whole[512] = { 0 }, *head = xcalloc(1, cases[i].len + 1);
		struct err e = ERR_INIT;
		int r;

		memcpy(whole, cases[i].flags & ALIEN ? "none" : "QFI\xfb", 4);
		put(whole + 4, 4, cases[i].version);
		put(whole + 8, 8, cases[i].backing_at);
		put(whole + 16, 4, cases[i].backing_size);
		put(whole + 72, 8, cases[i].incompatible);
		if (cases[i].backing)
			memcpy(whole + cases[i].backing_at, cases[i].backing,
				cases[i].backing_size);
		memcpy(head, whole, cases[i].len); /* of just its size, for the sanitizer */
		r = image_check_header(&f, head, cases[i].len, &e);
		free(head);
		if ((r < 0) != !!cases[i].says || (r < 0 && !strstr(e.text, cases[i].says)) ||
			!strstr(e.hint, cases[i].hint))
			fail_msg("%s: %d '%s' (%s)", cases[i].name, r, e.text, e.hint);
		if (r < 0)
			assert_int_equal(e.class, ERR_INVALID_CONFIG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
