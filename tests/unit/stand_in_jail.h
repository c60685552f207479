/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/stand_in_jail.h - a test program in vmkeep-jail's place: runs the plan's argv, without a jail
 *
 * For tests that do not run as root, whose programs are outside /usr. A jail has a name as its argument, a test has
 * none: main() calls stand_in_run() if there is one.
 */
#ifndef TESTS_UNIT_STAND_IN_JAIL_H
#define TESTS_UNIT_STAND_IN_JAIL_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/jail/plan.h"

enum { STAND_IN_WORDS = 64 };

/* The path to use as the jail: this test. */
static inline const char *stand_in_jail(void)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	path[n > 0 ? n : 0] = '\0';
	return path;
}

/* Executes the program. */
static inline int stand_in_run(void)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	static char text[65536];
	struct iovec part = { text, 1 };
	struct msghdr m = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control };
	char *words[STAND_IN_WORDS + 1] = { NULL };
	struct cmsghdr *c;
	json_t *plan, *argv, *fd;
	ssize_t len = recvmsg(PLAN_FD, &m, 0), n;
	int came = -1;

	while (len > 0 && text[len - 1] != '\n' &&
		(n = recv(PLAN_FD, text + len, sizeof text - (size_t)len, 0)) > 0)
		len += n;
	plan = json_loadb(text, len > 0 ? (size_t)len : 0, 0, NULL);
	argv = json_object_get(plan, "argv");
	for (size_t i = 0; i < json_array_size(argv) && i < STAND_IN_WORDS; i++)
		words[i] = strdup(json_string_value(json_array_get(argv, i)));
	close(PLAN_FD);
	c = CMSG_FIRSTHDR(&m);
	fd = json_array_get(json_object_get(plan, "fds"), 0);
	if (c && fd) {
		memcpy(&came, CMSG_DATA(c), sizeof came);
		dup2(came, (int)json_integer_value(fd));
	}
	if (words[0])
		execv(words[0], words);
	return 127;
}

#endif
