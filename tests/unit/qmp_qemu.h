/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/qmp_qemu.h - the real QEMU for a test, started as vmkeep starts it: the listening
 * socket and our connection exist before the process
 */
#ifndef TESTS_UNIT_QMP_QEMU_H
#define TESTS_UNIT_QMP_QEMU_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/mem.h"

static struct {
	char dir[32], path[64];
	pid_t pid;
} qemu;

/* Its directory, in which a test may create a file "disk". */
static inline void qemu_make_dir(void)
{
	strcpy(qemu.dir, "/tmp/vmkeep-qmp-XXXXXX");
	assert_non_null(mkdtemp(qemu.dir));
	snprintf(qemu.path, sizeof qemu.path, "%s/qmp", qemu.dir);
}

static inline int qemu_connect(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", qemu.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static inline void qemu_exec(int listener, const char *const *extra)
{
	const char *argv[32] = { "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-accel",
		"tcg", "-display", "none", "-S", "-mon", "chardev=m,mode=control", "-chardev" };
	char chardev[64];
	size_t n = 11;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(open("/dev/null", O_RDWR), 0);
	dup2(0, 1);
	fcntl(listener, F_SETFD, 0);
	snprintf(chardev, sizeof chardev, "socket,id=m,fd=%d,server=on,wait=off", listener);
	argv[n++] = chardev;
	while (*extra && n < ARRAY_SIZE(argv) - 1)
		argv[n++] = *extra++;
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* Returns a connection to its monitor. extra: arguments, NULL for no machine at all. */
static inline int qemu_start(const char *const *extra)
{
	static const char *const none[] = { "-machine", "none", NULL };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!*qemu.dir)
		qemu_make_dir();
	snprintf(a.sun_path, sizeof a.sun_path, "%s", qemu.path);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(listener, 4), 0);
	fd = qemu_connect();
	qemu.pid = fork();
	assert_true(qemu.pid >= 0);
	if (qemu.pid == 0)
		qemu_exec(listener, extra ? extra : none);
	close(listener);
	return fd;
}

/* A teardown: nothing is left, even after a failed test. */
static inline int qemu_end(void **state)
{
	char disk[64];

	(void)state;
	if (qemu.pid > 0) {
		kill(qemu.pid, SIGKILL);
		waitpid(qemu.pid, NULL, 0);
	}
	unlink(qemu.path);
	snprintf(disk, sizeof disk, "%s/disk", qemu.dir);
	unlink(disk);
	rmdir(qemu.dir);
	qemu.pid = 0;
	*qemu.dir = '\0';
	return 0;
}

static inline bool qemu_is_here(void)
{
	if (system("qemu-system-x86_64 --version >/dev/null 2>&1") == 0)
		return true;
	printf("skipped: qemu-system-x86_64 is not installed\n");
	return false;
}

#endif
