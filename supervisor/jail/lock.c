/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/lock.c - whether somebody else uses a file, and who
 *
 * QEMU would refuse a locked image too, but cannot name the holder. The test is QEMU's own
 * (block/file-posix.c, raw_check_lock_bytes): a user holds read locks on 100 + n for each
 * permission it takes and on 200 + n for each that it grants to nobody else. Beyond it, a read
 * lease cannot be had on a file that anybody has open for writing: a copy under way, a loop device.
 * Processes are looked through only after a conflict.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "base/mem.h"
#include "supervisor/jail/holder.h"
#include "supervisor/jail/jail.h"

enum { LOCK_TAKEN = 100, LOCK_DENIED = 200 };
enum { CONSISTENT_READ = 1 << 0, WRITE = 1 << 1, RESIZE = 1 << 3 }; /* QEMU's BLK_PERM_ */

static bool is_locked(int fd, int byte)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	/* a file system without locks has no holders either */
	return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

static bool is_denied(const struct jail_file *f)
{
	int resize =
		f->format == JAIL_QCOW2 ? RESIZE : 0; /* raw disks of a fixed size share this one */
	int take = CONSISTENT_READ | (f->write ? WRITE | resize : 0);
	int deny = WRITE | resize;

	for (int n = 0; n < 4; n++)
		if ((take >> n & 1 && is_locked(f->data, LOCK_DENIED + n)) ||
			(deny >> n & 1 && is_locked(f->data, LOCK_TAKEN + n)))
			return true;
	return false;
}

static bool is_written(const struct jail_file *f)
{
	bool written;

	fcntl(f->data, F_SETSIG,
		SIGURG); /* one who opens meanwhile breaks the lease: nothing to die of */
	written = fcntl(f->data, F_SETLEASE, F_RDLCK) < 0 && errno == EAGAIN;
	if (!written)
		fcntl(f->data, F_SETLEASE, F_UNLCK);
	return written;
}

static int busy(const struct jail_file *f, struct err *e)
{
	char who[HOLDER_TEXT];

	holder_find(&f->st, who);
	err_set(e, ERR_CONFLICT, "%s: %s is in use by %s", f->what, f->shown_path, who);
	return err_hint(
		e, f->write ? "stop that one first" : "stop that one first, it writes to the file");
}

int lock_device_busy(const struct jail_file *f, struct err *e)
{
	return busy(f, e);
}

int lock_check(struct jail *j, struct jail_file *f, struct err *e)
{
	bool image = f->kind == JAIL_DISK || f->kind == JAIL_BASE || f->kind == JAIL_NVRAM;

	/* QEMU reads a kernel once, unlocked; the locks of a guest that runs are its own */
	if (!S_ISREG(f->st.st_mode) || f->kind == JAIL_KERNEL || j->running)
		return 0;
	return is_denied(f) || (image && is_written(f)) ? busy(f, e) : 0;
}
