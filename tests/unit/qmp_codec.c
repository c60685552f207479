/* SPDX-License-Identifier: MIT */
/*
 * Proves that the codec finds the same messages however the stream is split, refuses what exceeds a
 * limit or is not JSON, accepts the deviations of QEMU and agents from the standard, and holds no
 * memory while idle.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "qmp/codec.h"

enum { MAX = 4096 };

#define LONG_STRING "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define FIVE_DEEP   "[[[[["
#define FIVE_UP	    "]]]]]"
#define SIXTY_DEEP                                                                                \
	FIVE_DEEP FIVE_DEEP FIVE_DEEP FIVE_DEEP FIVE_DEEP FIVE_DEEP FIVE_DEEP FIVE_DEEP FIVE_DEEP \
		FIVE_DEEP FIVE_DEEP FIVE_DEEP
#define SIXTY_UP                                                                                \
	FIVE_UP FIVE_UP FIVE_UP FIVE_UP FIVE_UP FIVE_UP FIVE_UP FIVE_UP FIVE_UP FIVE_UP FIVE_UP \
		FIVE_UP

static const struct {
	const char *name;
	const char *in;
	const char *out; /* one message per line; "BAD: " and a part of the reason at the end */
	size_t len;	 /* length of in, if it contains a NUL */
} cases[] = {
	{ .name = "nothing", .in = "", .out = "" },
	{ .name = "space only", .in = " \r\n\t\n", .out = "" },
	{ .name = "one", .in = "{\"a\": 1}\r\n", .out = "{\"a\":1}\n" },
	{ .name = "without a newline", .in = "{\"a\": 1}", .out = "{\"a\":1}\n" },
	{ .name = "glued", .in = "{}{}[1]{\"a\":{}}", .out = "{}\n{}\n[1]\n{\"a\":{}}\n" },
	{ .name = "over lines", .in = "{\n\"a\"\n:\r\n[\n1 , 2\n]\n}\n", .out = "{\"a\":[1,2]}\n" },
	{ .name = "cut off", .in = "{}\n{\"a\": ", .out = "{}\n" },
	{ .name = "brackets in strings",
		.in = "{\"}\": \"]}{[\"}{\"\\\"}\": \"\\\\\"}",
		.out = "{\"}\":\"]}{[\"}\n{\"\\\"}\":\"\\\\\"}\n" },
	{ .name = "QEMU's greeting",
		.in = "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
		      "\"package\": \"Debian 1:7.2\"}, \"capabilities\": [\"oob\"]}}\r\n",
		.out = "{\"QMP\":{\"version\":{\"qemu\":{\"micro\":22,\"minor\":2,\"major\":7},"
		       "\"package\":\"Debian 1:7.2\"},\"capabilities\":[\"oob\"]}}\n" },
	{ .name = "numbers keep their type",
		.in = "[9223372036854775807, -9223372036854775808, 1.5, 1e3, 0, -0]",
		.out = "[9223372036854775807,-9223372036854775808,1.5,1000.0,0,0]\n" },
	{ .name = "an integer over 64 bits is a real, its neighbours stay",
		.in = "{\"actual\": 18446744073709551615, \"n\": 9223372036854775807, \"r\": 2.5}",
		.out = "{\"actual\":1.8446744073709552e19,\"n\":9223372036854775807,\"r\":2.5}\n" },
	{ .name = "large reals beside it",
		.in = "[99999999999999999999,99999999999999999999e5,99999999999999999999.5]",
		.out = "[1e20,1.0000000000000001e25,1e20]\n" },
	{ .name = "overlong in three and four bytes",
		.in = "[\"\xE0\x80\xAF\", \"\xF0\x80\x80\xAF\"]",
		.out = "[\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\","
		       "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"]\n" },
	{ .name = "far below",
		.in = "[-9223372036854775809,1]",
		.out = "[-9.2233720368547758e18,1]\n" },
	{ .name = "digits in a string are no number",
		.in = "[99999999999999999999, \"99999999999999999999\"]",
		.out = "[1e20,\"99999999999999999999\"]\n" },
	{ .name = "a real beyond double", .in = "[1e999]", .out = "BAD: real number overflow" },
	{ .name = "UTF-8",
		.in = "[\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"]",
		.out = "[\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"]\n" },
	{ .name = "escaped UTF-16",
		.in = "[\"\\u00e4\\ud83d\\ude00\"]",
		.out = "[\"\xC3\xA4\xF0\x9F\x98\x80\"]\n" },
	{ .name = "bad UTF-8: stray, overlong, surrogate, cut, too large",
		.in = "[\"a\x80z\", \"\xC0\xAF\", \"\xED\xA0\x80\", \"\xE2\x82\", \"\xF4\x90\x80\x80\", "
		      "\"\xC3\xA4\"]",
		.out = "[\"a\xEF\xBF\xBDz\",\"\xEF\xBF\xBD\xEF\xBF\xBD\","
		       "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\",\"\xEF\xBF\xBD\xEF\xBF\xBD\","
		       "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\",\"\xC3\xA4\"]\n" },
	{ .name = "bad UTF-8 beside escapes",
		.in = "{\"\\\"\x80\": \"\\\\\", \"b\": \"\\n\xFF\"}",
		.out = "{\"\\\"\xEF\xBF\xBD\":\"\\\\\",\"b\":\"\\n\xEF\xBF\xBD\"}\n" },
	{ .name = "bad UTF-8 outside strings", .in = "[1, \x80]", .out = "BAD: byte " },
	{ .name = "NUL escape", .in = "[\"a\\u0000b\"]", .out = "[\"a\\u0000b\"]\n" },
	{ .name = "raw NUL in a string", .in = "[\"a\0b\"]", .len = 7, .out = "BAD: byte " },
	{ .name = "raw NUL at top level", .in = "{}\0{}", .len = 5, .out = "{}\nBAD: byte 0x00" },
	{ .name = "lone surrogate", .in = "[\"\\ud800\"]", .out = "BAD: byte " },
	{ .name = "resync marks between", .in = "\xFF\xFF{}\xFF\n{}", .out = "{}\n{}\n" },
	{ .name = "a resync mark drops what was begun",
		.in = "{\"a\": [1, \xFF{\"b\": 2}",
		.out = "{\"b\":2}\n" },
	{ .name = "same key twice", .in = "{\"a\":1,\"a\":2}", .out = "BAD: duplicate object key" },
	{ .name = "words", .in = "{}\nhello {}", .out = "{}\nBAD: byte 0x68" },
	{ .name = "HTTP", .in = "GET / HTTP/1.1\r\n\r\n", .out = "BAD: byte 0x47" },
	{ .name = "a number at top level", .in = "1 {}", .out = "BAD: byte 0x31" },
	{ .name = "a string at top level", .in = "\"{}\"", .out = "BAD: byte 0x22" },
	{ .name = "closed before opened", .in = "} {}", .out = "BAD: byte 0x7d" },
	{ .name = "closed by the other kind", .in = "{\"a\": [1}}", .out = "BAD: byte " },
	{ .name = "no JSON inside", .in = "{}{\"execute\": garbage}{}", .out = "{}\nBAD: byte " },
	{ .name = "control bytes in the reason are escaped",
		.in = "[\x1b\x1b]",
		.out = "BAD: byte " },
	{ .name = "64 deep",
		.in = SIXTY_DEEP "[[[[]]]]" SIXTY_UP "{}",
		.out = SIXTY_DEEP "[[[[]]]]" SIXTY_UP "\n{}\n" },
	{ .name = "65 deep",
		.in = "{}" SIXTY_DEEP FIVE_DEEP,
		.out = "{}\nBAD: nested deeper than 64" },
	{ .name = "deep after a message",
		.in = "[[[]]]" SIXTY_DEEP "[[[[]]]]" SIXTY_UP,
		.out = "[[[]]]\n" SIXTY_DEEP "[[[[]]]]" SIXTY_UP "\n" },
};

/* All messages, as lines. */
static bool drain(struct codec *c, struct buf *out)
{
	struct err e = ERR_INIT;
	json_t *message;

	for (;;)
		switch (codec_next(c, &message, &e)) {
		case CODEC_NONE:
			assert_null(message);
			return true;
		case CODEC_BAD:
			assert_null(message);
			buf_printf(out, "BAD: %s", e.text);
			return false;
		case CODEC_MESSAGE:
			assert_int_equal(codec_encode(message, out), 0);
			json_decref(message);
			break;
		}
}

static void check(size_t i, const struct buf *out, const char *how)
{
	const char *want = cases[i].out, *got = out->data ? out->data : "";
	const char *bad = strstr(want, "BAD: ");
	size_t same = bad ? (size_t)(bad - want) + 5 : strlen(want) + 1;

	if (strncmp(got, want, same) != 0 || (bad && !strstr(got + same, bad + 5)))
		fail_msg("%s (%s): got '%s', not '%s'", cases[i].name, how, got, want);
	for (const char *s = bad ? got + same : ""; *s; s++)
		assert_true((unsigned char)*s >= ' ');
}

static void every_split_gives_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t len = cases[i].len ? cases[i].len : strlen(cases[i].in);

		for (size_t cut = 0; cut <= len; cut++) {
			struct buf out = BUF_INIT;
			struct codec c;

			codec_init(&c, MAX);
			codec_feed(&c, cases[i].in, cut);
			if (drain(&c, &out)) {
				codec_feed(&c, cases[i].in + cut, len - cut);
				drain(&c, &out);
			}
			check(i, &out, "two parts");
			codec_release(&c);
			buf_release(&out);
		}
	}
}

static void byte_by_byte_gives_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t len = cases[i].len ? cases[i].len : strlen(cases[i].in);
		struct buf out = BUF_INIT;
		struct codec c;
		size_t n = 0;

		codec_init(&c, MAX);
		do {
			char *room = codec_reserve(&c, 10);

			assert_non_null(room);
			if (n < len)
				*room = cases[i].in[n];
			codec_commit(&c, n < len);
		} while (drain(&c, &out) && n++ < len);
		check(i, &out, "bytes");
		codec_release(&c);
		buf_release(&out);
	}
}

static void idle_holds_no_memory(void **state)
{
	const char *in = "{\"a\": 1}\r\n{\"b\": 2}\r\n";
	json_t *message;
	struct codec c;

	(void)state;
	codec_init(&c, MAX);
	for (const char *s = in; *s; s++) {
		codec_feed(&c, s, 1);
		if (codec_next(&c, &message, NULL) == CODEC_MESSAGE) {
			assert_null(c.in.data);
			assert_int_equal(codec_pending(&c), 0);
			json_decref(message);
		}
	}
	assert_null(c.in.data);
	codec_reserve(&c, 1000);
	codec_commit(&c, 0);
	assert_null(c.in.data);
	codec_feed(&c, "{} x", 4);
	assert_int_equal(codec_next(&c, &message, NULL), CODEC_MESSAGE);
	json_decref(message);
	assert_int_equal(codec_pending(&c), 2);
	assert_int_equal(codec_next(&c, &message, NULL), CODEC_BAD);
	assert_null(c.in.data);
	codec_feed(&c, "{}", 2);
	assert_int_equal(codec_next(&c, &message, NULL), CODEC_BAD);
	assert_null(c.in.data);
	codec_release(&c);
}

static void length_limit_is_exact(void **state)
{
	char in[] = "{\"k\": \"" LONG_STRING "\"}";
	const size_t len = sizeof in - 1;

	(void)state;
	for (size_t max = len - 1; max <= len; max++) {
		struct err e = ERR_INIT;
		json_t *message;
		struct codec c;

		codec_init(&c, max);
		codec_feed(&c, "  \n", 3); /* spaces between messages do not count */
		codec_feed(&c, in, len);
		if (max < len) {
			assert_int_equal(codec_next(&c, &message, &e), CODEC_BAD);
			assert_non_null(strstr(e.text, "longer than"));
		} else {
			assert_int_equal(codec_next(&c, &message, &e), CODEC_MESSAGE);
			json_decref(message);
		}
		codec_release(&c);
	}
}

static void unfinished_message_is_limited_too(void **state)
{
	struct err e = ERR_INIT;
	json_t *message;
	struct codec c;
	size_t fed = 2;

	(void)state;
	codec_init(&c, MAX);
	codec_feed(&c, "[\"", 2);
	while (codec_next(&c, &message, &e) == CODEC_NONE) {
		codec_feed(&c, LONG_STRING, 64);
		fed += 64;
		assert_true(fed <= MAX + 64);
	}
	assert_true(fed > MAX);
	codec_release(&c);
}

static void number_of_values_is_limited(void **state)
{
	const size_t limit = MAX / CODEC_BYTES_PER_VALUE;

	(void)state;
	for (size_t n = limit - 1; n <= limit; n++) {
		struct buf in = BUF_INIT;
		struct err e = ERR_INIT;
		json_t *message;
		struct codec c;

		/* the array itself and n commas */
		buf_addc(&in, '[');
		for (size_t i = 0; i < n; i++)
			buf_adds(&in, "0,");
		buf_adds(&in, "0]");
		codec_init(&c, MAX);
		codec_feed(&c, in.data, in.len);
		if (n < limit) {
			assert_int_equal(codec_next(&c, &message, &e), CODEC_MESSAGE);
			json_decref(message);
		} else {
			assert_int_equal(codec_next(&c, &message, &e), CODEC_BAD);
			assert_non_null(strstr(e.text, "values"));
		}
		codec_release(&c);
		buf_release(&in);
	}
}

/* While many small messages are taken, the waiting bytes are neither moved nor scanned again. */
static void many_messages_at_once(void **state)
{
	enum { N = 20000 };
	struct buf in = BUF_INIT;
	json_t *message;
	struct codec c;
	size_t left;

	(void)state;
	for (int i = 0; i < N; i++)
		buf_printf(&in, "{\"n\": %d}\r\n", i);
	codec_init(&c, MAX);
	codec_feed(&c, in.data, in.len);
	for (int i = 0; i < N; i++) {
		const char *at = c.in.data;

		assert_int_equal(codec_next(&c, &message, NULL), CODEC_MESSAGE);
		assert_int_equal(json_integer_value(json_object_get(message, "n")), i);
		json_decref(message);
		assert_ptr_equal(c.in.data, at);
	}
	assert_int_equal(codec_next(&c, &message, NULL), CODEC_NONE);
	assert_null(c.in.data);
	/* the consumed part is freed when more data arrives, and only then */
	codec_feed(&c, in.data, in.len / 2);
	do
		left = codec_pending(&c);
	while (left > 1000 && codec_next(&c, &message, NULL) == CODEC_MESSAGE &&
		(json_decref(message), true));
	codec_feed(&c, "  ", 2);
	assert_int_equal(c.in.len, left + 2);
	codec_release(&c);
	buf_release(&in);
}

static void encode_is_all_or_nothing(void **state)
{
	json_t *small = json_pack("{s:i}", "a", 1), *large = json_pack("{s:s}", "a", LONG_STRING);
	struct buf out = BUF_MAX(20);

	(void)state;
	assert_int_equal(codec_encode(large, &out), -E2BIG);
	assert_null(out.data);
	assert_int_equal(codec_encode(small, &out), 0);
	assert_string_equal(out.data, "{\"a\":1}\n");
	assert_int_equal(codec_encode(large, &out), -E2BIG);
	assert_string_equal(out.data, "{\"a\":1}\n");
	assert_int_equal(codec_encode(small, &out), 0);
	assert_string_equal(out.data, "{\"a\":1}\n{\"a\":1}\n");
	buf_release(&out);
	json_decref(small);
	json_decref(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_split_gives_the_same),
		cmocka_unit_test(byte_by_byte_gives_the_same),
		cmocka_unit_test(idle_holds_no_memory),
		cmocka_unit_test(length_limit_is_exact),
		cmocka_unit_test(unfinished_message_is_limited_too),
		cmocka_unit_test(number_of_values_is_limited),
		cmocka_unit_test(many_messages_at_once),
		cmocka_unit_test(encode_is_all_or_nothing),
	};

	return cmocka_run_group_tests_name("qmp/codec", tests, NULL, NULL);
}
