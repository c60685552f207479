/* SPDX-License-Identifier: MIT */
/* QEMU's lock bytes, held by another open file: which of them keep a guest from using the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

enum { READER = 1 << 0, WRITER = 1 << 1, READER_QCOW2 = 1 << 2, WRITER_QCOW2 = 1 << 3, ALL = 15 };

static const struct {
	const char *name;
	int byte[6];
	int refused; /* who of us */
} cases[] = {
	/* clang-format off */
	{ "nobody",                    { 0 },                       0 },
	{ "a writer",                  { 100, 101, 103, 201, 203 }, ALL },
	{ "a writer of raw",           { 100, 101, 201 },           ALL },
	{ "a writer that shares",      { 100, 101 },                ALL },
	{ "a reader",                  { 100, 201, 203 },           WRITER | WRITER_QCOW2 },
	{ "a reader that shares",      { 100 },                     0 },
	{ "one that may resize",       { 100, 103 },                READER_QCOW2 | WRITER_QCOW2 },
	{ "one that forbids resizing", { 203 },                     WRITER_QCOW2 },
	{ "one that forbids reading",  { 200 },                     ALL },
	{ "other bytes",               { 99, 104, 199, 204, 1 },    0 },
	/* clang-format on */
};

static bool refused(int fd, bool write, enum jail_format format)
{
	struct jail_file f = { .kind = JAIL_CDROM,
		.what = "w",
		.path = "/p",
		.shown_path = "/p",
		.write = write,
		.format = format,
		.data = fd };
	struct jail j = { .file = &f, .n_files = 1 };
	struct err e = ERR_INIT;
	int r;

	assert_int_equal(fstat(fd, &f.st), 0);
	r = lock_check(&j, &f, &e);
	if (r < 0)
		assert_int_equal(e.class, ERR_CONFLICT);
	return r < 0;
}

static void test_bytes(void **state)
{
	char path[] = "/tmp/vmkeep-lock-XXXXXX";
	int ours = mkostemp(path, O_CLOEXEC);

	(void)state;
	assert_true(ours >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(close_fd) int theirs = open(path, O_RDONLY | O_CLOEXEC);
		int got;

		for (size_t n = 0; n < ARRAY_SIZE(cases[i].byte) && cases[i].byte[n]; n++) {
			struct flock l = { .l_type = F_RDLCK,
				.l_whence = SEEK_SET,
				.l_start = cases[i].byte[n],
				.l_len = 1 };

			assert_int_equal(fcntl(theirs, F_OFD_SETLK, &l), 0);
		}
		got = refused(ours, false, JAIL_RAW) * READER |
		      refused(ours, true, JAIL_RAW) * WRITER |
		      refused(ours, false, JAIL_QCOW2) * READER_QCOW2 |
		      refused(ours, true, JAIL_QCOW2) * WRITER_QCOW2;
		if (got != cases[i].refused)
			fail_msg("%s: refused are %#x, not %#x", cases[i].name, (unsigned int)got,
				(unsigned int)cases[i].refused);
	}
	close(ours);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
