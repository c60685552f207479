/* SPDX-License-Identifier: MIT */
/* Proves that text typed by people becomes the right value or an error, and that hostile bytes
 * become harmless text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/text.h"

static void sizes(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0, 0 },
		{ "512", 0, 512 },
		{ "1K", 0, 1024 },
		{ "512M", 0, UINT64_C(512) << 20 },
		{ "16777215T", 0, UINT64_C(16777215) << 40 },
		{ "16777216T", -ERANGE, 0 },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "M", -EINVAL, 0 },
		{ "1.5G", -EINVAL, 0 },
		{ "1 G", -EINVAL, 0 },
		{ "1GB", -EINVAL, 0 },
		{ "1g", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "1G ", -EINVAL, 0 },
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t bytes = 0, again;

		assert_int_equal(text_parse_size(cases[i].text, &bytes), cases[i].result);
		assert_int_equal(bytes, cases[i].bytes);
		if (cases[i].result == 0) {
			assert_int_equal(
				text_parse_size(text_size_exact(buf, sizeof buf, bytes), &again),
				0);
			assert_int_equal(again, bytes);
		}
	}
	assert_string_equal(text_size(buf, sizeof buf, UINT64_C(1536) << 20), "1.5G");
	assert_string_equal(text_size(buf, sizeof buf, UINT64_C(512) << 20), "512M");
}

static void times(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t ms;
	} cases[] = {
		{ "90", 0, 90000 },
		{ "90s", 0, 90000 },
		{ "500ms", 0, 500 },
		{ "2min", 0, 120000 },
		{ "1h 30min", 0, 5400000 },
		{ "1h30min", 0, 5400000 },
		{ "infinity", 0, UINT64_MAX },
		{ "", -EINVAL, 0 },
		{ "min", -EINVAL, 0 },
		{ "2 min", -EINVAL, 0 },
		{ "2m", -EINVAL, 0 },
		{ "18446744073709551615", -ERANGE, 0 },
		{ "-5", -EINVAL, 0 },
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t ms = 0, again;

		assert_int_equal(text_parse_time(cases[i].text, &ms), cases[i].result);
		assert_int_equal(ms, cases[i].ms);
		if (cases[i].result == 0) {
			assert_int_equal(
				text_parse_time(text_time_exact(buf, sizeof buf, ms), &again), 0);
			assert_int_equal(again, ms);
		}
	}
}

static void escapes(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool lines;
		const char *text;
	} cases[] = {
		{ "plain", 5, false, "plain" },
		{ "a\nb\tc", 5, true, "a\nb\tc" },
		{ "a\nb\tc", 5, false, "a\\x0ab\\x09c" },
		{ "\033[2J", 4, true, "\\x1b[2J" },
		{ "\0", 1, true, "\\x00" },
		{ "\x7f\r", 2, true, "\\x7f\\x0d" },
		{ "back\\slash", 10, true, "back\\slash" },
		{ "\xc3\xa9", 2, true, "\xc3\xa9" },
		/* a C1 control in UTF-8, cut and overlong sequences, a surrogate, a direction mark */
		{ "\xc2\x9b", 2, true, "\\xc2\\x9b" },
		{ "\xc3", 1, true, "\\xc3" },
		{ "\xc0\xaf", 2, true, "\\xc0\\xaf" },
		{ "\xe0\x80\xaf", 3, true, "\\xe0\\x80\\xaf" },
		{ "\xed\xa0\x80", 3, true, "\\xed\\xa0\\x80" },
		{ "\xe2\x80\xae", 3, true, "\\xe2\\x80\\xae" },
		{ "\xf4\x90\x80\x80", 4, true, "\\xf4\\x90\\x80\\x80" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = text_escape(cases[i].bytes, cases[i].len, cases[i].lines);

		assert_string_equal(text, cases[i].text);
		free(text);
	}
}

static void hashes_and_macs(void **state)
{
	const uint8_t mac[6] = { 0x52, 0x54, 0, 0x0a, 0xff, 1 };
	char text[TEXT_MAC];

	(void)state;
	assert_string_equal(text_mac(text, mac), "52:54:00:0a:ff:01");
	/* the published test vectors of FNV-1a */
	assert_int_equal(text_hash32("", 0), 0x811c9dc5);
	assert_int_equal(text_hash32("foobar", 6), 0xbf9cf968);
	assert_int_equal(text_hash64("", 0), UINT64_C(0xcbf29ce484222325));
	assert_int_equal(text_hash64("foobar", 6), UINT64_C(0x85944171f73967e8));
}

static void base64(void **state)
{
	/* RFC 4648 section 10 */
	static const char *const cases[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xfe\xfb", "//77" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf back = BUF_INIT;
		char *s = base64_encode(cases[i][0], strlen(cases[i][0]));

		assert_string_equal(s, cases[i][1]);
		assert_true(base64_is(s));
		base64_decode(s, &back);
		assert_string_equal(back.data ? back.data : "", cases[i][0]);
		buf_release(&back);
		free(s);
	}
	assert_false(base64_is("Zg==Zg"));
	assert_false(base64_is("Zm 9v"));
}

static void quotes(void **state)
{
	static const struct {
		const char *word, *quoted;
	} cases[] = {
		{ "plain-1.2/x", "plain-1.2/x" },
		{ "", "''" },
		{ "two words", "'two words'" },
		{ "it's", "'it'\\''s'" },
		{ "$(reboot)", "'$(reboot)'" },
		{ "a\nb", "'a\nb'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = text_shell_quote(cases[i].word);

		assert_string_equal(text, cases[i].quoted);
		free(text);
	}
}

static void nearest(void **state)
{
	static const char *const names[] = { "Memory", "Machine", "CPUs", "Description" };
	static const struct {
		const char *typed, *found;
	} cases[] = {
		{ "Memry", "Memory" },
		{ "memory", "Memory" },
		{ "Machin", "Machine" },
		{ "CPU", "CPUs" },
		{ "Mahcine", "Machine" },
		{ "CUPs", "CPUs" },
		{ "Mmeroy", "Memory" },
		{ "Memo", NULL },
		{ "Unit", NULL },
		{ "CP", NULL },
		{ "Network", NULL },
		{ "x", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *found = text_nearest(cases[i].typed, names, ARRAY_SIZE(names));

		assert_true(streq(found, cases[i].found));
	}
}

static void cleans(void **state)
{
	static const struct {
		const char *text, *clean;
	} cases[] = {
		{ "", "" },
		{ "plain \\ text", "plain \\ text" },
		{ "a\tb\nc", "a b?c" },
		{ "\x1b[31mred\x7f", "?[31mred?" },
		{ "\xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9" },
		{ "cut \xe2\x82", "cut ??" },
		{ "c1 \xc2\x9b", "c1 ??" },
		{ "order \xe2\x80\xae", "order ???" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(free_ptr) char *s = xstrdup(cases[i].text);

		text_clean(s);
		assert_string_equal(s, cases[i].clean);
	}
}

/* Both ends are kept, and no character is cut. */
static void shortens(void **state)
{
	char to[16], long_one[64];

	(void)state;
	text_shorten(to, sizeof to, "123456789012345");
	assert_string_equal(to, "123456789012345");
	text_shorten(to, sizeof to, "1234567890123456");
	assert_string_equal(to, "12345...0123456");
	for (size_t n = 4; n < 30; n++) {
		memset(long_one, 'x', n);
		memcpy(long_one + n,
			"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
			19);
		text_shorten(to, sizeof to, long_one);
		assert_true(strlen(to) < sizeof to && strstr(to, "..."));
		text_clean(to);
		assert_null(strchr(to, '?'));
		assert_string_equal(to + strlen(to) - 4, "\xf0\x9f\x98\x80");
	}
}

static void bools(void **state)
{
	static const char *const yes[] = { "yes", "true", "on", "1", "Yes" };
	static const char *const no[] = { "no", "false", "off", "0" };
	bool value;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		assert_int_equal(text_parse_bool(yes[i], &value), 0);
		assert_true(value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		assert_int_equal(text_parse_bool(no[i], &value), 0);
		assert_false(value);
	}
	assert_int_equal(text_parse_bool("maybe", &value), -EINVAL);
	assert_int_equal(text_parse_bool("", &value), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(times),
		cmocka_unit_test(escapes),
		cmocka_unit_test(cleans),
		cmocka_unit_test(shortens),
		cmocka_unit_test(hashes_and_macs),
		cmocka_unit_test(base64),
		cmocka_unit_test(quotes),
		cmocka_unit_test(nearest),
		cmocka_unit_test(bools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
