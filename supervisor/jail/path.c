/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/path.c - names of files: how they are resolved, and why that failed
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/jail.h"

enum { SHOWN_MAX = 400, LINKS_MAX = 40 };

const uint64_t path_beneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

int path_openat2(int dir, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = (unsigned int)(flags | O_CLOEXEC), .resolve = resolve };

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

/* Goes on with where a link leads: its text, then what came behind it in *rest. The new *rest or -1. */
static int follow(int link, char **rest, const char *behind)
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

static void note_owner(uid_t *link, uid_t owner)
{
	if (*link == PATH_ROOT)
		*link = owner;
	else if (owner != PATH_ROOT && owner != *link)
		*link = PATH_SEVERAL;
}

int path_open_outside(const char *path, uid_t *link)
{
	_cleanup_(free_ptr) char *rest = xstrdup(path);
	int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), links = 0;

	*link = PATH_ROOT;
	for (char *at = rest + strspn(rest, "/"); dir >= 0 && *at;) {
		size_t len = strcspn(at, "/");
		_cleanup_(free_ptr) char *part = xstrndup(at, len);
		int next = openat(dir, part, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		bool is_link = false;
		struct stat st;

		if (next >= 0 && fstat(next, &st) == 0)
			is_link = S_ISLNK(st.st_mode);
		if (is_link) {
			note_owner(link, st.st_uid);
			if (++links > LINKS_MAX)
				errno = ELOOP;
			if (links > LINKS_MAX || follow(next, &rest, at + len) < 0)
				close_fd(&dir);
			close(next);
			if (dir >= 0 && rest[0] == '/') {
				close(dir);
				dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
			}
			at = rest;
		} else {
			close(dir);
			dir = next;
			at += len;
		}
		at += strspn(at, "/");
	}
	return dir;
}

const char *path_in_image_dir(const struct jail *j, const struct jail_file *f)
{
	size_t len = j->image_dir ? strlen(j->image_dir) : 0;

	if (len == 0 || strncmp(f->path, j->image_dir, len) != 0 || f->path[len] != '/')
		return NULL;
	return f->path + len + 1;
}

int path_parent(const struct jail *j, const struct jail_file *f, const char **name)
{
	const char *rest = path_in_image_dir(j, f), *slash = strrchr(rest, '/');
	_cleanup_(free_ptr) char *dir =
		slash ? xstrndup(rest, (size_t)(slash - rest)) : xstrdup(".");

	*name = slash ? slash + 1 : rest;
	return path_openat2(j->image_dir_fd, dir, O_RDONLY | O_DIRECTORY, path_beneath);
}

/* Opens ever longer beginnings of the path; the first that fails, or is a symbolic link where none
 * may be, is *bad (NULL: all can be opened), and *last is what held it. Both are the caller's. */
static void first_bad(
	const struct jail *j, const struct jail_file *f, char **bad, char **last, struct stat *st)
{
	const char *rest = f->beneath ? path_in_image_dir(j, f) : f->path + 1;
	int dir = f->beneath ? j->image_dir_fd : AT_FDCWD;
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
	static struct arena texts; /* they live as long as the program */
	size_t len = strlen(path);
	const char *tail;

	if (len <= SHOWN_MAX)
		return path;
	tail = strchr(path + len - SHOWN_MAX, '/');
	return arena_printf(&texts, "...%s", tail ? tail : path + len - SHOWN_MAX);
}

static int blame_missing(
	const struct jail_file *f, const char *bad, const char *last, struct err *e)
{
	bool dir_missing = bad && strcmp(bad, f->path) != 0;

	if (f->created[0]) {
		err_set(e, ERR_NOT_FOUND, "%s created on %s is missing: is %s mounted?", f->what,
			f->created, path_shown(dir_missing ? bad : last));
		return err_hint(e, "mount what holds %s, or put the image back", f->shown_path);
	}
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

int path_blame(const struct jail *j, const struct jail_file *f, int error, struct err *e)
{
	_cleanup_(free_ptr) char *bad = NULL, *last = NULL, *quoted = NULL;
	struct stat st;

	first_bad(j, f, &bad, &last, &st);
	switch (error) {
	case ENOENT:
		return blame_missing(f, bad, last, e);
	case ENOTDIR:
		return err_set(e, ERR_NOT_FOUND, "%s: %s: %s is not a directory", f->what,
			f->shown_path, path_shown(last));
	case EXDEV:
		return err_set(e, ERR_INVALID_CONFIG, "%s: %s leaves the image directory", f->what,
			f->shown_path);
	case EACCES:
		/* it is the search of what was passed last that failed, not the name behind it */
		quoted = text_shell_quote(last);
		err_set(e, ERR_PERMISSION,
			"%s: %s: no permission to enter %s (owner uid %u, mode %04o)", f->what,
			f->shown_path, path_shown(last), st.st_uid, st.st_mode & 07777);
		return err_hint(e,
			"root itself is refused, as on network file systems: chmod o+x %s", quoted);
	case ELOOP:
		if (!f->beneath || !bad)
			break;
		err_set(e, ERR_INVALID_CONFIG,
			"%s: %s is a symbolic link inside the image directory", f->what,
			path_shown(bad));
		return err_hint(
			e, "put the file itself there, or let root name it by its absolute path");
	default:
		break;
	}
	errno = error;
	return err_errno(e, "%s: %s", f->what, f->shown_path);
}
