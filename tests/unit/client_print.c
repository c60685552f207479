/* SPDX-License-Identifier: MIT */
/*
 * Proves that results, errors, progress and logs have the expected layout, that widths are
 * respected, and that no byte controlled by a guest reaches the terminal as a control character.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/api/api.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/print.h"
#include "supervisor/client/progress.h"
#include "supervisor/client/value.h"

static json_t *parse(const char *text)
{
	json_error_t why;
	json_t *v = json_loads(text, JSON_DECODE_ANY, &why);

	if (!v)
		fail_msg("%s: %s", text, why.text);
	return v;
}

static void a_value_reads_as_its_type_says(void **state)
{
	static const struct api_field of[] = { { .name = "size", .type = API_BYTES },
		{ .name = NULL } };
	/* clang-format off */
	static const struct {
		enum api_value type;
		const char *value, *want;
	} rows[] = {
		{ API_BYTES,    "536870912",          "512M" },
		{ API_BYTES,    "0",                  "0" },
		{ API_BYTES,    "1610612736",         "1.5G" },
		{ API_BYTES,    "null",               "-" },
		{ API_BYTES,    "\"512M\"",           "512M" },
		{ API_SECONDS,  "273600",             "3d 4h" },
		{ API_SECONDS,  "59.9",               "59s" },
		{ API_SECONDS,  "-1",                 "-1" },
		{ API_SECONDS,  "1e300",              "1e+300" },
		{ API_DATE,     "1700000000",         "2023-11-14 22:13:20" },
		{ API_NUMBER,   "4",                  "4" },
		{ API_NUMBER,   "536870912",          "536870912" },
		{ API_FRACTION, "0.25",               "0.25" },
		{ API_TRUTH,    "true",               "yes" },
		{ API_TRUTH,    "false",              "no" },
		{ API_TEXT,     "\"\"",               "-" },
		{ API_TEXTS,    "[]",                 "-" },
		{ API_OBJECT,   "{}",                 "-" },
		{ API_TEXTS,    "[\"10.0.0.1\", \"10.0.0.2\"]", "10.0.0.1, 10.0.0.2" },
		{ API_OBJECT,   "{\"a\": 1, \"size\": 1024}", "a=1 size=1K" },
		{ API_OBJECT,   "{\"a\\u001b\": 1}",  "a\\x1b=1" },
		{ API_TEXT,     "\"caf\\u00e9\"",     "caf\xc3\xa9" },
		{ API_TEXT,     "\"a\\u001b[2Jb\"",   "a\\x1b[2Jb" },
		{ API_TEXT,     "\"a\\nb\\\\\"",      "a\\x0ab\\" },
		{ API_TEXT,     "\"\\u009b31m\"",     "\\xc2\\x9b31m" },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct api_field f = { .name = "x", .type = rows[i].type, .of = of };
		json_t *v = parse(rows[i].value);
		_cleanup_(free_ptr) char *got = value_text(&f, v);

		assert_string_equal(got, rows[i].want);
		json_decref(v);
	}
}

/* The columns of the results below; numbers in unknown ones, as of a newer daemon, are printed as
 * they are. */
static const struct api_field disk_fields[] = {
	{ .name = "id", .type = API_ID },
	{ .name = "size", .type = API_BYTES },
	{ .name = NULL },
};
static const struct api_field fields[] = {
	{ .name = "memory", .type = API_BYTES },
	{ .name = "uptime", .type = API_SECONDS },
	{ .name = "balloon", .type = API_OBJECT, .of = disk_fields },
	{ .name = "disks", .type = API_LIST, .of = disk_fields },
	{ .name = NULL },
};

static void a_result_is_laid_out_by_its_shape(void **state)
{
	static const struct {
		const char *result;
		size_t width;
		const char *want;
	} rows[] = {
		{ "{\"columns\": [\"name\", \"mac_address\", \"memory\", \"uptime\"], \"rows\": ["
		  "[\"web1\", \"52:54:00:00:00:01\", 536870912, 60],"
		  "[\"caf\\u00e9-long\", null, 1073741824, null]]}",
			0,
			"NAME       MAC ADDRESS        MEMORY   UPTIME\n"
			"web1       52:54:00:00:00:01    512M  1min 0s\n"
			"caf\xc3\xa9-long  -                      1G        -\n" },
		{ "{\"columns\": [\"name\", \"cpus\"], \"rows\": []}", 0, "NAME  CPUS\n" },
		{ "{\"columns\": [\"name\", \"text\", \"n\"], \"rows\": ["
		  "[\"web1\", \"a text that is much too long for this\", 1]]}",
			30,
			"NAME TEXT                    N\n"
			"web1 a text that is much ... 1\n" },
		{ "{\"columns\": [\"name\", \"text\"], \"rows\": [[\"web1\", \"caf\\u00e9s and more of "
		  "them\"]]}",
			18,
			"NAME TEXT\n"
			"web1 caf\xc3\xa9s and ...\n" },
		{ "{\"columns\": [\"name\", \"n\"], \"rows\": [[\"a\"], [\"b\", 1, 2]]}", 0,
			"NAME  N\n"
			"a     -\n"
			"b     1\n" },
		{ "{\"name\": \"web1\", \"balloon\": {\"size\": 1024, \"actual\": null}, \"a\": [],"
		  " \"disks\": [{\"id\": \"root\", \"size\": 1048576}, {\"id\": \"data\", \"raw\": true}],"
		  " \"leases\": {\"columns\": [\"ip\"], \"rows\": [[\"10.0.0.1\"]]}}",
			0,
			"name: web1\n"
			"balloon:\n"
			"  size:   1K\n"
			"  actual: -\n"
			"a:    -\n"
			"disks:\n"
			"  ID    SIZE  RAW\n"
			"  root    1M  -\n"
			"  data     -  yes\n"
			"leases:\n"
			"  IP\n"
			"  10.0.0.1\n" },
		{ "\"one\"", 0, "one\n" },
		{ "[1, 2]", 0, "1, 2\n" },
		{ "{}", 0, "-\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_t *v = parse(rows[i].result);
		struct buf b = BUF_INIT;

		print_result(&b, fields, v, rows[i].width);
		assert_string_equal(b.data, rows[i].want);
		buf_release(&b);
		json_decref(v);
	}
}

/* As list prints it when every optional column is needed. */
static void a_full_list_fits_a_line_of_80(void **state)
{
	json_t *v =
		parse("{\"columns\": [\"name\", \"state\", \"reason\", \"cpus\", \"memory\", "
		      "\"address\", \"uptime\", \"accel\", \"enable\", \"outdated\"], \"rows\": ["
		      "[\"web1\", \"running\", \"unresponsive\", 16, 1610612736, "
		      "\"192.168.122.122\", 93600, \"tcg\", \"last\", true],"
		      "[\"database\", \"stopped\", \"crashed: signal 9 (SIGKILL)\", 2, 1073741824, "
		      "null, null, \"kvm\", \"no\", false]]}");
	struct buf b = BUF_INIT;

	(void)state;
	print_table(&b, api_vm_row, v, NULL, 0, 80);
	assert_string_equal(b.data,
		"NAME     STATE   REASON        CPUS MEMORY ADDRESS         UPTIME ACCEL BOOT OLD\n"
		"web1     running unresponsive    16   1.5G 192.168.122.122  1d 2h tcg   last yes\n"
		"database stopped crashed: s...    2     1G -                    - kvm   no   no\n");
	buf_release(&b);
	json_decref(v);
}

static bool is_number(const char *column, const json_t *cell)
{
	(void)column;
	return json_is_integer(cell);
}

static void hidden_columns_leave_no_gap(void **state)
{
	json_t *v = parse("{\"columns\": [\"a\", \"b\", \"c\"], \"rows\": [[\"long\", 2, 3]]}");
	struct buf b = BUF_INIT;

	(void)state;
	print_table(&b, fields, v, is_number, 2, 0);
	assert_string_equal(b.data, "  A\n  long\n");
	buf_release(&b);
	json_decref(v);
}

static void an_error_says_who_what_and_the_cure(void **state)
{
	/* clang-format off */
	static const struct {
		const char *target, *text, *hint;
		bool colour;
		const char *want;
	} rows[] = {
		{NULL,	"no luck",			   "",	       false, "vmkeep: no luck\n"				  },
		{ "web1",  "no luck",			     "try again", false,
			"vmkeep: web1: no luck\nhint: try again\n"									    },
		{ "web1",  "QEMU said\nline \x1b[2J\nlast\n", "",		 false,
			"vmkeep: web1: QEMU said\n"
			"              line \\x1b[2J\n"
			"              last\n"											 },
		{ "a\x1b", "",				"",	   false, "vmkeep: a\\x1b: failed without a reason\n"	      },
		{ "web1", "no such VM: web1", "", false, "vmkeep: no such VM: web1\n" },
		{ "lan", "no network 'lan'", "", false, "vmkeep: no network 'lan'\n" },
		{ "web1", "it waits for xweb1", "", false, "vmkeep: web1: it waits for xweb1\n" },
		{ NULL,	"x",			       "y",	  true,	"\033[1;31mvmkeep:\033[0m x\n\033[1mhint:\033[0m y\n"},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = ERR_INIT;
		struct buf b = BUF_INIT;

		err_set(&e, ERR_FAILED, "%s", rows[i].text);
		err_hint(&e, "%s", rows[i].hint);
		errors_format(&b, rows[i].target, &e, rows[i].colour);
		assert_string_equal(b.data, rows[i].want);
		buf_release(&b);
	}
}

static void an_error_survives_the_wire(void **state)
{
	struct err e = ERR_INIT, back = ERR_INIT;
	json_t *v;

	(void)state;
	for (unsigned c = 0; c < ERR_CLASSES; c++) {
		err_set(&e, (enum err_class)c, "text %u", c);
		err_hint(&e, "%s", c % 2 ? "a cure" : "");
		v = errors_to_json(&e);
		errors_from_json(v, &back);
		json_decref(v);
		assert_int_equal(back.class, e.class);
		assert_string_equal(back.text, e.text);
		assert_string_equal(back.hint, e.hint);
	}
	v = parse("{\"class\": \"Unheard\"}");
	errors_from_json(v, &back);
	json_decref(v);
	assert_int_equal(back.class, ERR_FAILED);
	assert_string_equal(back.text, "the daemon gave no reason");
}

static void progress_fits_the_line(void **state)
{
	/* clang-format off */
	static const struct {
		const char *data;
		int64_t ms;
		size_t width;
		const char *want;
	} rows[] = {
		{"{\"job\": 3, \"name\": \"web1\", \"percent\": 42, \"text\": \"writing memory\"}",
			3100,										    80, "web1: writing memory [########............]  42% 3s"},
		{ "{\"job\": 3, \"name\": \"web1\", \"percent\": 400, \"verb\": \"vm-stop\"}",      0,
			80,											  "web1: stop [####################] 100% 0s"		},
		{ "{\"job\": 3, \"name\": \"web1\", \"percent\": null, \"text\": \"w\\u001b\"}",
			1200,										    80, "web1: w\\x1b | 1s"				      },
		{ "{\"job\": 3, \"text\": \"a long text\"}",					     1300, 12, "a long / 1s"					     },
		{ "{\"job\": 3, \"text\": \"a long text\"}",					     1300, 3,  " / 1s"					      },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_t *v = parse(rows[i].data);
		struct buf b = BUF_INIT;
		struct progress p;

		progress_init(&p, true);
		p.began_ms = 0;
		progress_event(&p, v);
		progress_line(&b, &p, rows[i].ms, rows[i].width);
		assert_string_equal(b.data, rows[i].want);
		buf_release(&b);
		json_decref(v);
	}
}

/* However a log is split into chunks, the terminal shows the same. */
static void a_log_is_escaped_at_any_split(void **state)
{
	static const char log[] = "a\x1b[31mb\r\ncaf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\r\n"
				  "bad \xc3( \xff\tx\ry\\\r";
	static const char want[] = "a\\x1b[31mb\ncaf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\n"
				   "bad \\xc3( \\xff\tx\\x0dy\\\\x0d";
	const size_t len = sizeof log - 1;

	(void)state;
	for (size_t first = 0; first <= len; first++)
		for (size_t second = first; second <= len; second++) {
			struct buf held = BUF_INIT, out = BUF_INIT;

			buf_add(&held, log, first);
			print_bytes(&held, false, &out);
			buf_add(&held, log + first, second - first);
			print_bytes(&held, false, &out);
			buf_add(&held, log + second, len - second);
			print_bytes(&held, true, &out);
			assert_string_equal(out.data, want);
			assert_int_equal(held.len, 0);
			buf_release(&held);
			buf_release(&out);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_reads_as_its_type_says),
		cmocka_unit_test(a_result_is_laid_out_by_its_shape),
		cmocka_unit_test(a_full_list_fits_a_line_of_80),
		cmocka_unit_test(hidden_columns_leave_no_gap),
		cmocka_unit_test(an_error_says_who_what_and_the_cure),
		cmocka_unit_test(an_error_survives_the_wire),
		cmocka_unit_test(progress_fits_the_line),
		cmocka_unit_test(a_log_is_escaped_at_any_split),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
