/* SPDX-License-Identifier: MIT */
/*
 * tests/system/steps.c - loaded before all other libraries: vmkeepd dies at its n-th step
 *
 * A step is a call that changes something outside: files, sockets, processes. STEPS names a file with
 * an int that the test shares: so many steps until death, counted down; 0: none is coming.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile int *left;
static pid_t owner;

__attribute__((constructor)) static void begin(void)
{
	int fd;
	void *at;

	if (strcmp(program_invocation_short_name, "vmkeepd") != 0)
		return;
	unsetenv("LD_PRELOAD"); /* not for its children */
	fd = open(getenv("STEPS"), O_RDWR | O_CLOEXEC);
	at = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		abort();
	owner = getpid();
	left = at;
}

static void step(void)
{
	if (left && getpid() == owner && *left > 0 && --*left == 0)
		kill(owner, SIGKILL);
}

#define STEP(type, name, parameters, arguments)                                                    \
	type name parameters                                                                       \
	{                                                                                          \
		type(*real) parameters = (type(*) parameters)dlsym(RTLD_NEXT, #name);              \
                                                                                                   \
		step();                                                                            \
		return real arguments;                                                             \
	}

STEP(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
STEP(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
STEP(ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
STEP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
STEP(int, rename, (const char *from, const char *to), (from, to))
STEP(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
STEP(int, unlink, (const char *path), (path))
STEP(int, unlinkat, (int at, const char *path, int flags), (at, path, flags))
STEP(int, rmdir, (const char *path), (path))
STEP(int, mkdir, (const char *path, mode_t mode), (path, mode))
STEP(int, mkdirat, (int at, const char *path, mode_t mode), (at, path, mode))
STEP(int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
STEP(int, umount2, (const char *path, int flags), (path, flags))
STEP(pid_t, fork, (void), ())
STEP(int, close, (int fd), (fd))
