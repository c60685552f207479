/* SPDX-License-Identifier: MIT */
/*
 * tests/system/vanish.c - a preloaded library with which a file is removed just before a program opens it
 *
 * VANISH is the path of the file; it happens once, when VANISH.now exists.
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

int open(const char *path, int flags, ...)
{
	int (*real)(const char *path, int flags, ...) =
		(int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
	const char *vanishes = getenv("VANISH");
	char now[PATH_MAX];
	mode_t mode = 0;
	va_list ap;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (vanishes && strcmp(path, vanishes) == 0) {
		snprintf(now, sizeof now, "%s.now", vanishes);
		if (unlink(now) == 0)
			unlink(path);
	}
	return real(path, flags, mode);
}
