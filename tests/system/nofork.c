/* SPDX-License-Identifier: MIT */
/*
 * tests/system/nofork.c - a preloaded library: vmkeepd cannot fork while the file NOFORK exists
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

pid_t fork(void)
{
	pid_t (*real)(void) = (pid_t(*)(void))dlsym(RTLD_NEXT, "fork");
	const char *file = getenv("NOFORK");

	if (file && strcmp(program_invocation_short_name, "vmkeepd") == 0 &&
		access(file, F_OK) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return real();
}
