/* SPDX-License-Identifier: MIT */
/* Proves a VM's history: no text from outside can forge a record, the file stays below its limit
 * and keeps the newest records, requests of users are kept whatever a guest does, and damage costs
 * only the damaged lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/core/history.h"

static char dir[] = "/tmp/vmkeep-history-XXXXXX";
static int dirfd_;

static int make_dir(void **state)
{
	(void)state;
	dirfd_ = mkdtemp(dir) ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return dirfd_ < 0;
}

static int remove_dir(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	close(dirfd_);
	return file_remove_tree(AT_FDCWD, dir, &e);
}

static const char *cell(const json_t *table, size_t row, size_t column)
{
	const json_t *v =
		json_array_get(json_array_get(json_object_get(table, "rows"), row), column);

	return json_string_value(v);
}

static void fields_are_escaped(void **state)
{
	static const struct {
		const char *who, *why, *who_back, *why_back;
	} cases[] = {
		{ "uid 0 (pid 1)", "", "uid 0 (pid 1)", "" },
		{ NULL, NULL, "", "" },
		{ "a\tb", "x\n1.0\tstart\troot\tforged", "a\\x09b",
			"x\\x0a1.0\\x09start\\x09root\\x09forged" },
		{ "\033[2J", "caf\xc3\xa9 \xff", "\\x1b[2J", "caf\xc3\xa9 \\xff" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct history_record r = { 12.5, "crashed", cases[i].who, cases[i].why };
		struct buf b = BUF_INIT;
		json_t *t;

		history_line(&r, &b);
		t = history_table(b.data, b.len, 10);
		assert_int_equal(json_array_size(json_object_get(t, "rows")), 1);
		assert_string_equal(cell(t, 0, 1), "crashed");
		assert_string_equal(cell(t, 0, 2), cases[i].who_back);
		assert_string_equal(cell(t, 0, 3), cases[i].why_back);
		json_decref(t);
		buf_release(&b);
	}
}

static void damaged_lines_are_passed_over(void **state)
{
	static const struct {
		const char *text;
		size_t rows;
	} cases[] = {
		{ "", 0 },
		{ "vmkeep-history 1\n", 0 },
		{ "vmkeep-history 1\n1.0\ta\t\t\n2.0\tb\t\t\n", 2 },
		{ "1.0\ta\t\t", 1 },
		{ "1.0\ta\n2.0\tb\t\t\n", 1 },
		{ "x\ta\t\t\n\n\n2.0\tb\t\t\n", 1 },
		{ "1.0\ta\t\xff\t\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *t = history_table(cases[i].text, strlen(cases[i].text), 10);

		assert_int_equal(json_array_size(json_object_get(t, "rows")), cases[i].rows);
		json_decref(t);
	}
}

static void the_last_ones(void **state)
{
	static const char text[] = "vmkeep-history 1\n1.0\ta\t\t\n2.0\tb\t\t\n3.0\tc\t\t\n";
	json_t *t = history_table(text, sizeof text - 1, 2);

	(void)state;
	assert_int_equal(json_array_size(json_object_get(t, "rows")), 2);
	assert_string_equal(cell(t, 0, 1), "b");
	assert_string_equal(cell(t, 1, 1), "c");
	json_decref(t);
}

static void stays_below_its_limit(void **state)
{
	struct history_record r = { .event = "running", .who = "uid 0" };
	struct err e = ERR_INIT;
	struct stat st;
	json_t *t;
	char why[64];
	int lowest = 0;

	(void)state;
	for (int i = 0; i < 12000; i++) {
		snprintf(why, sizeof why, "record number %d", i);
		r.time = i;
		r.why = why;
		assert_int_equal(history_append(dirfd_, "h", &r, &e), 0);
		assert_int_equal(fstatat(dirfd_, "h", &st, 0), 0);
		assert_true(st.st_size <= HISTORY_MAX);
	}
	assert_int_equal(st.st_mode & 0777, 0600);
	t = history_read(dirfd_, "h", 100000, &e);
	assert_non_null(t);
	sscanf(cell(t, 0, 3), "record number %d", &lowest);
	assert_true(lowest > 0);
	/* the rest is complete and in order */
	for (size_t i = 0; i < json_array_size(json_object_get(t, "rows")); i++) {
		snprintf(why, sizeof why, "record number %d", lowest + (int)i);
		assert_string_equal(cell(t, i, 3), why);
	}
	assert_int_equal(lowest + (int)json_array_size(json_object_get(t, "rows")), 12000);
	json_decref(t);
}

/* A guest creates as many records as it likes, in a file begun by an older vmkeep. */
static void what_people_asked_for_stays(void **state)
{
	static const char *const own[] = { NULL, "", "policy" };
	static const char begun[] = "vmkeep-history 1\n1.000\tstart\tuid 0 (pid 1)\t\n"
				    "2.000\trunning\t\t\n3.000\thalf a li";
	struct history_record r;
	struct err e = ERR_INIT;
	json_t *t;
	size_t rows, asked = 0;
	double last = 0;
	int fd = openat(dirfd_, "people", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(write(fd, begun, sizeof begun - 1), sizeof begun - 1);
	assert_int_equal(write(fd, "\n", 1), 1);
	close(fd);
	for (int i = 0; i < 100000; i++) {
		r = (struct history_record){ i + 10, i % 2 ? "paused" : "resumed", own[i % 3],
			"x" };
		if (i % 1000 == 7)
			r = (struct history_record){ i + 10, "stop", "uid 1000 (pid 7)", "please" };
		assert_int_equal(history_append(dirfd_, "people", &r, &e), 0);
	}
	t = history_read(dirfd_, "people", 1000000, &e);
	rows = json_array_size(json_object_get(t, "rows"));
	for (size_t i = 0; i < rows; i++) {
		const json_t *row = json_array_get(json_object_get(t, "rows"), i);

		assert_true(json_real_value(json_array_get(row, 0)) > last);
		last = json_real_value(json_array_get(row, 0));
		asked += strncmp(cell(t, i, 2), "uid ", 4) == 0;
	}
	assert_int_equal(asked, 101);
	assert_string_equal(cell(t, 0, 1), "start");
	assert_true(rows > 1000);
	assert_true(last == 100009);
	json_decref(t);
}

/* A file full of blanks, or another file, far beyond the limit: what is valid counts, and writing
 * continues. */
static void far_too_long(void **state)
{
	const struct history_record old = { 1, "start", "root", NULL },
				    new = { 2, "stop", "root", NULL };
	_cleanup_(close_fd) int fd = -1;
	struct err e = ERR_INIT;
	json_t *t;
	struct stat st;

	(void)state;
	assert_int_equal(history_append(dirfd_, "long", &old, &e), 0);
	fd = openat(dirfd_, "long", O_WRONLY | O_APPEND | O_CLOEXEC);
	for (int i = 0; i < 3; i++) {
		static char blanks[HISTORY_MAX];

		memset(blanks, ' ', sizeof blanks);
		assert_int_equal(file_write_all(fd, blanks, sizeof blanks), 0);
	}
	t = history_read(dirfd_, "long", 10, &e);
	assert_non_null(t);
	assert_string_equal(cell(t, 0, 1), "start");
	json_decref(t);
	assert_int_equal(file_write_all(fd, "\n", 1), 0);
	assert_int_equal(history_append(dirfd_, "long", &new, &e), 0);
	t = history_read(dirfd_, "long", 10, &e);
	assert_string_equal(cell(t, 0, 1), "start");
	assert_string_equal(cell(t, 1, 1), "stop");
	assert_int_equal(fstatat(dirfd_, "long", &st, 0), 0);
	assert_true(st.st_size < HISTORY_MAX);
	json_decref(t);
}

static void no_file_no_records(void **state)
{
	struct history_record r = { 1, "start", "", "" };
	struct err e = ERR_INIT;
	json_t *t = history_read(dirfd_, "none", 10, &e);

	(void)state;
	assert_int_equal(json_array_size(json_object_get(t, "rows")), 0);
	json_decref(t);
	assert_int_equal(symlinkat("elsewhere", dirfd_, "link"), 0);
	assert_true(history_append(dirfd_, "link", &r, &e) < 0);
	assert_int_not_equal(faccessat(dirfd_, "elsewhere", F_OK, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_escaped),
		cmocka_unit_test(damaged_lines_are_passed_over),
		cmocka_unit_test(the_last_ones),
		cmocka_unit_test(stays_below_its_limit),
		cmocka_unit_test(what_people_asked_for_stays),
		cmocka_unit_test(far_too_long),
		cmocka_unit_test(no_file_no_records),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
