/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/files.c - opens what the plan names and determines its type
 *
 * Opens with O_PATH first, which neither blocks on a FIFO nor touches a device. Only if the type is
 * right is it opened for real, through that same fd, so a rename meanwhile makes no difference.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/jail.h"

enum { LEASE_TRIES = 150, LEASE_PAUSE_US = 20000 };

static const char *files_type_name(mode_t mode)
{
	static const struct {
		mode_t type;
		const char *name;
	} types[] = {
		/* clang-format off */
		{ S_IFDIR,  "directory" },
		{ S_IFBLK,  "block device" },
		{ S_IFCHR,  "character device" },
		{ S_IFIFO,  "FIFO" },
		{ S_IFSOCK, "socket" },
		/* clang-format on */
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((mode & S_IFMT) == types[i].type)
			return types[i].name;
	return "special file";
}

static int files_check_type(const struct jail_file *f, struct err *e)
{
	bool device_ok = f->kind == JAIL_DISK || f->kind == JAIL_BASE || f->kind == JAIL_CDROM;

	if (S_ISBLK(f->st.st_mode) && device_ok)
		return 0;
	if (!S_ISREG(f->st.st_mode)) {
		err_set(e, ERR_INVALID_CONFIG, "%s: %s is a %s", f->what, f->shown_path,
			files_type_name(f->st.st_mode));
		return err_hint(
			e, device_ok ? "name an image file or a block device" : "name a file");
	}
	/* another name may be another VM's disk, or a file of the host that somebody linked to */
	if (f->beneath && f->st.st_nlink != 1) {
		err_set(e, ERR_INVALID_CONFIG, "%s: %s has %lu hard links and must have only one",
			f->what, f->shown_path, (unsigned long)f->st.st_nlink);
		return err_hint(e, "copy the image instead of linking it");
	}
	return 0;
}

/* Root may configure a path in a place where others can create links. A link's owner must also own
 * its target; otherwise that user could have a guest read and write files that the user may not
 * access. */
static int files_check_links(const struct jail_file *f, uid_t link, struct err *e)
{
	char whose[24];

	if (link == PATH_ROOT || link == f->st.st_uid)
		return 0;
	snprintf(whose, sizeof whose, link == PATH_SEVERAL ? "several users" : "uid %u", link);
	err_set(e, ERR_PERMISSION, "%s: %s leads through a symbolic link of %s to a file of uid %u",
		f->what, f->shown_path, whose, f->st.st_uid);
	return err_hint(e, "name the file itself, or give the link to root: chown -h root");
}

static int files_check_twice(const struct jail *j, struct jail_file *f, struct err *e)
{
	for (const struct jail_file *g = j->file; g < j->file + j->n_files; g++) {
		if (g == f || g->fd < 0 || !file_same(&g->st, &f->st))
			continue;
		if (g->write || f->write) {
			err_set(e, ERR_CONFLICT, "%s: %s is the same file as %s", f->what,
				f->shown_path, g->what);
			return err_hint(e, "a file that is written to can be used only once");
		}
		if (streq(g->path, f->path))
			f->again = true;
	}
	return 0;
}

/* The kernel's exclusive claim conflicts with file systems, volume groups, swap and other guests. A
 * writer keeps it as long as QEMU lives: QEMU's own locks are per device node, and each jail has
 * its own node. */
static int files_open_device(const struct jail *j, struct jail_file *f, struct err *e)
{
	/* when a running guest is checked, its own QEMU has the claim already */
	if (f->kind != JAIL_CDROM && !j->running) {
		f->data = file_reopen(f->fd, (f->write ? O_RDWR : O_RDONLY) | O_EXCL | O_NONBLOCK);
		if (f->data < 0 && errno == EBUSY)
			return lock_busy(f, false, e);
		if (f->data < 0)
			return err_errno(e, "%s: open %s", f->what, f->shown_path);
		f->keep = f->write;
	}
	if (!f->write || f->data < 0) {
		close_fd(&f->data);
		f->data = file_reopen(f->fd, O_RDONLY | O_NONBLOCK);
	}
	return f->data < 0 ? err_errno(e, "%s: open %s", f->what, f->shown_path) : 0;
}

/* The file's owner may hold a lease on it, which makes others wait as long as the host permits. */
static int files_open_leased(const struct jail_file *f, int flags)
{
	int fd = file_reopen(f->fd, flags | O_NONBLOCK);

	for (int tries = 0; fd < 0 && errno == EWOULDBLOCK && tries < LEASE_TRIES; tries++) {
		usleep(LEASE_PAUSE_US);
		fd = file_reopen(f->fd, flags | O_NONBLOCK);
	}
	return fd;
}

/* Otherwise QEMU would block in open() and be reported as not starting. */
static int files_check_lease(const struct jail *j, const struct jail_file *f, struct err *e)
{
	_cleanup_(close_fd) int fd = -1;

	if (!f->write || j->check || j->running)
		return 0;
	fd = files_open_leased(f, O_WRONLY);
	return fd < 0 && errno == EWOULDBLOCK ? lock_leased(f, e) : 0;
}

/* On a network file system, root may be mapped to nobody while the guest's uid has access. */
static int files_open_regular(const struct jail *j, struct jail_file *f, struct err *e)
{
	f->data = files_open_leased(f, O_RDONLY);
	if (f->data < 0 && errno == EACCES) {
		guest_begin(j);
		f->data = files_open_leased(f, O_RDONLY);
		guest_end();
		if (f->data < 0 && errno != EWOULDBLOCK)
			return file_refused(j, f, e);
	}
	if (f->data < 0)
		return errno == EWOULDBLOCK ? lock_leased(f, e)
					    : err_errno(e, "%s: open %s", f->what, f->shown_path);
	return files_check_lease(j, f, e);
}

/* Of the directory itself, not of what its name leads to later. */
static int files_check_mounted(const struct jail_file *f, struct err *e)
{
	_cleanup_(free_ptr) char *quoted = NULL;
	struct statx st;

	if (!f->mounted)
		return 0;
	if (statx(f->dir, "", AT_EMPTY_PATH, STATX_TYPE, &st) < 0)
		return err_errno(e, "%s: stat %s", f->what, f->beneath);
	if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return 0;
	err_set(e, ERR_NOT_FOUND, "%s: its store is missing: is %s mounted?", f->what, f->beneath);
	quoted = text_shell_quote(f->beneath);
	return err_hint(e, "mount %s: its store in vmkeep.conf has RequireMount=yes", quoted);
}

static int files_open_dir(const struct jail *j, struct jail_file *f, struct err *e)
{
	for (const struct jail_file *g = j->file; f->beneath && f->dir < 0 && g < f; g++)
		if (streq(g->beneath, f->beneath))
			f->dir = g->dir;
	if (!f->beneath)
		return 0;
	if (f->dir >= 0)
		return files_check_mounted(f, e);
	f->dir = open(f->beneath, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (f->dir < 0 && errno == ENOENT && path_was_there(f))
		return path_blame(f, ENOENT, e);
	if (f->dir < 0) {
		_cleanup_(free_ptr) char *quoted = text_shell_quote(f->beneath);

		err_errno(e, "%s: open directory %s", f->what, f->beneath);
		return e->number == -ENOENT
			       ? err_hint(e, "mount what belongs there, or make it: mkdir -p %s",
					 quoted)
			       : e->number;
	}
	return files_check_mounted(f, e);
}

int file_open(struct jail *j, struct jail_file *f, struct err *e)
{
	const char *rest = f->beneath ? path_below(f) : f->path;
	uid_t link = PATH_ROOT;
	int r = files_open_dir(j, f, e);

	if (r < 0)
		return r;
	if (!rest)
		return err_set(e, ERR_INVALID_CONFIG, "%s: %s is not in %s", f->what, f->shown_path,
			f->beneath);
	/* outside of the stores only root can configure a path, so LVM and by-id links are
	 * followed */
	f->fd = f->beneath ? path_openat2(f->dir, rest, O_PATH, path_beneath)
			   : path_open_outside(f->path, &link);
	if (f->fd < 0 && errno == ENOENT && (f->copy || (f->create && !path_was_there(f))))
		return 0;
	if (f->fd < 0)
		return path_blame(f, errno, e);
	if (f->copy)
		return copy_exists(f, e);
	if (fstat(f->fd, &f->st) < 0)
		return err_errno(e, "%s: stat %s", f->what, f->shown_path);
	/* a link to a device leads out of the store; a file is opened as any other in a store */
	if (f->volume_of && !f->beneath && !S_ISBLK(f->st.st_mode)) {
		close_fd(&f->fd);
		f->beneath = f->volume_of;
		return file_open(j, f, e);
	}
	r = files_check_links(f, link, e);
	if (r == 0)
		r = files_check_type(f, e);
	if (r == 0) {
		r = files_check_twice(j, f, e);
		j->stays |= r < 0; /* somebody must name another file */
	}
	if (r == 0)
		r = found_refuse(f, e);
	if (r < 0)
		return r;
	return S_ISBLK(f->st.st_mode) ? files_open_device(j, f, e) : files_open_regular(j, f, e);
}

/* Opening it would tell as well, but some devices do something then. Not every container has this
 * part of /sys. */
static bool files_lack_driver(const struct stat *st)
{
	char path[64];

	if (!S_ISCHR(st->st_mode) || access("/sys/dev/char/1:9", F_OK) < 0) /* urandom */
		return false;
	snprintf(path, sizeof path, "/sys/dev/char/%u:%u", major(st->st_rdev), minor(st->st_rdev));
	return access(path, F_OK) < 0;
}

/* Why no guest can open this, which QEMU could only say as an errno; NULL: it may. Others fail only
 * when they are opened, and that is not tried, because a watchdog, for one, would begin to count. */
static const char *files_is_closed(const struct stat *st)
{
	static const struct {
		unsigned major, minor;
		const char *why;
	} closed[] = {
		{ 1, 1, "is the host's memory, which no guest may read" },
		{ 1, 4, "gives access to the host's I/O ports, which no guest has" },
		{ 5, 0, "is the terminal of the process that opens it, and QEMU has none" },
	};

	for (size_t i = 0; S_ISCHR(st->st_mode) && i < ARRAY_SIZE(closed); i++)
		if (st->st_rdev == makedev(closed[i].major, closed[i].minor))
			return closed[i].why;
	return NULL;
}

int nodes_find(struct jail *j, struct err *e)
{
	struct stat st;

	for (size_t i = 0; i < j->n_nodes; i++) {
		struct jail_node *n = &j->node[i];

		if (stat(n->path, &st) < 0) {
			err_set(e, ERR_NO_RESOURCES, "no device %s on this host", n->path);
			if (streq(n->path, "/dev/kvm"))
				return err_hint(e,
					"vmkeep host check shows why; Accel=tcg works without it, slowly");
			return err_hint(e, "load its kernel module");
		}
		if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)) {
			err_set(e, ERR_INVALID_CONFIG, "%s is a %s, not a device", n->path,
				S_ISREG(st.st_mode) ? "file" : files_type_name(st.st_mode));
			return err_hint(e, "name a device, such as /dev/random");
		}
		if (files_is_closed(&st)) {
			err_set(e, ERR_INVALID_CONFIG, "%s %s", n->path, files_is_closed(&st));
			return err_hint(e, "name a device, such as /dev/random");
		}
		if (files_lack_driver(&st)) {
			err_set(e, ERR_NO_RESOURCES, "the kernel has no driver for %s", n->path);
			return err_hint(e, "load its kernel module");
		}
		n->device = st.st_rdev;
		n->type = st.st_mode & S_IFMT;
	}
	return 0;
}
