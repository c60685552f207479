/* SPDX-License-Identifier: MIT */
/*
 * Proves that the end of a command's output is found wherever the pieces of it begin and end, and that
 * nothing before it is lost; and that the calls name the pipes they should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/guest/keeper.h"

static const struct keeper_mark mark = { "0f1e2d3c4b5a69788796a5b4c3d2e1f0" };

/* Takes text in pieces of this many bytes; "out|code", or "out|..." if it has not ended. */
static char *take(const char *text, size_t piece)
{
	struct keeper_tail t = { .held = BUF_INIT };
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	char *told;

	for (size_t len = strlen(text); len;) {
		size_t n = len < piece ? len : piece;
		struct buf b = BUF_INIT;

		buf_add(&b, text, n);
		keeper_take(&t, &mark, &b, &out, &e);
		buf_release(&b);
		text += n;
		len -= n;
	}
	told = e.number	 ? xasprintf("%s|error", out.data ? out.data : "")
	       : t.ended ? xasprintf("%s|%d", out.data ? out.data : "", t.code)
			 : xasprintf("%s|...", out.data ? out.data : "");
	buf_release(&out);
	keeper_tail_release(&t);
	return told;
}

static void the_end_is_found(void **state)
{
#define MARK "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
	static const struct {
		const char *text, *told;
	} rows[] = {
		{ MARK " 0\n", "|0" },
		{ "a\nb" MARK " 137\n", "a\nb|137" },
		{ "a" MARK " 3\nleft behind", "a|3" },
		{ "0f1e" MARK " 3\n", "0f1e|3" },
		{ "0f1e2d3c4b5a6978" MARK " 3\n", "0f1e2d3c4b5a6978|3" },
		{ "0f1e2d3c4b5a69788796a5b4c3d2e1f1" MARK " 3\n",
			"0f1e2d3c4b5a69788796a5b4c3d2e1f1|3" },
		{ "abc0f1e2", "abc|..." },
		{ "a" MARK, "a|..." },
		{ "a" MARK " 1", "a|..." },
		{ "a" MARK "\n", "a|error" },
		{ "a" MARK " x\n", "a|error" },
		{ "a" MARK " 123456789012\n", "a|error" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t piece = 1; piece <= strlen(rows[i].text); piece++) {
			char *told = take(rows[i].text, piece);

			if (!streq(told, rows[i].told))
				fail_msg("%s in pieces of %zu: %s", rows[i].text, piece, told);
			free(told);
		}
}

static void calls_name_their_pipes(void **state)
{
	json_t *call[] = { keeper_read(7, KEEPER_ERR), keeper_write(8, "hi", 2),
		keeper_tell(7, KEEPER_TERM) };
	static const char *const told[] = {
		"{\"path\":\"dd\",\"arg\":[\"if=/proc/7/fd/8\",\"bs=32768\",\"count=1\"],"
		"\"capture-output\":true}",
		"{\"path\":\"/bin/sh\",\"arg\":[\"-c\",\"[ -p \\\"$0\\\" ] && exec cat >>\\\"$0\\\"\","
		"\"/proc/8/fd/6\"],\"input-data\":\"aGk=\",\"capture-output\":true}",
		"{\"path\":\"/bin/sh\",\"arg\":[\"-c\",\"[ -p \\\"$0\\\" ] && echo \\\"$1\\\" "
		">>\\\"$0\\\"\",\"/proc/7/fd/9\",\"t\"],\"capture-output\":false}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(call); i++) {
		char *text = json_dumps(call[i], JSON_COMPACT);

		assert_string_equal(text, told[i]);
		free(text);
		json_decref(call[i]);
	}
}

static void marks_differ(void **state)
{
	struct keeper_mark a, b;

	(void)state;
	keeper_mark_init(&a);
	keeper_mark_init(&b);
	assert_int_equal(strlen(a.text), 32);
	assert_string_not_equal(a.text, b.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_is_found),
		cmocka_unit_test(calls_name_their_pipes),
		cmocka_unit_test(marks_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
