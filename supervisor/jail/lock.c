/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/lock.c - whether anybody else uses a file, and locks that make our use visible
 *
 * QEMU's protocol (block/file-posix.c, raw_check_lock_bytes): a user holds read locks on byte 100 +
 * n for each permission it takes and on 200 + n for each permission that it denies to others.
 * Anyone who may read a file can take these locks, so for a file that nobody should write they
 * prove nothing: a reader's locks do not keep a guest from reading. Instead we ask the kernel for
 * what cannot be faked without opening the file for writing: a read lease is refused while there is
 * a writer. QEMU opens such files without locks, so we hold the lock bytes for it, on an fd that
 * lives as long as QEMU, to make them visible to writers.
 *
 * For a file that the VM writes, all locks count, as they do for QEMU, which could not name the
 * holder. Processes are searched only after a conflict, or if the file system cannot tell.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/jail/jail.h"

enum { LOCK_TAKEN = 100, LOCK_DENIED = 200 };
enum {
	CONSISTENT_READ = 1 << 0,
	WRITE = 1 << 1,
	RESIZE = 1 << 3,
	PERMISSIONS = 4
}; /* QEMU's BLK_PERM_* */

enum { LEASE_TRIES = 50, LEASE_PAUSE_US = 2000 };

/* Their servers know of writers on other hosts, and may refuse a lease although there is no
 * writer. */
static const long remote_types[] = { NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, CIFS_SUPER_MAGIC,
	SMB2_SUPER_MAGIC, CEPH_SUPER_MAGIC, V9FS_MAGIC, FUSE_SUPER_MAGIC, OCFS2_SUPER_MAGIC,
	AFS_FS_MAGIC, CODA_SUPER_MAGIC, 0x01161970 /* GFS2 */, 0x0bd00bd0 /* Lustre */ };

static bool lock_is_remote(int fd)
{
	struct statfs s;

	for (size_t i = 0; fstatfs(fd, &s) == 0 && i < ARRAY_SIZE(remote_types); i++)
		if ((long)s.f_type == remote_types[i])
			return true;
	return false;
}

/* Is this byte locked? *pid: the holder's pid (-1: an open file description; other values <= 0:
 * another host). */
static bool lock_of(int fd, int byte, pid_t *pid)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	/* a file system without locks has no holders either */
	if (fcntl(fd, F_OFD_GETLK, &l) < 0 || l.l_type == F_UNLCK)
		return false;
	*pid = l.l_pid;
	return true;
}

/* Would QEMU, opening the file for writing, see a conflicting lock? */
static bool lock_denies(const struct jail_file *f)
{
	int resize =
		f->format == JAIL_QCOW2 ? RESIZE : 0; /* raw disks of fixed size share this one */
	int take = CONSISTENT_READ | WRITE | resize, deny = WRITE | resize;
	pid_t pid;

	for (int n = 0; n < PERMISSIONS; n++)
		if ((take >> n & 1 && lock_of(f->data, LOCK_DENIED + n, &pid)) ||
			(deny >> n & 1 && lock_of(f->data, LOCK_TAKEN + n, &pid)))
			return true;
	return false;
}

/* A writer on another host is known only by its locks; local writers are found otherwise. */
static bool lock_written_elsewhere(const struct jail_file *f)
{
	static const int bytes[] = { LOCK_TAKEN + 1, LOCK_TAKEN + 3 };
	pid_t pid;

	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++)
		if (lock_of(f->data, bytes[i], &pid) && pid <= 0 && pid != -1)
			return true;
	return false;
}

/* True if anybody has it open for writing. A guest that tries to open a base image for writing
 * fails, but counts as a writer for a moment, so only a writer seen in every try counts. */
static bool lock_is_written(const struct jail_file *f)
{
	bool remote = lock_is_remote(f->data);

	if (remote && lock_written_elsewhere(f))
		return true;
	/* opening the file meanwhile breaks the lease: get a harmless signal for that */
	fcntl(f->data, F_SETSIG, SIGURG);
	for (int tries = 0; tries < LEASE_TRIES; tries++) {
		if (fcntl(f->data, F_SETLEASE, F_RDLCK) == 0) {
			fcntl(f->data, F_SETLEASE, F_UNLCK);
			return false;
		}
		if (errno != EAGAIN || remote)
			return holder_writes(&f->st);
		usleep(LEASE_PAUSE_US);
	}
	return true;
}

int lock_busy(const struct jail_file *f, bool writers, struct err *e)
{
	char who[HOLDER_TEXT];

	holder_find(&f->st, writers, who);
	err_set(e, ERR_CONFLICT, "%s: %s is in use by %s", f->what, f->shown_path, who);
	return err_hint(e, f->write ? "stop that first" : "stop that first: it writes to the file");
}

int lock_leased(const struct jail_file *f, struct err *e)
{
	char who[HOLDER_TEXT];

	holder_find(&f->st, false, who);
	err_set(e, ERR_CONFLICT,
		"%s: %s cannot be opened: %s holds a lease on it and does not release it", f->what,
		f->shown_path, who);
	return err_hint(e,
		"end that program, or give the file to root: only its owner can take a lease on it");
}

/* Opens the file with the guest's uid, on the read-only mount that the guest gets: nothing that
 * QEMU could not do itself. A device keeps the host's node, where others look for locks; its fd is
 * read-only. */
static int lock_open(const struct jail *j, struct jail_file *f, struct err *e)
{
	int fd;

	if (f->tree < 0)
		return 0;
	guest_begin(j);
	fd = file_reopen(f->tree, O_RDONLY | O_NONBLOCK);
	guest_end();
	if (fd < 0)
		return err_errno(e, "%s: open %s", f->what, f->shown_path);
	close(f->data);
	f->data = fd;
	return 0;
}

/* Takes the locks before checking anything: of two concurrent starts, at least one sees the
 * other. */
static int lock_hold(const struct jail *j, struct jail_file *f, struct err *e)
{
	static const int bytes[] = { LOCK_TAKEN + 0, LOCK_DENIED + 1, LOCK_DENIED + 3 };
	int r = lock_open(j, f, e);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(bytes); i++) {
		struct flock l = {
			.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = bytes[i], .l_len = 1
		};

		/* only a writer's lock conflicts with a reader's; on a file system without locks
		 * there is nothing to hold */
		if (fcntl(f->data, F_OFD_SETLK, &l) < 0 && (errno == EAGAIN || errno == EACCES))
			return lock_busy(f, true, e);
	}
	f->keep = r == 0;
	return r;
}

int lock_check(struct jail *j, struct jail_file *f, struct err *e)
{
	bool regular = S_ISREG(f->st.st_mode);
	int r = 0;

	/* a running guest holds its own locks; a device was claimed when it was opened */
	if (j->running || f->again || f->copy)
		return 0;
	/* a kernel is read only once */
	if (!f->write && j->role->keeps_locks && !j->check && f->kind != JAIL_KERNEL)
		r = lock_hold(j, f, e);
	if (r < 0)
		return r;
	return (f->write && lock_denies(f)) || (regular && lock_is_written(f))
		       ? lock_busy(f, !f->write, e)
		       : 0;
}
