/* SPDX-License-Identifier: MIT */
/*
 * Checks the open fds of a guest's process: an fd is a way out that no private root closes.
 *
 * Each is inspected through an O_PATH fd of /proc/PID/fd, with calls that contact no file server or
 * driver: QEMU may hold a file on a dead server. An fd that was closed meanwhile is ignored.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/check/security_private.h"
#include "supervisor/vm/vms.h"

enum { SECURITY_FDS_MAX = 4097 }; /* one more than the limit */

enum security_read { SECURITY_READ, SECURITY_GONE, SECURITY_UNREADABLE };

static enum security_read security_read_fd(int dir, const char *number, struct security_fd *f)
{
	_cleanup_(close_fd) int fd = openat(dir, number, O_PATH | O_CLOEXEC);
	char path[48];
	struct statx st;

	*f = (struct security_fd){ .type = 0 };
	snprintf(f->number, sizeof f->number, "%.15s", number);
	if (fd < 0)
		return errno == ENOENT ? SECURITY_GONE : SECURITY_UNREADABLE;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
		return SECURITY_UNREADABLE;
	f->type = st.stx_mode & S_IFMT;
	f->device = makedev(st.stx_rdev_major, st.stx_rdev_minor);
	f->file_system = makedev(st.stx_dev_major, st.stx_dev_minor);
	if (f->type != S_IFSOCK)
		return SECURITY_READ;
	/* through our own fd, which nobody else can replace; since Linux 5.15 the name
	 * distinguishes stream sockets */
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (getxattr(path, "system.sockprotoname", f->protocol, sizeof f->protocol - 1) <= 0)
		snprintf(f->protocol, sizeof f->protocol, "of an unknown kind");
	return SECURITY_READ;
}

/* Skips fds that are closed meanwhile; those opened meanwhile are seen by the next check. */
static const struct security_fds *security_fds(struct look *l)
{
	_cleanup_(free_ptr) char *path = xasprintf("/proc/%d/fd", (int)l->vm->proc.pid);
	struct security_fds *fds = &l->fds;
	_cleanup_(close_dir) DIR *dir = NULL;

	if (fds->read)
		return fds;
	fds->read = true;
	dir = opendir(path);
	if (!dir)
		return fds;
	fds->root = security_root_device(l);
	fds->fd = xcalloc(SECURITY_FDS_MAX, sizeof *fds->fd);
	for (struct dirent *d; fds->root && (d = readdir(dir));) {
		enum security_read r = SECURITY_GONE;

		if (d->d_name[0] != '.')
			r = security_read_fd(dirfd(dir), d->d_name, &fds->fd[fds->n]);
		fds->n += r == SECURITY_READ;
		if (r == SECURITY_UNREADABLE || fds->n == SECURITY_FDS_MAX)
			fds->root = 0;
	}
	return fds;
}

void security_fds_release(struct security_fds *fds)
{
	free(fds->fd);
	*fds = (struct security_fds){ .fd = NULL };
}

/* True if all fds could be read. */
static bool security_fds_known(struct look *l)
{
	if (security_fds(l)->root)
		return true;
	buf_adds(&l->found, "its descriptors could not be read");
	return false;
}

static bool security_count_sockets(struct look *l, const char *wanted, unsigned *n)
{
	const struct security_fds *fds = security_fds(l);
	bool good = true;

	for (size_t i = 0; i < fds->n; i++) {
		const struct security_fd *f = &fds->fd[i];

		if (f->type != S_IFSOCK)
			continue;
		(*n)++;
		if (strncmp(f->protocol, wanted, strlen(wanted)) != 0) {
			buf_printf(&l->found, "descriptor %s is %s; ", f->number, f->protocol);
			good = false;
		}
	}
	return good;
}

bool security_no_foreign_socket(struct look *l)
{
	unsigned n = 0;

	return security_fds_known(l) && security_count_sockets(l, "UNIX", &n);
}

bool security_sockets(struct look *l)
{
	bool good = security_fds_known(l);
	unsigned n = 0;

	good &= security_count_sockets(l, "UNIX-STREAM", &n);
	buf_printf(&l->found, "%u, %s", n, good ? "local streams" : "not all local streams");
	return good;
}

/* Accepts a node in the private root, or the same block device as such a node; otherwise only
 * tun. */
static bool security_device_known(const struct security_fds *fds, const struct security_fd *f)
{
	if (f->file_system == fds->root || (f->type == S_IFCHR && f->device == makedev(10, 200)))
		return true;
	for (size_t i = 0; f->type == S_IFBLK && i < fds->n; i++)
		if (fds->fd[i].type == S_IFBLK && fds->fd[i].device == f->device &&
			fds->fd[i].file_system == fds->root)
			return true;
	return false;
}

static int security_is_node(const struct dirent *e)
{
	return e->d_type == DT_CHR || e->d_type == DT_BLK;
}

/* What it could open: the nodes of the /dev in its private root. */
static void security_nodes(struct look *l)
{
	struct dirent **node;
	char path[64];
	int n;

	snprintf(path, sizeof path, "/proc/%d/root/dev", (int)l->vm->proc.pid);
	n = scandir(path, &node, security_is_node, alphasort);
	for (int i = 0; i < n; i++) {
		buf_printf(&l->found, "%s%s", i ? ", " : "; /dev has ", node[i]->d_name);
		free(node[i]);
	}
	if (n >= 0)
		free(node);
}

bool security_devices(struct look *l)
{
	const struct security_fds *fds = security_fds(l);
	bool good = security_fds_known(l);
	unsigned n = 0;

	for (size_t i = 0; i < fds->n; i++) {
		const struct security_fd *f = &fds->fd[i];

		if (f->type != S_IFCHR && f->type != S_IFBLK)
			continue;
		n++;
		if (!security_device_known(fds, f)) {
			buf_printf(&l->found, "descriptor %s is %s device %u:%u; ", f->number,
				f->type == S_IFCHR ? "character" : "block", major(f->device),
				minor(f->device));
			good = false;
		}
	}
	buf_printf(&l->found, "%u, %s", n, good ? "its own" : "not all its own");
	security_nodes(l);
	return good;
}

/* A directory on another file system gives access to everything below it. */
bool security_directories(struct look *l)
{
	const struct security_fds *fds = security_fds(l);
	bool good = security_fds_known(l);

	for (size_t i = 0; i < fds->n; i++)
		if (fds->fd[i].type == S_IFDIR && fds->fd[i].file_system != fds->root) {
			buf_printf(&l->found, "descriptor %s is on another file system; ",
				fds->fd[i].number);
			good = false;
		}
	buf_adds(&l->found, good ? "none open" : "");
	return good;
}
