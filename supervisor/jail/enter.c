/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/enter.c - brings files into the private root of a guest that runs, and takes them
 * out
 *
 * The steps before have opened and checked the files on the host, exactly as at a start. Here the
 * process changes to the guest's mount namespace, whose root QEMU cannot change: it is read-only and
 * belongs to root. Places are made through a second, writable mount of it that only this process
 * has, so QEMU's own view is read-only at all times.
 *
 * Nobody else undoes what this process has done if the daemon dies, so it stays until QEMU has opened
 * the files. If it is killed itself, its locks end with it, and the daemon takes the files out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/jail/jail.h"

/* What comes with the plan. */
enum { ENTER_NAMESPACE, ENTER_PROCESS };

struct enter_root {
	int seen;     /* the guest's root, as QEMU sees it */
	int writable; /* the same file system, without what is mounted in it */
};

/* --- the namespace --- */

/* QEMU's own root: that of its namespace may be another one, if the daemon was in a chroot. -1 and no
 * error: the plan names no process. */
static int enter_find_root(const struct jail *j, struct err *e)
{
	char path[48];
	int root;

	if (!j->qemu || j->n_fds <= ENTER_PROCESS)
		return -1;
	snprintf(path, sizeof path, "/proc/%d/root", j->qemu);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* until here its pid was no other process's */
	if (root < 0 || syscall(SYS_pidfd_send_signal, j->fd[ENTER_PROCESS], 0, NULL, 0) < 0) {
		close_fd(&root);
		err_set(e, ERR_FAILED, "the guest's process is gone");
	}
	return root;
}

/* A mistake here would change the host's own mounts. */
static int enter_namespace(const struct jail *j, struct err *e)
{
	_cleanup_(close_fd) int root = -1;
	struct stat own, its;
	struct statfs fs;

	if (j->n_fds <= ENTER_NAMESPACE)
		return err_set(e, ERR_USAGE, "plan: no mount namespace");
	if (stat("/proc/self/ns/mnt", &own) < 0 || fstat(j->fd[ENTER_NAMESPACE], &its) < 0)
		return err_errno(e, "look at the mount namespace");
	if (file_same(&own, &its))
		return err_set(e, ERR_USAGE, "plan: this is the host's own mount namespace");
	root = enter_find_root(j, e);
	if (e->number)
		return e->number;
	if (setns(j->fd[ENTER_NAMESPACE], CLONE_NEWNS) < 0 ||
		(root >= 0 && (fchdir(root) < 0 || chroot(".") < 0)))
		return err_errno(e, "enter the guest's private root");
	if (statfs("/", &fs) < 0 || fs.f_type != TMPFS_MAGIC || !(fs.f_flags & ST_RDONLY))
		return err_set(e, ERR_USAGE, "plan: this is no guest's mount namespace");
	return 0;
}

static int enter_open(const struct jail *j, struct enter_root *root, struct err *e)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY };

	if (enter_namespace(j, e) < 0)
		return e->number;
	root->seen = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	root->writable = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (root->seen < 0 || root->writable < 0 ||
		mount_setattr(root->writable, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
		return err_errno(e, "open the guest's private root");
	return 0;
}

static void enter_close(struct enter_root *root)
{
	close_fd(&root->seen);
	close_fd(&root->writable);
}

/* --- out --- */

static bool enter_is_mount(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &st) == 0 &&
	       st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

/* The file's place, and the directories that are empty without it. What is in a directory that is
 * mounted itself, such as /usr, has its place there. */
static void enter_remove_place(const struct enter_root *root, const char *path)
{
	_cleanup_(free_ptr) char *rest = xstrdup(path);
	int flags = 0;

	for (char *slash; (slash = strrchr(rest, '/')); flags = AT_REMOVEDIR) {
		_cleanup_(close_fd) int dir = -1;

		*slash = '\0';
		dir = root_open_inside(root->writable, *rest ? rest : "/");
		if (dir < 0 || unlinkat(dir, slash + 1, flags) < 0)
			return;
	}
}

static int enter_take_out(
	const struct enter_root *root, const struct jail_file *f, struct stat *was, struct err *e)
{
	_cleanup_(close_fd) int place = root_open_inside(root->seen, f->path);

	*was = (struct stat){ 0 };
	if (place < 0)
		return errno == ENOENT ? 0 : err_errno(e, "%s: %s inside", f->what, f->shown_path);
	if (fstat(place, was) < 0 || (!S_ISREG(was->st_mode) && !S_ISBLK(was->st_mode)))
		return err_set(e, ERR_FAILED, "%s: %s inside is neither an image nor a device",
			f->what, f->shown_path);
	if (enter_is_mount(place) && umount2(f->path, UMOUNT_NOFOLLOW | MNT_DETACH) < 0)
		return err_errno(e, "%s: unmount %s inside", f->what, f->shown_path);
	enter_remove_place(root, f->path);
	return 0;
}

/* --- in --- */

/* The guest has a file under this name already: that is fine if it is the same one, with the same
 * rights. */
static int enter_find(
	const struct jail *j, const struct jail_file *f, int place, bool *same, struct err *e)
{
	struct statvfs v;
	struct stat st;

	if (fstat(place, &st) < 0 || fstatvfs(place, &v) < 0)
		return err_errno(e, "%s: %s inside", f->what, f->shown_path);
	*same = S_ISBLK(f->st.st_mode) ? S_ISBLK(st.st_mode) && st.st_rdev == f->st.st_rdev
				       : enter_is_mount(place) && file_same(&st, &f->st);
	if (*same && !(f->write && S_ISREG(st.st_mode) && v.f_flag & ST_RDONLY))
		return 0;
	if (!*same && !enter_is_mount(place) && S_ISREG(st.st_mode)) /* on the host's /usr, too */
		return 0;
	err_set(e, ERR_CONFLICT, "%s: the guest still has %s %s", f->what,
		*same ? "for reading only" : "the file that was before at", f->shown_path);
	return f->kind == JAIL_CDROM
		       ? err_hint(e, "vmkeep cd %s eject --id %s first", j->name, f->id)
		       : e->number;
}

static int enter_put(
	const struct jail *j, const struct enter_root *root, struct jail_file *f, struct err *e)
{
	_cleanup_(close_fd) int place = root_open_inside(root->seen, f->path);
	bool same = false;

	if (f->again || (place >= 0 && (enter_find(j, f, place, &same, e) < 0 || same)))
		return e->number;
	f->entered = true;
	if (place < 0 && f->tree >= 0) {
		place = root_open_place(root->writable, f->path, false);
		if (place < 0)
			return err_errno(e, "%s: %s inside", f->what, f->shown_path);
	}
	return root_put_file(j, f->tree >= 0 ? root->seen : root->writable, f, e);
}

static void enter_undo(struct jail *j, const struct enter_root *root)
{
	struct stat was;
	struct err e;

	for (size_t i = j->n_files; i-- > 0;)
		if (j->file[i].entered)
			enter_take_out(root, &j->file[i], &was, &e);
}

static int enter_tell(const struct jail *j)
{
	json_t *locks = json_array();
	int fds[PLAN_FDS_MAX] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < j->n_files && n < PLAN_FDS_MAX; i++)
		if (j->file[i].keep) {
			fds[n++] = j->file[i].data;
			json_array_append_new(locks, json_integer((json_int_t)i));
		}
	return answer_with(j->sock, json_pack("{s:{s:o}}", "entered", "locks", locks), fds, n);
}

static struct enter_root enter_of = { -1, -1 }; /* of the one guest */

int enter_guest(struct jail *j, struct err *e)
{
	int r = enter_open(j, &enter_of, e);

	/* from here on the daemon's end is seen on the socket */
	if (r == 0 && prctl(PR_SET_PDEATHSIG, 0) < 0)
		r = err_errno(e, "reset the parent-death signal");
	for (size_t i = 0; r == 0 && i < j->n_files; i++)
		r = enter_put(j, &enter_of, &j->file[i], e);
	if (r == 0 && enter_tell(j) < 0)
		r = err_set(e, ERR_FAILED, "the daemon is gone");
	if (r < 0)
		enter_undo(j, &enter_of);
	return r;
}

int enter_run(struct jail *j)
{
	char said = '\0';

	while (read(j->sock, &said, 1) < 0 && errno == EINTR)
		;
	if (said == PLAN_ENTER_KEEP)
		return 0;
	/* locks of QEMU's own would show that it has them open */
	enter_undo(j, &enter_of);
	return 0;
}

/* --- leave --- */

/* The locks that came with the start are held by descriptors that QEMU does not know of, see lock.c:
 * they stay, but lock nothing any more. QEMU itself has closed the file. */
static void enter_unlock(const struct jail *j, DIR *fds, const struct stat *file)
{
	const struct flock none = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (!fds || !S_ISREG(file->st_mode))
		return;
	rewinddir(fds);
	for (struct dirent *d; (d = readdir(fds));) {
		_cleanup_(close_fd) int fd = -1;
		struct stat st;

		if (d->d_name[0] == '.' || fstatat(dirfd(fds), d->d_name, &st, 0) < 0 ||
			!file_same(&st, file))
			continue;
		fd = (int)syscall(SYS_pidfd_getfd, j->fd[ENTER_PROCESS], atoi(d->d_name), 0);
		if (fd >= 0 && fstat(fd, &st) == 0 && file_same(&st, file))
			fcntl(fd, F_OFD_SETLK, &none);
	}
}

int leave_guest(struct jail *j, struct err *e)
{
	_cleanup_(close_dir) DIR *fds = NULL;
	char path[48];
	int r;

	snprintf(path, sizeof path, "/proc/%d/fd", j->qemu);
	if (j->qemu && j->n_fds > ENTER_PROCESS)
		fds = opendir(path);
	r = enter_open(j, &enter_of, e);
	for (size_t i = j->n_files; r == 0 && i-- > 0;) {
		struct stat was;

		r = enter_take_out(&enter_of, &j->file[i], &was, e);
		if (r == 0)
			enter_unlock(j, fds, &was);
	}
	enter_close(&enter_of);
	return r;
}

int leave_run(struct jail *j)
{
	return 0;
}
