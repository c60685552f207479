/* SPDX-License-Identifier: MIT */
/* Proves that the amount read from a child is limited: one that writes endlessly delays nothing,
 * and its first answer counts. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/core/confine.h"

static const char refusal[] = "{\"error\": {\"class\": \"Failed\", \"desc\": \"not so\"}}\n";

static void flood(int fd)
{
	static char line[4096];

	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\n';
	if (write(fd, refusal, sizeof refusal - 1) > 0)
		while (write(fd, line, sizeof line) > 0)
			;
	_exit(0);
}

static void an_answer_without_end(void **state)
{
	struct err e = ERR_INIT;
	int pair[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pid = fork();
	if (pid == 0)
		flood(pair[1]);
	close(pair[1]);
	/* it has started */
	assert_int_equal(recv(pair[0], &(char){ 0 }, 1, MSG_PEEK), 1);
	for (int i = 0; i < 100; i++) {
		struct err more = ERR_INIT;

		confine_answer(pair[0], i ? &more : &e);
	}
	assert_string_equal(e.text, "not so");
	close(pair[0]);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_without_end),
	};

	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
