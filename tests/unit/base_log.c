/* SPDX-License-Identifier: MIT */
/* Proves that the log never blocks, whatever stderr is, and says how much it dropped. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"

enum { FLOOD = 3000, HANGS = 60 /* seconds */ };

static int saved = -1;

/* Sends stderr to fd, or nowhere. */
static void stderr_to(int fd)
{
	saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	assert_true(saved >= 0);
	if (fd >= 0)
		assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	else
		close(STDERR_FILENO);
}

static void stderr_back(void)
{
	log_close();
	dup2(saved, STDERR_FILENO);
	close_fd(&saved);
}

static void read_all(int fd, struct buf *b)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof chunk)) > 0)
		buf_add(b, chunk, (size_t)n);
}

/* Every number from 0 on was logged, or a line says how many were dropped. */
static void assert_complete(char *text, unsigned long *dropped)
{
	unsigned long next = 0, n;
	char word[8];

	*dropped = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "vmkeepd: warning: %lu line%7s", &n, word) == 2) {
			*dropped += n;
			next += n;
			continue;
		}
		assert_int_equal(sscanf(line, "vmkeepd: info: line %lu of", &n), 1);
		assert_int_equal(n, next);
		next++;
	}
	assert_int_equal(next, FLOOD);
}

static void flood(int from, int to)
{
	for (int i = from; i < to; i++)
		log_info(NULL,
			"line %d of a flood that nobody reads, and that is longer than any pipe",
			i);
}

enum kind { PIPE, PIPE_NOT_OPENED, STREAM };

/* First nobody reads; then somebody does. */
static void nobody_reads(enum kind kind)
{
	struct buf b = BUF_INIT;
	unsigned long dropped;
	int fd[2];

	if (kind == STREAM)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	else
		assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	stderr_to(fd[1]);
	alarm(HANGS);
	if (kind != PIPE_NOT_OPENED)
		log_open(LOG_INFO_);
	flood(0, FLOOD - 1);
	assert_false(log_flush());
	/* the file description, which is shared with others, has its old flags */
	assert_false(fcntl(fd[1], F_GETFL) & O_NONBLOCK);
	read_all(fd[0], &b);
	flood(FLOOD - 1, FLOOD);
	while (!log_flush())
		read_all(fd[0], &b);
	read_all(fd[0], &b);
	stderr_back();
	alarm(0);
	close(fd[0]);
	close(fd[1]);
	assert_complete(b.data, &dropped);
	assert_true(dropped > 0);
	buf_release(&b);
}

static void pipe_full(void **state)
{
	(void)state;
	nobody_reads(PIPE);
}

static void pipe_not_opened(void **state)
{
	(void)state;
	nobody_reads(PIPE_NOT_OPENED);
}

static void stream_full(void **state)
{
	(void)state;
	nobody_reads(STREAM);
}

/* The loop writes the backlog without another message; the backlog does not keep the loop
 * running. */
static void loop_flushes(void **state)
{
	struct buf b = BUF_INIT;
	unsigned long dropped;
	struct loop loop;
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(loop_init(&loop), 0);
	stderr_to(fd[1]);
	alarm(HANGS);
	log_open(LOG_INFO_);
	flood(0, FLOOD);
	while (!memmem(b.data ? b.data : "", b.len, "dropped here", 12)) {
		read_all(fd[0], &b);
		ev_run(loop.ev, EVRUN_NOWAIT);
	}
	loop_finish(&loop, HANGS);
	loop_release(&loop);
	stderr_back();
	alarm(0);
	close(fd[0]);
	close(fd[1]);
	assert_complete(b.data, &dropped);
	assert_true(dropped > 0);
	buf_release(&b);
}

/* A file accepts everything, so nothing is dropped. */
static void to_a_file(void **state)
{
	char path[] = "/tmp/base-log-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	struct buf b = BUF_INIT;
	unsigned long dropped;

	(void)state;
	assert_true(fd >= 0);
	stderr_to(fd);
	log_open(LOG_INFO_);
	flood(0, FLOOD);
	assert_true(log_flush());
	stderr_back();
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	read_all(fd, &b);
	assert_complete(b.data, &dropped);
	assert_int_equal(dropped, 0);
	buf_release(&b);
	close(fd);
	unlink(path);
}

/* Without a reader nothing is buffered. */
static void nobody_there(void **state)
{
	int fd[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	close(fd[0]);
	for (int closed = 0; closed < 2; closed++) {
		stderr_to(closed ? -1 : fd[1]);
		log_open(LOG_INFO_);
		flood(0, FLOOD);
		assert_true(log_flush());
		stderr_back();
	}
	close(fd[1]);
}

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipe_full),   cmocka_unit_test(pipe_not_opened),
		cmocka_unit_test(stream_full), cmocka_unit_test(loop_flushes),
		cmocka_unit_test(to_a_file),   cmocka_unit_test(nobody_there),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
