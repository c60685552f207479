/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/line.h - runs a vmkeep command line in this process, with the test as the daemon
 */
#ifndef TESTS_UNIT_LINE_H
#define TESTS_UNIT_LINE_H

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/client/command.h"

enum { LINE_WORDS_MAX = 128, LINE_OUTPUT_MAX = 65536 };

static char line_dir[] = "/tmp/vmkeep-line-XXXXXX";

static inline void line_reply(int fd, json_t *message /* stolen */)
{
	struct buf b = BUF_INIT;

	codec_encode(message, &b);
	file_write_all(fd, b.data, b.len);
	buf_release(&b);
	json_decref(message);
}

/* Forks a child that accepts one connection and calls serve(), which does not return. */
static inline pid_t line_daemon(void (*serve)(int fd, void *data), void *data)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	snprintf(a.sun_path, sizeof a.sun_path, "%s/control.sock", line_dir);
	unlink(a.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		serve(accept(fd, NULL, NULL), data);
	close(fd);
	return pid;
}

/* Runs a command line with stdout and stderr in files; returns the exit code. */
static inline int line_run(const char *line, char out[LINE_OUTPUT_MAX], char err[LINE_OUTPUT_MAX])
{
	_cleanup_(free_ptr) char *copy = xasprintf("--run %s %s", line_dir, line);
	const char *word[LINE_WORDS_MAX];
	struct args a = ARGS_INIT;
	struct err e = ERR_INIT;
	char *text[] = { out, err };
	int saved[2], file[2], code;
	size_t n = 0;
	char *rest;

	for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
		word[n++] = w;
	if (args_parse(&a, n, word, &e) < 0)
		fail_msg("vmkeep %s: %s", line, e.text);
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		saved[i] = dup(i + 1);
		file[i] = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		assert_true(file[i] >= 0);
		dup2(file[i], i + 1);
	}
	code = command_run(&a);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		ssize_t got = pread(file[i], text[i], LINE_OUTPUT_MAX - 1, 0);

		text[i][got > 0 ? got : 0] = '\0';
		dup2(saved[i], i + 1);
		close(saved[i]);
		close(file[i]);
	}
	args_release(&a);
	return code;
}

static inline int line_setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	return mkdtemp(line_dir) ? 0 : -1;
}

static inline int line_teardown(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, line_dir, NULL);
}

#endif
