/* SPDX-License-Identifier: MIT */
/*
 * Which locks of others keep a guest from using a file: all that QEMU respects if it would write,
 * none if it only reads. Actual writers are detected by a lease, and where the file system does not
 * support that, by /proc and by locks of other hosts. Answers that no local file system gives are
 * faked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

static long fs_type;	/* 0: the real type */
static int lease_errno; /* 0: the real answer */
static pid_t lock_pid;	/* holder of the lock on byte 101; 1: the real answer */

int fstatfs(int fd, struct statfs *s)
{
	int r = (int)syscall(SYS_fstatfs, fd, s);

	if (fs_type)
		s->f_type = fs_type;
	return r;
}

int fcntl(int fd, int cmd, ...)
{
	struct flock *lock;
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	if (cmd == F_SETLEASE && lease_errno) {
		errno = lease_errno;
		return -1;
	}
	if (cmd == F_OFD_GETLK && lock_pid != 1) {
		memcpy(&lock, &arg, sizeof lock);
		if (lock->l_start == 101) {
			lock->l_type = F_RDLCK;
			lock->l_pid = lock_pid;
			return 0;
		}
	}
	return (int)syscall(SYS_fcntl, fd, cmd, arg);
}

enum { WRITER = 1 << 0, WRITER_QCOW2 = 1 << 1 };

/* clang-format off */
static const struct {
	const char *name;
	int byte[6];
	int refused; /* which of our writers is refused; a reader never is */
} cases[] = {
	{ "nobody",                    { 0 },                       0 },
	{ "a writer",                  { 100, 101, 103, 201, 203 }, WRITER | WRITER_QCOW2 },
	{ "a writer of raw",           { 100, 101, 201 },           WRITER | WRITER_QCOW2 },
	{ "a writer that shares",      { 100, 101 },                WRITER | WRITER_QCOW2 },
	{ "a reader",                  { 100, 201, 203 },           WRITER | WRITER_QCOW2 },
	{ "a reader that shares",      { 100 },                     0 },
	{ "one that may resize",       { 100, 103 },                WRITER_QCOW2 },
	{ "one that forbids resizing", { 203 },                     WRITER_QCOW2 },
	{ "one that forbids reading",  { 200 },                     WRITER | WRITER_QCOW2 },
	{ "other bytes",               { 99, 104, 199, 204, 1 },    0 },
};
/* clang-format on */

static const struct jail_role qemu = { .name = "qemu", .keeps_locks = true };

static bool refused(int fd, enum jail_kind kind, bool write, enum jail_format format)
{
	struct jail_file f = { .kind = kind,
		.what = "w",
		.path = "/p",
		.shown_path = "/p",
		.write = write,
		.format = format,
		.data = fd,
		.tree = -1 };
	struct jail j = { .file = &f, .n_files = 1, .role = &qemu, .check = true };
	struct err e = ERR_INIT;
	int r;

	assert_int_equal(fstat(fd, &f.st), 0);
	r = lock_check(&j, &f, &e);
	if (r < 0)
		assert_int_equal(e.class, ERR_CONFLICT);
	return r < 0;
}

static int new_file(void)
{
	char path[] = "/tmp/vmkeep-lock-XXXXXX";
	int writable = mkostemp(path, O_CLOEXEC), fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(writable >= 0 && fd >= 0);
	close(writable);
	unlink(path);
	return fd;
}

/* Another open file description of the same file. */
static int again(int fd, int flags)
{
	char path[32];
	int other;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	other = open(path, flags | O_CLOEXEC);
	assert_true(other >= 0);
	return other;
}

static void lock(int fd, int byte)
{
	struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	assert_int_equal(fcntl(fd, F_OFD_SETLK, &l), 0);
}

static void test_bytes(void **state)
{
	_cleanup_(close_fd) int ours = new_file();

	(void)state;
	lock_pid = 1;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(close_fd) int theirs = again(ours, O_RDONLY);
		int got;

		for (size_t n = 0; n < ARRAY_SIZE(cases[i].byte) && cases[i].byte[n]; n++)
			lock(theirs, cases[i].byte[n]);
		got = refused(ours, JAIL_DISK, true, JAIL_RAW) * WRITER |
		      refused(ours, JAIL_DISK, true, JAIL_QCOW2) * WRITER_QCOW2;
		if (got != cases[i].refused)
			fail_msg("%s: refused are %#x, not %#x", cases[i].name, (unsigned int)got,
				(unsigned int)cases[i].refused);
		for (enum jail_kind k = 0; k < JAIL_KINDS; k++)
			if (refused(ours, k, false, JAIL_RAW) ||
				refused(ours, k, false, JAIL_QCOW2))
				fail_msg(
					"%s: keeps a reader of kind %d out", cases[i].name, (int)k);
	}
}

/* A process that has the file open until end() is called. */
static pid_t opener(int fd, int flags)
{
	int ready[2], other;
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		other = again(fd, flags);
		assert_int_equal(write(ready[1], "", 1), 1);
		for (;;)
			pause();
		close(other);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* clang-format off */
static const struct {
	const char *name;
	long type;				  /* of the file system */
	int lease;				  /* errno */
	pid_t pid;				  /* holder of the lock on byte 101 */
	bool alone, beside_reader, beside_writer; /* expected refusals */
} places[] = {
	{ "the real answer",         0,               0,      1, false, false, true },
	{ "a writer in the kernel",  EXT4_SUPER_MAGIC, EAGAIN, 1, true,  true,  true },
	{ "NFS, no delegation",      NFS_SUPER_MAGIC,  EAGAIN, 1, false, false, true },
	{ "NFS, another host",       NFS_SUPER_MAGIC,  EAGAIN, 0, true,  true,  true },
	{ "NFS 3, another host",     NFS_SUPER_MAGIC,  EAGAIN, -7, true, true,  true },
	{ "NFS, a lock of this one", NFS_SUPER_MAGIC,  EAGAIN, -1, false, false, true },
	{ "NFS, a delegation",       NFS_SUPER_MAGIC,  0,      1, false, false, true },
	{ "SMB, no oplock",          (long)SMB2_SUPER_MAGIC, EAGAIN, 1, false, false, true },
	{ "no leases at all",        CEPH_SUPER_MAGIC, EINVAL, 1, false, false, true },
	{ "no right to leases",      EXT4_SUPER_MAGIC, EACCES, 1, false, false, true },
	{ "a pid of another world",  EXT4_SUPER_MAGIC, 0,      0, false, false, true },
};
/* clang-format on */

static void test_places(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_(close_fd) int fd = new_file();
		pid_t other;
		bool got[3];

		fs_type = places[i].type;
		lease_errno = places[i].lease;
		lock_pid = places[i].pid;
		got[0] = refused(fd, JAIL_BASE, false, JAIL_RAW);
		other = opener(fd, O_RDONLY);
		got[1] = refused(fd, JAIL_BASE, false, JAIL_RAW);
		end(other);
		other = opener(fd, O_WRONLY);
		got[2] = refused(fd, JAIL_BASE, false, JAIL_RAW);
		end(other);
		if (got[0] != places[i].alone || got[1] != places[i].beside_reader ||
			got[2] != places[i].beside_writer)
			fail_msg("%s: %d %d %d", places[i].name, got[0], got[1], got[2]);
	}
	fs_type = lease_errno = 0;
	lock_pid = 1;
}

/* A file that a guest reads is locked against QEMU's writers as long as the descriptor is open. */
static void test_held(void **state)
{
	_cleanup_(close_fd) int fd = new_file(), other = again(fd, O_RDONLY);
	struct jail_file f = { .kind = JAIL_BASE,
		.what = "w",
		.path = "/p",
		.shown_path = "/p",
		.data = fd,
		.tree = -1 };
	struct jail j = { .file = &f, .n_files = 1, .role = &qemu };
	struct err e = ERR_INIT;

	(void)state;
	lock_pid = 1;
	assert_int_equal(fstat(fd, &f.st), 0);
	assert_int_equal(lock_check(&j, &f, &e), 0);
	assert_true(f.keep);
	assert_true(refused(other, JAIL_DISK, true, JAIL_RAW) &&
		    refused(other, JAIL_DISK, true, JAIL_QCOW2));
	assert_false(refused(other, JAIL_BASE, false, JAIL_QCOW2));
	f.keep = false;
	f.kind = JAIL_KERNEL;
	assert_int_equal(lock_check(&j, &f, &e), 0);
	assert_false(f.keep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
