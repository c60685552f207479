/* SPDX-License-Identifier: MIT */
/*
 * The reader in front of inih avoids every pitfall of the packaged inih, and reports every refused
 * line with its number. Its output is recorded as "LINE [header]" and "LINE key=value".
 */
#include "conf/reader.h"

#include "tests/unit/conf_case.h"

static void on_section(void *data, const struct conf_place *place, const char *header)
{
	buf_printf(data, "%u [%s]\n", place->line, header ? header : "malformed");
}

static void on_key(void *data, const struct conf_place *place, const char *key, const char *value)
{
	buf_printf(data, "%u %s=%s\n", place->line, key, value);
}

static void check(const char *text, size_t len, const char *read, const char *problems)
{
	static const struct conf_reader_calls calls = { on_section, on_key };
	const struct conf_source src = { "a.vm", text, len };
	struct conf_problems p = { 0 };
	struct buf out = BUF_INIT;

	conf_read(&src, &calls, &out, &p);
	assert_string_equal(out.data ? out.data : "", read);
	problems_are(&p, problems);
	conf_problems_release(&p);
	buf_release(&out);
}

static void reads_what_it_should(void **state)
{
	static const struct {
		const char *text, *read;
	} cases[] = {
		{ "", "" },
		{ "\n\n# a=b\n; c=d\n \t# e=f\n", "" },
		{ "[VM]\nCPUs=2\n", "1 [VM]\n2 CPUs=2\n" },
		{ "[VM]\nCPUs=2", "1 [VM]\n2 CPUs=2\n" },
		{ "[VM]\r\nCPUs=2\r\n", "1 [VM]\n2 CPUs=2\n" },
		{ "\xef\xbb\xbf[VM]\nCPUs=2\n", "1 [VM]\n2 CPUs=2\n" },
		{ "\xef\xbb\xbf# a comment\n[VM]\n", "2 [VM]\n" },
		/* inih treats an indented line as a continuation of the value above */
		{ "[VM]\n  CPUs=2\n\tMemory=1G\n", "1 [VM]\n2 CPUs=2\n3 Memory=1G\n" },
		{ "  [VM]\n", "1 [VM]\n" },
		/* inih ends a value at " ;" */
		{ "[a]\nb=c ;d #e\n", "1 [a]\n2 b=c ;d #e\n" },
		{ "[a]\nb=;c\n", "1 [a]\n2 b=;c\n" },
		/* inih accepts ':' for '=' */
		{ "[a]\nb=x:y=z\n", "1 [a]\n2 b=x:y=z\n" },
		/* inih does not report empty sections and cannot tell sections of the same name
		 * apart */
		{ "[NIC lan]\n[CDROM cd]\n", "1 [NIC lan]\n2 [CDROM cd]\n" },
		{ "[a]\nb=1\n[a]\nc=2\n", "1 [a]\n2 b=1\n3 [a]\n4 c=2\n" },
		{ "[ a  b ]\n", "1 [a  b]\n" },
		{ "[a]\n  b \t= \t c  d \t\nempty=\n", "1 [a]\n2 b=c  d\n3 empty=\n" },
		{ "[a]\nb=\"quoted\"\n", "1 [a]\n2 b=\"quoted\"\n" },
		{ "[a]\nb=\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\x82\n",
			"1 [a]\n2 b=\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\x82\n" },
		{ "[a]\nDisk.Cache=none\nX-b=c\n", "1 [a]\n2 Disk.Cache=none\n3 X-b=c\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(cases[i].text, strlen(cases[i].text), cases[i].read, "");
}

#define BAD_KEY	  "invalid key: letters, digits, '-' and '.', at most 64\n"
#define BAD_VALUE "control character or bad UTF-8 in the value\n"

static void refuses_with_the_line(void **state)
{
	static const struct {
		const char *text, *read, *problems;
	} cases[] = {
		{ "a=b\n[c]\n", "2 [c]\n", "a.vm:1: a: comes before the first [section]\n" },
		{ "[a]\nb\nc=1\n", "1 [a]\n3 c=1\n", "a.vm:2: no '=' here; lines are Key=value\n" },
		{ "[a]\nb:c\n", "1 [a]\n", "a.vm:2: no '=' here; lines are Key=value\n" },
		{ "[a]\nb:c=d\n", "1 [a]\n", "a.vm:2: " BAD_KEY },
		{ "[a]\n=d\n", "1 [a]\n", "a.vm:2: " BAD_KEY },
		{ "[a]\n@=d\n", "1 [a]\n", "a.vm:2: " BAD_KEY },
		{ "[a]\nb c=d\n", "1 [a]\n", "a.vm:2: " BAD_KEY },
		{ "[a\nb=c\n", "1 [malformed]\n2 b=c\n", "a.vm:1: section header without ']'\n" },
		{ "[a] b\n", "1 [malformed]\n", "a.vm:1: text after the section header\n" },
		{ "[a=b]\n", "1 [malformed]\n", "a.vm:1: '[' or '=' in the section header\n" },
		{ "[[a]\n", "1 [malformed]\n", "a.vm:1: '[' or '=' in the section header\n" },
		{ "[a\033]\n", "1 [malformed]\n",
			"a.vm:1: control character or bad UTF-8 in the section header\n" },
		{ "[a]\nb=c\033[2J\n", "1 [a]\n", "a.vm:2: b: " BAD_VALUE },
		{ "[a]\nb=c\td\n", "1 [a]\n", "a.vm:2: b: " BAD_VALUE },
		{ "[a]\nb=c\rd\n", "1 [a]\n", "a.vm:2: b: " BAD_VALUE },
		{ "[a]\nb=\x7f\n", "1 [a]\n", "a.vm:2: b: " BAD_VALUE },
		{ "[a]\nb=\xff\n", "1 [a]\n", "a.vm:2: b: " BAD_VALUE },     /* never in UTF-8 */
		{ "[a]\nb=\xc3\n", "1 [a]\n", "a.vm:2: b: " BAD_VALUE },     /* cut */
		{ "[a]\nb=\xc0\xaf\n", "1 [a]\n", "a.vm:2: b: " BAD_VALUE }, /* overlong */
		{ "[a]\nb=\xe0\x80\xaf\n", "1 [a]\n", "a.vm:2: b: " BAD_VALUE },     /* overlong */
		{ "[a]\nb=\xed\xa0\x80\n", "1 [a]\n", "a.vm:2: b: " BAD_VALUE },     /* surrogate */
		{ "[a]\nb=\xf4\x90\x80\x80\n", "1 [a]\n", "a.vm:2: b: " BAD_VALUE }, /* too large */
		{ "[a]\nb=\xc2\x9b\n", "1 [a]\n", "a.vm:2: b: " BAD_VALUE },	     /* C1: CSI */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(cases[i].text, strlen(cases[i].text), cases[i].read, cases[i].problems);
}

static void refuses_nul(void **state)
{
	static const char text[] = "[a]\nb=c\0d\ne=f\n";

	(void)state;
	check(text, sizeof text - 1, "1 [a]\n3 e=f\n", "a.vm:2: NUL byte\n");
}

/* head, then x up to this many bytes in its last line, then tail. */
static struct buf padded(const char *head, size_t len, const char *tail)
{
	const char *nl = strrchr(head, '\n');
	struct buf b = BUF_INIT;

	buf_adds(&b, head);
	for (size_t n = strlen(nl ? nl + 1 : head); n < len; n++)
		buf_addc(&b, 'x');
	buf_adds(&b, tail);
	return b;
}

static void check_padded(
	const char *head, size_t len, const char *tail, const char *read, const char *problems)
{
	struct buf b = padded(head, len, tail);

	check(b.data, b.len, read, problems);
	buf_release(&b);
}

static void takes_long_lines_whole_or_not_at_all(void **state)
{
	struct buf read = padded("1 [a]\n2 b=", CONF_LINE_MAX + 2, "\n3 c=d\n");

	(void)state;
	check_padded("[a]\nb=", CONF_LINE_MAX, "\nc=d\n", read.data, "");
	check_padded("[a]\nb=", CONF_LINE_MAX, "\r\nc=d\n", read.data, "");
	check_padded("[a]\nb=", CONF_LINE_MAX + 1, "\nc=d\n", "1 [a]\n3 c=d\n",
		"a.vm:2: line of 8193 bytes, at most 8192 are possible\n");
	check_padded("[a]\n#", 100000, "\nc=d\n", "1 [a]\n3 c=d\n",
		"a.vm:2: line of 100000 bytes, at most 8192 are possible\n");
	buf_release(&read);
}

static void limits_keys_headers_and_files(void **state)
{
	struct buf read = padded("1 [", 130, "]\n");
	char *big = xcalloc(1, CONF_TEXT_MAX + 2);

	(void)state;
	check_padded("[a]\n", 65, "=1\n", "1 [a]\n", "a.vm:2: " BAD_KEY);
	check_padded("[", 128, "]\n", read.data, "");
	check_padded("[", 129, "]\n", "1 [malformed]\n",
		"a.vm:1: section header of more than 128 bytes\n");

	memset(big, '\n', CONF_TEXT_MAX + 1);
	check(big, CONF_TEXT_MAX, "", "");
	check(big, CONF_TEXT_MAX + 1, "", "a.vm: larger than 1048576 bytes\n");
	free(big);
	buf_release(&read);
}

static void stops_at_more_problems_than_are_shown(void **state)
{
	struct buf text = BUF_INIT, read = BUF_INIT;
	struct conf_problems p = { 0 };
	static const struct conf_reader_calls calls = { on_section, on_key };
	const struct conf_place other = { 0 };
	struct conf_source src;

	(void)state;
	buf_adds(&text, "[a]\n");
	for (int i = 0; i < 2 * CONF_PROBLEMS_MAX; i++)
		buf_adds(&text, "x\n");
	buf_adds(&text, "[b]\n");
	src = (struct conf_source){ "a.vm", text.data, text.len };
	for (int i = 0; i < 2 * CONF_PROBLEMS_MAX; i++) /* problems of another file do not count */
		conf_problem(&p, &other, NULL, "other");
	conf_read(&src, &calls, &read, &p);
	assert_string_equal(read.data, "1 [a]\n");
	assert_int_equal(p.count, 3 * CONF_PROBLEMS_MAX + 1);
	conf_problems_release(&p);
	buf_release(&text);
	buf_release(&read);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_should),
		cmocka_unit_test(refuses_with_the_line),
		cmocka_unit_test(refuses_nul),
		cmocka_unit_test(takes_long_lines_whole_or_not_at_all),
		cmocka_unit_test(limits_keys_headers_and_files),
		cmocka_unit_test(stops_at_more_problems_than_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
