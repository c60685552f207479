/* SPDX-License-Identifier: MIT */
/*
 * tests/system/held.c - a preloaded library that holds a program just before it opens a file
 *
 * HELD is the path of the file; it happens once, when HELD.now exists. HELD.is then says so, and the program goes on
 * when that is gone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void held(const char *path)
{
	const char *at = getenv("HELD");
	char now[PATH_MAX], is[PATH_MAX];

	if (!at || strcmp(path, at) != 0)
		return;
	snprintf(now, sizeof now, "%s.now", at);
	snprintf(is, sizeof is, "%s.is", at);
	if (rename(now, is) == 0)
		while (access(is, F_OK) == 0)
			usleep(1000);
}

#define HELD_OPEN(name)                                                           \
	int name(const char *path, int flags, ...)                                \
	{                                                                         \
		int (*real)(const char *path, int flags, ...) =                   \
			(int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \
		va_list ap;                                                       \
		mode_t mode;                                                      \
                                                                                  \
		va_start(ap, flags);                                              \
		mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;    \
		va_end(ap);                                                       \
		held(path);                                                       \
		return real(path, flags, mode);                                   \
	}

HELD_OPEN(open)
HELD_OPEN(open64)
