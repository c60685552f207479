/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/root.c - namespaces, and a private root with only what is needed
 *
 * Visible inside: /usr, the linker's cache and QEMU's saved modules, read-only; the device nodes
 * listed here and in the plan; the plan's files and paths that exist on the host, writable only if
 * the plan says so. No /proc, no /sys (but for the program of a store), no /tmp. No pid namespace (thread ids would differ from
 * those outside) and no user namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

enum { READ_ONLY = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };

/* Copied from the host as they are: with a merged /usr, these are links into it. */
const char *const root_system_paths[] = { "/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin",
	"/sbin", "/etc/ld.so.cache", NULL };

/* Where packages save the modules of a QEMU that an upgrade replaces under running guests (the
 * upgrade creates that directory), and the path under which QEMU looks for them. */
static const char kept_modules[] = "/run/qemu", modules_place[] = "/var/run/qemu";

static const struct {
	const char *path;
	unsigned int major, minor;
	mode_t mode;
} devices[] = {
	/* clang-format off */
	{ "/dev/null",    1, 3, 0666 },
	{ "/dev/urandom", 1, 9, 0444 },
	/* clang-format on */
};

int namespaces_enter(struct jail *j, struct err *e)
{
	const int others =
		(j->role->host_network ? 0 : CLONE_NEWNET) | (j->role->volumes ? 0 : CLONE_NEWIPC);

	if (unshare(CLONE_NEWNS | CLONE_NEWUTS | others) < 0)
		return err_errno(e, "create namespaces");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(e, "make the mounts private");
	if (sethostname(j->name, strlen(j->name)) < 0)
		return err_errno(e, "set the host name");
	return 0;
}

/* Resolves every path as if the new root were already the root. */
int root_open_inside(int root, const char *path)
{
	return path_openat2(root, path, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/* Opens the parent directory of path, creating missing parts; name points into path. */
static int root_open_parent(int root, const char *path, const char **name)
{
	int dir = root_open_inside(root, "/"), next;

	*name = path + 1;
	for (const char *slash; dir >= 0 && (slash = strchr(*name, '/'));
		dir = next, *name = slash + 1) {
		_cleanup_(free_ptr) char *part = xstrndup(*name, (size_t)(slash - *name));
		_cleanup_(free_ptr) char *whole = xstrndup(path, (size_t)(slash - path));

		next = root_open_inside(root, whole);
		if (next < 0 && errno == ENOENT && mkdirat(dir, part, 0755) == 0)
			next = root_open_inside(root, whole);
		close(dir);
	}
	return dir;
}

int root_open_place(int root, const char *path, bool is_dir)
{
	int place = root_open_inside(root, path);
	const char *name;

	if (place < 0 && errno == ENOENT) {
		_cleanup_(close_fd) int dir = root_open_parent(root, path, &name);

		if (dir < 0 ||
			(is_dir ? mkdirat(dir, name, 0755) : mknodat(dir, name, S_IFREG, 0)) < 0)
			return -1;
		place = root_open_inside(root, path);
	}
	return place;
}

static int root_put_tree(int root, int tree, const char *path, bool is_dir, struct err *e)
{
	_cleanup_(close_fd) int place = root_open_place(root, path, is_dir);

	if (place < 0 || move_mount(tree, "", place, "",
				 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_errno(e, "show %s in the private root", path);
	return 0;
}

static int root_put_node(
	int root, const char *path, mode_t mode, dev_t device, uid_t owner, struct err *e)
{
	const char *name;
	_cleanup_(close_fd) int dir = root_open_parent(root, path, &name);

	if (dir < 0 || mknodat(dir, name, mode, device) < 0 ||
		fchownat(dir, name, owner, owner, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "create device node %s in the private root", path);
	return 0;
}

/* Copies a link or mounts the host's path read-only; as: its path inside. */
static int root_put_system_path(int root, const char *path, const char *as, struct err *e)
{
	struct mount_attr attr = { .attr_set = READ_ONLY };
	_cleanup_(close_fd) int tree = -1;
	char target[256];
	struct stat st;
	ssize_t n;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "look at %s", path);
	if (S_ISLNK(st.st_mode)) {
		n = readlink(path, target, sizeof target - 1);
		target[n > 0 ? n : 0] = '\0';
		return symlinkat(target, root, as + 1) < 0
			       ? err_errno(e, "create %s in the private root", path)
			       : 0;
	}
	tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0 ||
		mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0)
		return err_errno(e, "mount %s read-only", path);
	return root_put_tree(root, tree, as, S_ISDIR(st.st_mode), e);
}

int root_put_file(const struct jail *j, int root, const struct jail_file *f, struct err *e)
{
	mode_t mode = S_IFBLK | (f->write ? 0600 : 0400);
	int r = 0;

	if (f->tree >= 0)
		r = root_put_tree(root, f->tree, f->path, false, e);
	else if (!f->again)
		r = root_put_node(root, f->path, mode, f->st.st_rdev, j->uid, e);
	return r < 0 ? err_wrap(e, r, "%s", f->what) : 0;
}

int paths_open(struct jail *j, struct err *e)
{
	for (size_t i = 0; i < j->n_paths; i++) {
		struct jail_path *p = &j->path[i];
		const unsigned int inert =
			j->role->volumes ? 0 : MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
		struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | inert |
						       (p->write ? 0 : MOUNT_ATTR_RDONLY) };
		struct stat st;

		p->tree = open_tree(AT_FDCWD, p->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (p->tree < 0 && errno == ENOENT && p->optional)
			continue;
		if (p->tree < 0 || fstat(p->tree, &st) < 0 ||
			mount_setattr(p->tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
			return err_errno(e, "mount %s", p->path);
		p->is_dir = S_ISDIR(st.st_mode);
	}
	return 0;
}

int root_build(struct jail *j, struct err *e)
{
	_cleanup_(close_fd) int root = -1;
	int r = 0;

	/* without nodev, because a block device may be configured outside /dev; nobody inside can
	 * create a node */
	if (mount("vmkeep", j->root, "tmpfs", MS_NOSUID | MS_NOEXEC, "size=1m,mode=755") < 0)
		return err_errno(e, "mount a private root on %s", j->root);
	root = open(j->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || fchdir(root) < 0)
		return err_errno(e, "enter %s", j->root);
	for (const char *const *p = root_system_paths; r == 0 && !j->role->bare && *p; p++)
		r = root_put_system_path(root, *p, *p, e);
	if (r == 0 && j->modules)
		r = root_put_system_path(root, kept_modules, modules_place, e);
	for (size_t i = 0; r == 0 && !j->role->bare && i < ARRAY_SIZE(devices); i++)
		r = root_put_node(root, devices[i].path, S_IFCHR | devices[i].mode,
			makedev(devices[i].major, devices[i].minor), 0, e);
	for (size_t i = 0; r == 0 && i < j->n_nodes; i++)
		r = root_put_node(root, j->node[i].path, j->node[i].type | 0600, j->node[i].device,
			j->uid, e);
	for (size_t i = 0; r == 0 && i < j->n_paths; i++)
		if (j->path[i].tree >= 0)
			r = root_put_tree(
				root, j->path[i].tree, j->path[i].path, j->path[i].is_dir, e);
	for (size_t i = 0; r == 0 && i < j->n_files; i++)
		r = root_put_file(j, root, &j->file[i], e);
	return r;
}

int root_enter(struct jail *j, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	/* with the same directory for both, the old root ends up mounted over the new one, to be
	 * unmounted at once */
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_errno(e, "change to the private root");
	if (mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof attr) < 0)
		return err_errno(e, "make the private root read-only");
	return 0;
}
