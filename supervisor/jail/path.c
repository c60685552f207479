/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/path.c - path resolution, and explaining why it failed
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/jail.h"

enum { SHOWN_MAX = 400, LINKS_MAX = 40, RACES_MAX = 1000 };

const uint64_t path_beneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

const char *const jail_format_names[JAIL_FORMATS] = {
	[JAIL_ANY] = "", [JAIL_RAW] = "raw", [JAIL_QCOW2] = "qcow2"
};

/* Prepends a link's target to the rest of the path. Replaces *rest; returns 0 or -1. */
static int path_follow(int link, char **rest, const char *behind)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof target - 1);
	char *whole;

	if (n < 0)
		return -1;
	target[n] = '\0';
	whole = xasprintf("%s%s", target, behind);
	free(*rest);
	*rest = whole;
	return 0;
}

static bool path_is_same(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && file_same(&x, &y);
}

static int path_fail(int *dir, int error)
{
	close_fd(dir);
	errno = error;
	return -1;
}

/* Turns the fd at the end of a path into the kind that flags ask for: only directories can be
 * opened for reading. */
static int path_finish(int *dir, int flags)
{
	struct stat st;
	int fd;

	if (fstat(*dir, &st) < 0)
		return path_fail(dir, errno);
	if ((flags & O_DIRECTORY) && !S_ISDIR(st.st_mode))
		return path_fail(dir, ENOTDIR);
	if (flags & O_PATH)
		return *dir;
	fd = openat(*dir, ".", flags | O_CLOEXEC);
	close_fd(dir);
	return fd;
}

/* Resolves one component. done: the path so far, "" at the start. Beneath a directory, ".." is
 * resolved by walking down again to all but the last component: without links, that leads to the
 * same place. */
static int path_step(int root, int dir, int top, const char *part, uint64_t resolve, char *done)
{
	const bool up = streq(part, "..");
	char *slash;

	if (streq(part, "."))
		return fcntl(dir, F_DUPFD_CLOEXEC, 0);
	if (up && path_is_same(dir, top)) {
		errno = EXDEV;
		return resolve & RESOLVE_BENEATH ? -1 : fcntl(top, F_DUPFD_CLOEXEC, 0);
	}
	if (!(resolve & RESOLVE_BENEATH))
		return openat(dir, part, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (!up) {
		strcat(strcat(done, *done ? "/" : ""), part);
		return openat(dir, part, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	slash = strrchr(done, '/');
	*(slash ? slash : done) = '\0';
	return path_walk(root, *done ? done : ".", O_PATH | O_DIRECTORY, resolve, NULL);
}

static void path_note_owner(uid_t *link, uid_t owner)
{
	if (*link == PATH_ROOT)
		*link = owner;
	else if (owner != PATH_ROOT && owner != *link)
		*link = PATH_SEVERAL;
}

/* Component by component: once a directory is open, only the text of a link leads out of it, so a
 * concurrent rename cannot redirect the walk. */
int path_walk(int root, const char *path, int flags, uint64_t resolve, uid_t *link)
{
	const bool beneath = resolve & RESOLVE_BENEATH, inside = resolve & RESOLVE_IN_ROOT;
	_cleanup_(close_fd) int top = inside || beneath ? openat(root, ".", O_PATH | O_CLOEXEC)
							: open("/", O_PATH | O_CLOEXEC);
	int dir = !inside && !beneath && *path != '/' ? openat(root, ".", O_PATH | O_CLOEXEC)
						      : fcntl(top, F_DUPFD_CLOEXEC, 0);
	_cleanup_(free_ptr) char *rest = xstrdup(path), *done = xcalloc(1, strlen(path) + 2);
	int links = 0;

	if (dir >= 0 && (!*path || (beneath && *path == '/')))
		return path_fail(&dir, *path ? EXDEV : ENOENT);
	for (char *at = rest + strspn(rest, "/"); dir >= 0 && *at; at += strspn(at, "/")) {
		const size_t len = strcspn(at, "/");
		const bool last = !at[len + strspn(at + len, "/")];
		_cleanup_(free_ptr) char *part = xstrndup(at, len);
		_cleanup_(close_fd) int next = -1;
		struct stat st;

		next = path_step(root, dir, top, part, resolve, done);
		if (next < 0 || fstat(next, &st) < 0)
			return path_fail(&dir, errno);
		if (S_ISLNK(st.st_mode) && !(last && !at[len] && flags & O_NOFOLLOW)) {
			if (resolve & RESOLVE_NO_SYMLINKS || ++links > LINKS_MAX)
				return path_fail(&dir, ELOOP);
			if (link)
				path_note_owner(link, st.st_uid);
			if (path_follow(next, &rest, at + len) < 0)
				return path_fail(&dir, errno);
			at = rest;
			if (*rest != '/')
				continue;
			close(dir);
			dir = fcntl(top, F_DUPFD_CLOEXEC, 0);
			continue;
		}
		if (S_ISLNK(st.st_mode) && !(flags & O_PATH))
			return path_fail(&dir, ELOOP);
		if (at[len] && !S_ISDIR(st.st_mode))
			return path_fail(&dir, ENOTDIR);
		close(dir);
		dir = steal_fd(&next);
		at += len;
	}
	return dir < 0 ? -1 : path_finish(&dir, flags);
}

/* A service manager's seccomp filter may make openat2() fail with ENOSYS in all its services, as
 * systemd's RestrictSUIDSGID= does, because a filter cannot look into its argument struct. */
int path_openat2(int dir, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = (unsigned int)(flags | O_CLOEXEC), .resolve = resolve };
	int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);

	/* something on the host was renamed or mounted meanwhile: openat2(2) says to try again */
	for (int tries = 0; fd < 0 && errno == EAGAIN && tries < RACES_MAX; tries++)
		fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
	return fd < 0 && errno == ENOSYS ? path_walk(dir, path, flags, resolve, NULL) : fd;
}

int path_open_outside(const char *path, uid_t *link)
{
	*link = PATH_ROOT;
	return path_walk(AT_FDCWD, path, O_PATH, 0, link);
}

const char *path_below(const struct jail_file *f)
{
	size_t len = strlen(f->beneath);

	if (strncmp(f->path, f->beneath, len) != 0 || f->path[len] != '/')
		return NULL;
	return f->path + len + 1;
}

int path_parent(const struct jail_file *f, const char **name)
{
	const char *rest = path_below(f), *slash = strrchr(rest, '/');
	_cleanup_(free_ptr) char *dir =
		slash ? xstrndup(rest, (size_t)(slash - rest)) : xstrdup(".");

	*name = slash ? slash + 1 : rest;
	return path_openat2(f->dir, dir, O_RDONLY | O_DIRECTORY, path_beneath);
}

/* Opens ever longer prefixes of the path. *bad: the first one that fails, or that is a symbolic
 * link where none are allowed (NULL: all can be opened); *last: the prefix before it. The caller
 * frees both. */
static void path_first_bad(const struct jail_file *f, char **bad, char **last, struct stat *st)
{
	const char *rest = f->beneath ? path_below(f) : f->path + 1;
	int dir = f->beneath ? f->dir : AT_FDCWD;
	int flags = O_PATH | (f->beneath ? O_NOFOLLOW : 0), fd;
	uint64_t resolve = f->beneath ? path_beneath : RESOLVE_NO_MAGICLINKS;

	*bad = NULL;
	*last = xstrndup(f->path, rest == f->path + 1 ? 1 : (size_t)(rest - f->path) - 1);
	if (stat(*last, st) < 0)
		*st = (struct stat){ 0 };
	for (const char *end = rest; *end; end += *end == '/') {
		end += strcspn(end, "/");
		*bad = xstrndup(f->path, (size_t)(end - f->path));
		fd = path_openat2(dir, *bad + (f->beneath ? rest - f->path : 0), flags, resolve);
		if (fd < 0)
			return;
		fstat(fd, st);
		close(fd);
		if (S_ISLNK(st->st_mode))
			return;
		free(*last);
		*last = *bad;
		*bad = NULL;
	}
}

const char *path_shown(const char *path)
{
	static struct arena texts; /* live as long as the process */
	size_t len = strlen(path);
	const char *tail;

	if (len <= SHOWN_MAX)
		return path;
	tail = strchr(path + len - SHOWN_MAX, '/');
	return arena_printf(&texts, "...%s", tail ? tail : path + len - SHOWN_MAX);
}

bool path_was_there(const struct jail_file *f)
{
	return f->created[0] || f->seen[0];
}

/* Never creates an empty image instead: the one to be mounted or restored has the guest's data. */
static int path_blame_gone(const struct jail_file *f, const char *where, struct err *e)
{
	const char *word = f->created[0] ? "created" : "that was there";
	_cleanup_(free_ptr) char *quoted = text_shell_quote(f->shown_path), *base = NULL;
	char size[24];

	err_set(e, ERR_NOT_FOUND, "%s %s on %s is missing: is %s mounted?", f->what, word,
		f->created[0] ? f->created : f->seen, path_shown(where));
	if (!f->create)
		return err_hint(
			e, "mount the file system of %s, or restore the image", f->shown_path);
	if (f->base)
		base = xasprintf(" -b %s -F %s", f->base->path,
			f->base->format == JAIL_ANY ? "FORMAT"
						    : jail_format_names[f->base->format]);
	return err_hint(e,
		"mount the file system of %s, or restore the image; if it is lost for good, "
		"qemu-img create -f %s%s %s %s makes an empty one",
		f->shown_path, jail_format_names[f->format], base ? base : "", quoted,
		text_size_exact(size, sizeof size, (uint64_t)f->create));
}

static int path_blame_missing(
	const struct jail_file *f, const char *bad, const char *last, struct err *e)
{
	bool dir_missing = bad && strcmp(bad, f->path) != 0;

	if (path_was_there(f))
		return path_blame_gone(f, dir_missing ? bad : last, e);
	if (dir_missing) {
		err_set(e, ERR_NOT_FOUND, "%s: %s: directory %s does not exist", f->what,
			f->shown_path, path_shown(bad));
		return err_hint(e, f->create ? "create the directory" : "correct the path");
	}
	err_set(e, ERR_NOT_FOUND, "%s: %s: No such file", f->what, f->shown_path);
	if (f->kind == JAIL_DISK && f->beneath)
		return err_hint(e, "correct Path=, or write Size= to have it created");
	if (f->kind == JAIL_DISK)
		return err_hint(e, "correct Path=, or create it with qemu-img");
	return err_hint(e, "correct the path");
}

int path_blame(const struct jail_file *f, int error, struct err *e)
{
	_cleanup_(free_ptr) char *bad = NULL, *last = NULL, *quoted = NULL;
	struct stat st;

	path_first_bad(f, &bad, &last, &st);
	switch (error) {
	case ENOENT:
		return path_blame_missing(f, bad, last, e);
	case ENOTDIR:
		return err_set(e, ERR_NOT_FOUND, "%s: %s: %s is not a directory", f->what,
			f->shown_path, path_shown(last));
	case EXDEV:
		return err_set(e, ERR_INVALID_CONFIG, "%s: %s leaves %s", f->what, f->shown_path,
			f->beneath);
	case EACCES:
		/* the search of the last directory that was opened failed, not the lookup of the
		 * next name */
		quoted = text_shell_quote(last);
		err_set(e, ERR_PERMISSION,
			"%s: %s: no permission to enter %s (owner uid %u, mode %04o)", f->what,
			f->shown_path, path_shown(last), st.st_uid, st.st_mode & 07777);
		return err_hint(e, "even root is refused, as on network file systems: chmod o+x %s",
			quoted);
	case ELOOP:
		if (!f->beneath || !bad)
			break;
		err_set(e, ERR_INVALID_CONFIG, "%s: %s is a symbolic link inside %s", f->what,
			path_shown(bad), f->beneath);
		return err_hint(
			e, "put the file itself there, or name it by its absolute path, as root");
	default:
		break;
	}
	errno = error;
	return err_errno(e, "%s: %s", f->what, f->shown_path);
}

/* Where a file system lacks RENAME_NOREPLACE, link() does not replace either. */
int path_move_new(int dir, const char *from, const char *to)
{
	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL || linkat(dir, from, dir, to, 0) < 0)
		return -errno;
	return unlinkat(dir, from, 0) < 0 ? -errno : 0;
}
