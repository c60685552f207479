/* SPDX-License-Identifier: MIT */
/*
 * tests/system/clocks.c - a preloaded library that changes vmkeepd's clocks
 *
 * CLOCKS names a file with a struct clocks, shared with the test. What it adds to the wall clock looks as if somebody
 * had set the clock; what it adds to the boot-time clock, as if the host had slept. A step may also be delayed until
 * the n-th rename from now, as of a run record at each change of state.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct clocks {
	int64_t wall, boot; /* seconds to add */
	int64_t left;	    /* renames until the following are added too; 0: none pending */
	int64_t wall_then, boot_then;
};

static volatile struct clocks *clocks;
static pid_t owner;
static char *library; /* the name in LD_PRELOAD */

__attribute__((constructor)) static void begin(void)
{
	int fd;
	void *at;

	if (strcmp(program_invocation_short_name, "vmkeepd") != 0)
		return;
	library = strdup(getenv("LD_PRELOAD"));
	unsetenv("LD_PRELOAD"); /* children are not affected */
	fd = open(getenv("CLOCKS"), O_RDWR | O_CLOEXEC);
	at = mmap(NULL, sizeof *clocks, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		abort();
	owner = getpid();
	clocks = at;
}

static void step(void)
{
	if (clocks && getpid() == owner && clocks->left > 0 && --clocks->left == 0) {
		clocks->wall += clocks->wall_then;
		clocks->boot += clocks->boot_then;
	}
}

int clock_gettime(clockid_t which, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, which, t);

	if (clocks && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
		t->tv_sec += clocks->wall;
	else if (clocks && which == CLOCK_BOOTTIME)
		t->tv_sec += clocks->boot;
	return r;
}

int gettimeofday(struct timeval *t, void *zone)
{
	int r = (int)syscall(SYS_gettimeofday, t, zone);

	t->tv_sec += clocks ? clocks->wall : 0;
	return r;
}

time_t time(time_t *t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (t)
		*t = now.tv_sec;
	return now.tv_sec;
}

int rename(const char *from, const char *to)
{
	int (*real)(const char *, const char *) =
		(int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");

	step();
	return real(from, to);
}

int renameat(int a, const char *from, int b, const char *to)
{
	int (*real)(int, const char *, int, const char *) =
		(int (*)(int, const char *, int, const char *))dlsym(RTLD_NEXT, "renameat");

	step();
	return real(a, from, b, to);
}

/* Only a daemon that is replaced calls this: the clock does not jump back for its successor. */
int execv(const char *path, char *const argv[])
{
	int (*real)(const char *, char *const[]) =
		(int (*)(const char *, char *const[]))dlsym(RTLD_NEXT, "execv");

	if (clocks && getpid() == owner)
		setenv("LD_PRELOAD", library, 1);
	return real(path, argv);
}
