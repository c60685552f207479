/* SPDX-License-Identifier: MIT */
/*
 * Proves that Ctrl-] anywhere and Enter ~ . at the beginning of a line leave a console, that no
 * other input is consumed, and that it does not matter how the keys are split over reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/client/keys.h"

/* clang-format off */
static const struct {
	const char *typed, *sent;
	bool leave;
} rows[] = {
	{"ls\r",			"ls\r",			  false},
	{ "\x1d",		       "",			   true },
	{ "ls\x1dmore",			"ls",			      true },
	{ "~.",			 "",			   true }, /* nothing was typed before: this is the beginning of a line */
	{ "ls\r~.",		     "ls\r",			    true },
	{ "ls\n~.x",		     "ls\n",			     true },
	{ "ls ~.",		      "ls ~.",			    false},
	{ "cd ~\r",		     "cd ~\r",		      false},
	{ "\r~~x",		      "\r~x",			   false},
	{ "\r~~.",		      "\r~.",			   false},
	{ "\r~x.",		      "\r~x.",			    false},
	{ "\r~\r~.",		     "\r~\r",		      true },
	{ "\r\r\r~.",		      "\r\r\r",			true },
	{ "\x03\x04\x1a\x11\x13\x1b[A", "\x03\x04\x1a\x11\x13\x1b[A", false},
	{ "\r~\x1d",		     "\r",			   true },
};
/* clang-format on */

static void keys_leave_or_pass(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t step = 1; step <= strlen(rows[i].typed); step++) {
			const char *end = rows[i].typed + strlen(rows[i].typed);
			struct buf sent = BUF_INIT;
			struct keys k = { 0 };
			bool leave = false;

			for (const char *p = rows[i].typed; p < end && !leave; p += step)
				leave = keys_feed(&k, p,
					(size_t)(end - p) < step ? (size_t)(end - p) : step, &sent);
			assert_string_equal(sent.data ? sent.data : "", rows[i].sent);
			assert_int_equal(leave, rows[i].leave);
			buf_release(&sent);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(keys_leave_or_pass) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
