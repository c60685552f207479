/* SPDX-License-Identifier: MIT */
/*
 * The child's side of sweeper.h. Unmounting a file system waits until no CPU can see it any more:
 * milliseconds, and a hundred times that if a hundred guests end at once. Concurrent sweeps of the
 * same directory are harmless.
 */
#include "supervisor/core/sweeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>

#include "base/file.h"
#include "base/mem.h"

enum { TRIES_MAX = 16 }; /* several file systems may be mounted on one directory */

static int sweep_remove_in(int dirfd, const char *name, struct err *e);

static int sweep_unmount(int dirfd, const char *name, struct err *e)
{
	_cleanup_(free_ptr) char *where = xasprintf("/proc/self/fd/%d/%s", dirfd, name);

	/* lazily: guests that are exiting may still have files open there */
	if (umount2(where, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL)
		return err_errno(e, "unmount '%s'", name);
	return 0;
}

static int sweep_remove_one(int dirfd, const char *name, struct err *e)
{
	int r = 0;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	for (int tries = 0; r == 0 && tries < TRIES_MAX; tries++) {
		if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno == EBUSY)
			r = sweep_unmount(dirfd, name, e);
		else if (errno == ENOTEMPTY)
			r = sweep_remove_in(dirfd, name, e);
		else
			r = err_errno(e, "remove '%s'", name);
	}
	return r < 0 ? r : err_set(e, ERR_FAILED, "remove '%s': it keeps filling up", name);
}

static int sweep_remove_in(int at, const char *name, struct err *e)
{
	_cleanup_(close_dir) DIR *dir = file_open_dir(at, name, O_NOFOLLOW);
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : err_errno(e, "open '%s'", name);
	for (struct dirent *d; r == 0 && (d = readdir(dir));)
		if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
			r = sweep_remove_one(dirfd(dir), d->d_name, e);
	return r < 0 ? err_wrap(e, r, "in '%s'", name) : 0;
}

int sweep(const char *dir)
{
	struct err e = ERR_INIT;

	if (sweep_remove_in(AT_FDCWD, dir, &e) == 0)
		return 0;
	fprintf(stderr, "%s\n", e.text);
	return 1;
}
