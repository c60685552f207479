/* SPDX-License-Identifier: MIT */
/* Proves that a guest is never asked for a size outside its limits, and that the error names the
 * limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/guest/balloon.h"

#define MIB ((uint64_t)1 << 20)

static void test_bounds(void **state)
{
	/* clang-format off */
	static const struct {
		uint64_t memory, max, min, bytes; /* MiB */
		bool force;
		const char *says; /* NULL: fine */
	} cases[] = {
		{ 512,	0,    0,   512,	 false, NULL		},
		{ 512,	0,    0,   64,	 false, NULL		},
		{ 512,	0,    0,   63,	 false, "floor of 64M"	},
		{ 512,	0,    0,   63,	 true,	NULL		},
		{ 512,	0,    0,   16,	 true,	NULL		},
		{ 512,	0,    0,   15,	 true,	"floor of 16M"	},
		{ 512,	0,    0,   0,	 false, "floor of 64M"	},
		{ 512,	0,    0,   0,	 true,	"floor of 16M"	},
		{ 512,	0,    0,   513,	 false, "more than the 512M" },
		{ 512,	0,    0,   513,	 true,	"more than the 512M" },
		{ 512,	1024, 0,   1024, false, NULL		},
		{ 512,	1024, 0,   1025, false, "more than the 1G" },
		{ 512,	256,  0,   512,	 false, NULL		}, /* a Max below Memory has no effect */
		{ 512,	0,    128, 128,	 false, NULL		},
		{ 512,	0,    128, 127,	 false, "floor of 128M" },
		{ 512,	0,    128, 127,	 true,	NULL		},
		{ 512,	0,    32,  32,	 false, NULL		},
		{ 512,	0,    8,   8,	 true,	NULL		}, /* the operator set a lower floor */
		{ 512,	0,    8,   7,	 true,	"floor of 8M"	},
		{ 32,	0,    0,   32,	 false, NULL		}, /* smaller than the usual floor */
		{ 32,	0,    0,   31,	 false, "floor of 32M"	},
		{ 512,	0,    0,   UINT64_MAX / MIB, true, "more than" },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_vm c = { .memory = cases[i].memory * MIB,
			.memory_max = cases[i].max * MIB,
			.memory_min = cases[i].min * MIB };
		struct err e = ERR_INIT;
		int r = memory_check(&c, cases[i].bytes * MIB, cases[i].force, &e);

		if (!cases[i].says) {
			assert_int_equal(r, 0);
			continue;
		}
		assert_true(r < 0);
		assert_int_equal(e.class, ERR_USAGE);
		if (!strstr(e.text, cases[i].says))
			fail_msg("case %zu: '%s' does not say '%s'", i, e.text, cases[i].says);
	}
}

/* Impossible values are treated as unknown, and never shown. */
static void test_nonsense(void **state)
{
	static const struct {
		const char *says;
		json_int_t actual;
	} cases[] = {
		{ "{\"actual\": 536870912}", 536870912 },
		{ "{\"actual\": 1}", 1 },
		{ "{\"actual\": 0}", 0 },
		{ "{\"actual\": -1}", 0 },
		{ "{\"actual\": 536870913}", 0 },
		{ "{\"actual\": -9223372036854775808}", 0 },
		{ "{\"actual\": 9223372036854775807}", 0 },
		{ "{\"actual\": 1e300}", 0 },
		{ "{\"actual\": \"16\"}", 0 },
		{ "{\"actual\": [16]}", 0 },
		{ "{}", 0 },
		{ "[]", 0 },
	};
	const struct conf_vm c = { .memory = 512 * MIB };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *data = json_loads(cases[i].says, 0, NULL);

		assert_int_equal(memory_parse(&c, data), cases[i].actual);
		json_decref(data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
