/* SPDX-License-Identifier: MIT */
/*
 * tests/system/steps.c - a preloaded library that sends a signal to a program at its n-th step
 *
 * A step is a call that changes something outside: files, sockets, mounts, processes. STEPS names a file with two ints,
 * shared with the test: the steps that are left, counted down, 0: none armed; and the pid that gets the signal, 0: the
 * program itself. Without that file, STEPS_N is the number of steps. STEPS_OF is the program's name, STEPS_SIGNAL the
 * number of the signal.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile int *left;
static pid_t owner;
static int how;

__attribute__((constructor)) static void begin(void)
{
	const char *program = getenv("STEPS_OF"), *number = getenv("STEPS_SIGNAL");
	const char *count = getenv("STEPS_N");
	static int own[2];
	int fd;
	void *at = own;

	if (!program || strcmp(program_invocation_short_name, program) != 0)
		return;
	unsetenv("LD_PRELOAD"); /* children are not affected */
	how = number ? atoi(number) : SIGKILL;
	if (count) {
		own[0] = atoi(count);
	} else {
		fd = open(getenv("STEPS"), O_RDWR | O_CLOEXEC);
		at = mmap(NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (at == MAP_FAILED)
		abort();
	owner = getpid();
	left = at;
}

static void step(void)
{
	if (!left || getpid() != owner || *left <= 0 || --*left != 0)
		return;
	if (left[1] > 0) {
		kill(left[1], how);
		return;
	}
	kill(owner, how);
	if (how == SIGKILL)
		_exit(1); /* if a filter refuses kill() */
}

#define STEP(type, name, parameters, arguments)                                       \
	type name parameters                                                          \
	{                                                                             \
		type(*real) parameters = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
                                                                                      \
		step();                                                               \
		return real arguments;                                                \
	}

STEP(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
STEP(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
STEP(ssize_t, pwrite64, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
STEP(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at))
STEP(int, fdatasync, (int fd), (fd))
STEP(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
STEP(ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
STEP(ssize_t, sendto,
	(int fd, const void *p, size_t n, int flags, const struct sockaddr *a, socklen_t len),
	(fd, p, n, flags, a, len))
STEP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
STEP(int, ftruncate, (int fd, off_t n), (fd, n))
STEP(int, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
STEP(int, fsync, (int fd), (fd))
STEP(int, rename, (const char *from, const char *to), (from, to))
STEP(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
STEP(int, renameat2, (int a, const char *from, int b, const char *to, unsigned flags),
	(a, from, b, to, flags))
STEP(int, linkat, (int a, const char *from, int b, const char *to, int flags),
	(a, from, b, to, flags))
STEP(int, symlinkat, (const char *to, int at, const char *path), (to, at, path))
STEP(int, unlink, (const char *path), (path))
STEP(int, unlinkat, (int at, const char *path, int flags), (at, path, flags))
STEP(int, rmdir, (const char *path), (path))
STEP(int, mkdir, (const char *path, mode_t mode), (path, mode))
STEP(int, mkdirat, (int at, const char *path, mode_t mode), (at, path, mode))
STEP(int, mknodat, (int at, const char *path, mode_t mode, dev_t dev), (at, path, mode, dev))
STEP(int, fchmod, (int fd, mode_t mode), (fd, mode))
STEP(int, fchmodat, (int at, const char *path, mode_t mode, int flags), (at, path, mode, flags))
STEP(int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
STEP(int, fchownat, (int at, const char *path, uid_t uid, gid_t gid, int flags),
	(at, path, uid, gid, flags))
STEP(int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
STEP(int, listen, (int fd, int n), (fd, n))
STEP(int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
STEP(int, mount,
	(const char *from, const char *to, const char *type, unsigned long flags, const void *data),
	(from, to, type, flags, data))
STEP(int, umount2, (const char *path, int flags), (path, flags))
STEP(int, move_mount, (int a, const char *from, int b, const char *to, unsigned flags),
	(a, from, b, to, flags))
STEP(int, unshare, (int flags), (flags))
STEP(int, setns, (int fd, int type), (fd, type))
STEP(int, chdir, (const char *path), (path))
STEP(int, setgroups, (size_t n, const gid_t *list), (n, list))
STEP(int, setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))
STEP(int, pidfd_send_signal, (int fd, int number, siginfo_t *info, unsigned flags),
	(fd, number, info, flags))
STEP(pid_t, fork, (void), ())
STEP(int, execve, (const char *path, char *const *argv, char *const *env), (path, argv, env))
STEP(int, close, (int fd), (fd))

/* Taps and block devices. */
int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int fd, unsigned long request, void *argument) =
		(int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl");
	va_list ap;
	void *argument;

	va_start(ap, request);
	argument = va_arg(ap, void *);
	va_end(ap);
	step();
	return real(fd, request, argument);
}

/* Only if it creates or truncates a file. */
#define OPEN(name, parameters, arguments)                                              \
	int name parameters                                                            \
	{                                                                              \
		int(*real) parameters = (int(*) parameters)dlsym(RTLD_NEXT, #name);    \
		mode_t mode = 0;                                                       \
		va_list ap;                                                            \
                                                                                       \
		if (flags & (O_CREAT | O_TRUNC) || (flags & O_TMPFILE) == O_TMPFILE) { \
			va_start(ap, flags);                                           \
			mode = va_arg(ap, mode_t);                                     \
			va_end(ap);                                                    \
			step();                                                        \
		}                                                                      \
		return real arguments;                                                 \
	}

OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode))
