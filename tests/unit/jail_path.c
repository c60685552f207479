/* SPDX-License-Identifier: MIT */
/*
 * Proves that a path is resolved by hand exactly as by the kernel's openat2(), or refused alike: a
 * service manager's filter may block that call.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/jail/jail.h"

static char top[] = "/tmp/vmkeep-pathXXXXXX";

static const char *const paths[] = { "", ".", "..", "/", "//", "file", "./file", "/file", "dir",
	"dir/", "dir//file", "dir/./file", "dir/../file", "file/", "file/.", "file/x", "none",
	"none/x", "dir/none", "dir/deep/file", "link", "link/", "link/file", "dir/up", "dir/up/",
	"dir/up/file", "dir/away", "dir/away/file", "dir/away/../file", "to-file", "to-file/",
	"dangling", "loop", "loop/x", "dir/deep/../../link/file", "../../../../file",
	"dir/../../..", "abs", "abs/file", "chain", "dir/deep/chain/file" };
static const uint64_t ways[] = { RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, RESOLVE_NO_MAGICLINKS };
static const int flags[] = { O_PATH, O_PATH | O_NOFOLLOW, O_PATH | O_DIRECTORY,
	O_RDONLY | O_DIRECTORY };

static int prepare(void **state)
{
	static const char script[] =
		"cd %s && mkdir -p dir/deep && echo 1 >file && echo 2 >dir/file && echo 3 >dir/deep/file "
		"&& ln -s dir link && ln -s .. dir/up && ln -s /dir dir/away && ln -s dir/file to-file "
		"&& ln -s nowhere dangling && ln -s loop loop && ln -s %s/dir abs && ln -s link chain "
		"&& ln -s ../../chain dir/deep/chain";
	_cleanup_(free_ptr) char *command = NULL;

	(void)state;
	if (!mkdtemp(top))
		return -1;
	command = xasprintf(script, top, top);
	return system(command);
}

static int end(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, top, NULL);
}

static void compare(int root, const char *path, int flag, uint64_t way)
{
	struct open_how how = { .flags = (unsigned)(flag | O_CLOEXEC), .resolve = way };
	int theirs, error, ours, tries = 0;
	struct stat a, b;

	do { /* EAGAIN: something on this machine is being renamed, see openat2(2) */
		theirs = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
		error = errno;
	} while (theirs < 0 && error == EAGAIN && ++tries < 1000);
	ours = path_walk(root, path, flag, way, NULL);

	if ((theirs < 0) != (ours < 0) || (ours < 0 && errno != error))
		fail_msg("'%s' %#x %#jx: %s, not %s", path, (unsigned)flag, (uintmax_t)way,
			ours < 0 ? strerror(errno) : "found",
			theirs < 0 ? strerror(error) : "found");
	if (ours < 0)
		return;
	assert_int_equal(fstat(theirs, &a), 0);
	assert_int_equal(fstat(ours, &b), 0);
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		fail_msg("'%s' %#x %#jx: another file", path, (unsigned)flag, (uintmax_t)way);
	assert_int_equal((fcntl(ours, F_GETFL) ^ fcntl(theirs, F_GETFL)) & (O_PATH | O_ACCMODE), 0);
	close(theirs);
	close(ours);
}

static void test_as_the_kernel_does(void **state)
{
	_cleanup_(close_fd) int root = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	for (size_t p = 0; p < ARRAY_SIZE(paths); p++)
		for (size_t w = 0; w < ARRAY_SIZE(ways); w++)
			for (size_t f = 0; f < ARRAY_SIZE(flags); f++) {
				_cleanup_(free_ptr) char *whole = xasprintf("%s/%s", top, paths[p]);

				compare(root, paths[p], flags[f], ways[w]);
				compare(root, whole, flags[f], ways[w]);
			}
}

static void test_keeps_no_descriptor(void **state)
{
	const int before = open("/", O_PATH | O_CLOEXEC);
	int after;

	close(before);
	test_as_the_kernel_does(state);
	after = open("/", O_PATH | O_CLOEXEC);
	close(after);
	assert_int_equal(after, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_the_kernel_does),
		cmocka_unit_test(test_keeps_no_descriptor),
	};

	return cmocka_run_group_tests(tests, prepare, end);
}
