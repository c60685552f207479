/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/idmap.c - each file as a detached mount that the guest's uid can use
 *
 * Nothing is chowned. If the guest's uid already has the access it needs, the file is mounted
 * plainly; else through an id-mapped mount, on which the file's owner becomes the guest's uid and
 * no other id is mapped. If the file system does not support that, the operator gets the command
 * that grants the guest access. Outside the jail, the file's owner and mode do not change.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/jail.h"

void guest_begin(const struct jail *j)
{
	setfsgid(j->uid);
	/* changing it from 0 also drops the capabilities that bypass file permissions */
	setfsuid(j->uid);
}

void guest_end(void)
{
	setfsuid(0);
	setfsgid(0);
}

/* Asks the file system, which knows about ACLs and servers, instead of judging by the mode. */
static bool idmap_guest_may(const struct jail *j, const struct jail_file *f, int fd)
{
	bool may;

	guest_begin(j);
	may = faccessat(fd, "", f->write ? R_OK | W_OK : R_OK, AT_EMPTY_PATH | AT_EACCESS) == 0;
	guest_end();
	return may;
}

static bool idmap_is_read_only(const struct jail_file *f)
{
	struct statvfs v;

	return f->write && f->fd >= 0 && fstatvfs(f->fd, &v) == 0 && v.f_flag & ST_RDONLY;
}

int file_refused(const struct jail *j, const struct jail_file *f, struct err *e)
{
	_cleanup_(free_ptr) char *quoted = text_shell_quote(f->path);
	const char *rights = f->write ? "rw" : "r";

	if (idmap_is_read_only(f)) {
		err_set(e, ERR_PERMISSION, "%s: %s is on a file system that is mounted read-only",
			f->what, f->shown_path);
		return err_hint(e,
			"findmnt -T %s shows which; remount it for writing, or write ReadOnly=yes",
			quoted);
	}
	err_set(e, ERR_PERMISSION, "%s: the VM's uid %u may not %s %s (owner uid %u, mode %04o)",
		f->what, j->uid, f->write ? "write" : "read", f->shown_path, f->st.st_uid,
		f->st.st_mode & 07777);
	if (f->data >= 0 && (f->st.st_mode >> 6 & (f->write ? 06 : 04)) != (f->write ? 06 : 04))
		return err_hint(e, "its owner may not either: chmod u+%s %s", rights, quoted);
	return err_hint(e, "setfacl -m u:%u:%s %s", j->uid, rights, quoted);
}

static int idmap_write_map(pid_t pid, const char *map, unsigned int inside, unsigned int outside)
{
	_cleanup_(close_fd) int fd = -1;
	char path[48];

	snprintf(path, sizeof path, "/proc/%d/%s", pid, map);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && dprintf(fd, "%u %u 1\n", inside, outside) > 0 ? 0 : -errno;
}

/*
 * Child: the kernel creates no user namespace for a process whose root is not the root of its mount
 * namespace (user_namespaces(7): EPERM in a chroot), and people install from within a chroot:
 * re-entering its own mount namespace gives the process the right root. Sends 0 or an errno, then
 * waits.
 */
_Noreturn static void live_in_namespace(int parent)
{
	int mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int number = 0;

	if (mounts < 0 || setns(mounts, CLONE_NEWNS) < 0 || unshare(CLONE_NEWUSER) < 0)
		number = errno;
	if (write(parent, &number, sizeof number) != sizeof number)
		_exit(1);
	_exit(read(parent, &number, 1) == 0 ? 0 : 1);
}

/* A user namespace needs a process in it: a child stays in it until its fd is open. The child exits
 * when our end of the socketpair closes, so also if we are killed. */
static int idmap_user_namespace(const struct stat *owner, uid_t uid)
{
	int pair[2], number, r = 0;
	char path[32];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		live_in_namespace(pair[1]);
	}
	r = pid < 0 ? -errno : 0;
	close(pair[1]);
	if (r == 0)
		r = read(pair[0], &number, sizeof number) == sizeof number ? -number : -EIO;
	if (r == 0)
		r = idmap_write_map(pid, "uid_map", owner->st_uid, uid);
	if (r == 0)
		r = idmap_write_map(pid, "gid_map", owner->st_gid, uid);
	if (r == 0) {
		snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
		r = open(path, O_RDONLY | O_CLOEXEC);
		if (r < 0)
			r = -errno;
	}
	close(pair[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return r;
}

/* One namespace serves all files of one owner; a VM's files have few owners, so caching the last is
 * enough. */
static int idmap_map_owner(const struct jail *j, const struct jail_file *f, struct mount_attr *attr)
{
	static int last = -1;
	static uid_t uid;
	static gid_t gid;

	if (last < 0 || uid != f->st.st_uid || gid != f->st.st_gid) {
		close_fd(&last);
		last = idmap_user_namespace(&f->st, j->uid);
		uid = f->st.st_uid;
		gid = f->st.st_gid;
	}
	attr->attr_set |= MOUNT_ATTR_IDMAP;
	attr->userns_fd = (unsigned int)last;
	return last < 0 ? last : 0;
}

/* NFS, FUSE and others, and tmpfs before Linux 6.3 */
static int idmap_unsupported(const struct jail *j, const struct jail_file *f, struct err *e)
{
	struct utsname kernel;
	size_t len;

	file_refused(j, f, e);
	uname(&kernel);
	len = strlen(e->text);
	snprintf(e->text + len, sizeof e->text - len,
		", and on its file system Linux %s has no id-mapped mounts, which would let it",
		kernel.release);
	return e->number;
}

int mount_prepare(struct jail *j, struct jail_file *f, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					       MOUNT_ATTR_NOEXEC };
	bool plain;

	if (!S_ISREG(f->st.st_mode) || f->again)
		return 0;
	plain = idmap_guest_may(j, f, f->fd);
	f->tree = open_tree(f->fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (f->tree < 0)
		return err_errno(e, "%s: mount %s", f->what, f->shown_path);
	if (!f->write)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (!plain && idmap_map_owner(j, f, &attr) < 0)
		return err_errno(
			e, "%s: user namespace for the owner of %s", f->what, f->shown_path);
	if (mount_setattr(f->tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0) {
		if (plain || (errno != EINVAL && errno != EPERM))
			return err_errno(e, "%s: mount %s", f->what, f->shown_path);
		return idmap_unsupported(j, f, e);
	}
	return idmap_guest_may(j, f, f->tree) ? 0 : file_refused(j, f, e);
}
