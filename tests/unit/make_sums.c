/* SPDX-License-Identifier: MIT */
/*
 * Proves which digest of a checksum file is taken for an image: that of the line which names it, in each of
 * the formats that distributions use, and no other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "supervisor/make/sums.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void finds(void **state)
{
	/* clang-format off */
	static const struct {
		const char *text, *url, *hex; /* NULL: none */
	} cases[] = {
		{ A "  a.qcow2\n",                       "https://h/a.qcow2",      A },
		{ A " *a.qcow2\n",                       "https://h/a.qcow2",      A },
		{ A " a.qcow2\r\n",                      "https://h/a.qcow2",      A },
		{ A A "  ./a.qcow2",                     "https://h/d/a.qcow2",    A A },
		{ "SHA256 (a.qcow2) = " A "\n",          "https://h/a.qcow2",      A },
		{ "SHA512 (./a.qcow2) = " A A "\n",      "https://h/a.qcow2",      A A },
		{ "AAAA" A "  a.qcow2\n",                "https://h/a.qcow2",      NULL },
		{ B "  b.qcow2\n" A "  a.qcow2\n",       "https://h/a.qcow2?v=/x", A },
		{ A "  a.qcow2\n" B "  a.qcow2\n",       "https://h/a.qcow2#x",    A },
		{ B "  a.qcow2.sig\n" B "  aa.qcow2\n",  "https://h/a.qcow2",      NULL },
		{ B "  d/a.qcow2\n",                     "https://h/a.qcow2",      NULL },
		{ B "\nx  a.qcow2\n",                    "https://h/a.qcow2",      NULL },
		{ B "x  a.qcow2\n",                      "https://h/a.qcow2",      NULL },
		{ B "\n",                                "https://h/",             NULL },
		{ "SHA256 (a.qcow2) = x\n" A "  a.qcow2", "https://h/a.qcow2",     A },
		{ "SHA1 (a.qcow2) = " A "\n",            "https://h/a.qcow2",      NULL },
		{ "",                                    "https://h/a.qcow2",      NULL },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char hex[SUMS_HEX_MAX + 1] = "";
		bool found = sums_find(cases[i].text, cases[i].url, hex);

		if (found != (cases[i].hex != NULL) || (found && !streq(hex, cases[i].hex)))
			fail_msg("%zu: '%s' in '%s'", i, hex, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(finds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
