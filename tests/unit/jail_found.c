/* SPDX-License-Identifier: MIT */
/*
 * An image outside its directory's inherited project escapes that quota, and check says so. Because
 * few kernels that run tests have project quotas, the kernel's answer is faked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

static uint32_t dir_project, file_project, dir_flags;
static int refuse; /* errno */
static char said[512];

int ioctl(int fd, unsigned long request, ...)
{
	struct fsxattr *x;
	struct stat st;
	va_list ap;

	assert_int_equal(request, FS_IOC_FSGETXATTR);
	va_start(ap, request);
	x = va_arg(ap, struct fsxattr *);
	va_end(ap);
	assert_int_equal(fstat(fd, &st), 0);
	errno = refuse;
	x->fsx_projid = S_ISDIR(st.st_mode) ? dir_project : file_project;
	x->fsx_xflags = S_ISDIR(st.st_mode) ? dir_flags : 0;
	return refuse ? -1 : 0;
}

static void hear(
	const struct jail *j, const char *step, const struct jail_file *f, const struct err *e)
{
	(void)j, (void)step, (void)f;
	snprintf(said, sizeof said, "%.300s; %.200s", e->text, e->hint);
}

static const struct {
	uint32_t dir, file, flags;
	int refuse;
	bool write;
	const char *says;
} cases[] = {
	/* clang-format off */
	{ 42, 42, FS_XFLAG_PROJINHERIT, 0,      true,  "" },
	{ 42, 7,  FS_XFLAG_PROJINHERIT, 0,      true,
	  "w: a.img belongs to project 7, its directory to 42, whose quota does not count it; chattr -p 42 " },
	{ 42, 0,  FS_XFLAG_PROJINHERIT, 0,      true,  "belongs to project 0" },
	{ 42, 7,  FS_XFLAG_PROJINHERIT, 0,      false, "" },
	{ 42, 7,  0,                    0,      true,  "" },
	{ 42, 7,  FS_XFLAG_PROJINHERIT, ENOTTY, true,  "" },
	/* clang-format on */
};

static void test_project(void **state)
{
	char path[] = "/tmp/vmkeep-found-XXXXXX";
	_cleanup_(close_fd) int fd = mkostemp(path, O_CLOEXEC);
	struct jail_file f = {
		.what = "w", .id = "w", .path = path, .shown_path = "a.img", .fd = fd, .data = fd
	};
	struct jail j = { .file = &f, .n_files = 1 };

	(void)state;
	assert_int_equal(fstat(fd, &f.st), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		said[0] = '\0';
		dir_project = cases[i].dir;
		file_project = cases[i].file;
		dir_flags = cases[i].flags;
		refuse = cases[i].refuse;
		f.write = cases[i].write;
		found_check(&j, &f, hear);
		if (cases[i].says[0] ? !strstr(said, cases[i].says) : said[0] != '\0')
			fail_msg("case %zu: '%s'", i, said);
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_project),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
