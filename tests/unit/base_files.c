/* SPDX-License-Identifier: MIT */
/* Proves that descriptors which come with bytes are all received, or are known to be lost: a lock that nobody
 * holds any more would let a second VM write to the same image. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"

enum { SENT = 3 };

static void pair_of(int pair[2])
{
	const int fds[SENT] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	/* the first ones come without a descriptor */
	assert_int_equal(file_send(pair[0], (char[]){ "ab" }, 2, NULL, 0, 0), 2);
	assert_int_equal(file_send(pair[0], (char[]){ "cd" }, 2, fds, SENT, 0), 2);
}

static void release(int pair[2], const struct file_fds *got)
{
	for (size_t i = 0; i < got->n; i++)
		assert_int_equal(close(got->fd[i]), 0);
	close(pair[0]);
	close(pair[1]);
}

static void all_of_them(void **state)
{
	int fd[SENT], pair[2];
	struct file_fds got = { .fd = fd, .max = SENT };
	char bytes[8];
	size_t n = 0;

	(void)state;
	pair_of(pair);
	while (n < 4)
		n += (size_t)file_receive(pair[1], bytes + n, sizeof bytes - n, &got, 0);
	assert_memory_equal(bytes, "abcd", 4);
	assert_int_equal(got.n, SENT);
	assert_false(got.lost);
	assert_int_equal(file_receive(pair[1], bytes, sizeof bytes, &got, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	release(pair, &got);
}

static void no_room_for_one(void **state)
{
	int fd[SENT], pair[2];
	struct file_fds got = { .fd = fd, .max = SENT - 1 };
	char bytes[8];

	(void)state;
	pair_of(pair);
	while (file_receive(pair[1], bytes, sizeof bytes, &got, 0) > 0)
		;
	assert_int_equal(errno, EMFILE);
	assert_int_equal(got.n, SENT - 1);
	assert_true(got.lost);
	release(pair, &got);
}

static void no_number_for_one(void **state)
{
	int fd[SENT], pair[2];
	struct file_fds got = { .fd = fd, .max = SENT };
	struct rlimit was, less;
	char bytes[8];

	(void)state;
	pair_of(pair);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	less = was;
	less.rlim_cur = (rlim_t)pair[1] + 2;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
	while (file_receive(pair[1], bytes, sizeof bytes, &got, 0) > 0)
		;
	assert_int_equal(errno, EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_true(got.n < SENT && got.lost);
	release(pair, &got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_them),
		cmocka_unit_test(no_room_for_one),
		cmocka_unit_test(no_number_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
