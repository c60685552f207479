/* SPDX-License-Identifier: MIT */
/* The child's side of replace.h. */
#include "supervisor/core/replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/replace_private.h"

enum {
	INPUT_MAX = 256 << 20,
	FILES_MAX = 256,
	XATTRS_MAX = 4096,
	XATTR_MAX = 65536,
	NEW_MODE = 0644
};

#define TEMPORARY_END ".vmkeep"

struct target {
	const char *path;	/* as the daemon knows it */
	const char *like;	/* of a new file; or NULL */
	const char *old, *text; /* in the input */
	size_t old_len, len;
	char real[PATH_MAX];	/* the file itself */
	char *name, *temporary; /* in its directory; name points into real */
	int dir;
	struct stat st; /* of the old file, or of the one that a new one is like */
	bool is_new, is_gone, written, renamed;
};

/* Whoever can write this decides what the file is; in a sticky directory nobody can rename other
 * users' files. */
static int replace_child_trusts(const struct stat *st, const char *path, bool sticky, struct err *e)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return err_set(e, ERR_PERMISSION, "'%s' belongs to another user", path);
	if (st->st_mode & (S_IWGRP | S_IWOTH) && !(sticky && st->st_mode & S_ISVTX))
		return err_set(e, ERR_PERMISSION, "others may write '%s'", path);
	return 0;
}

/* Checks the directory of the file and, if it was reached through a link, every directory above. */
static int replace_child_walk(struct target *t, bool linked, struct err *e)
{
	size_t len = (size_t)(t->name - t->real) - 1;
	bool above = false;
	int r;

	for (;; above = true) {
		_cleanup_(free_ptr) char *dir = xasprintf("%.*s/", (int)len, t->real);
		struct stat st;

		if (stat(dir, &st) < 0)
			return err_errno(e, "look at '%s'", dir);
		r = replace_child_trusts(&st, dir, above, e);
		if (r < 0 || !linked || !len)
			break;
		while (t->real[--len] != '/')
			;
	}
	return r < 0 && linked ? err_wrap(e, r, "'%s' links to '%s'", t->path, t->real) : r;
}

/* The directory of a file that is new or removed, and its name. */
static int replace_child_place(struct target *t, struct err *e)
{
	const char *name = strrchr(t->path, '/');
	_cleanup_(free_ptr) char *dir =
		name ? xasprintf("%.*s/", (int)(name - t->path), t->path) : NULL;
	size_t len;

	if (!dir || !realpath(dir, t->real))
		return err_errno(e, "open the directory of '%s'", t->path);
	len = streq(t->real, "/") ? 0 : strlen(t->real);
	if (len + strlen(name) >= sizeof t->real)
		return err_set(e, ERR_FAILED, "'%s' is too long", t->path);
	strcpy(t->real + len, name);
	return 0;
}

static int replace_child_find(struct target *t, struct err *e)
{
	struct stat st = { 0 };
	int r;

	if (t->is_new || t->is_gone) {
		if (replace_child_place(t, e) < 0)
			return e->number;
	} else if (lstat(t->path, &st) < 0 || !realpath(t->path, t->real)) {
		return errno == ENOENT ? err_set(e, ERR_CONFLICT, "'%s' is gone", t->path)
				       : err_errno(e, "open '%s'", t->path);
	}
	t->name = strrchr(t->real, '/') + 1;
	r = replace_child_walk(t, S_ISLNK(st.st_mode), e);
	if (r < 0)
		return r;
	t->temporary = xasprintf(REPLACE_TEMPORARY "%s" TEMPORARY_END, t->name);
	t->name[-1] = '\0';
	t->dir = open(*t->real ? t->real : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->name[-1] = '/';
	return t->dir < 0 ? err_errno(e, "open the directory of '%s'", t->real) : 0;
}

/* The old file must still be the text that the daemon read. */
static int replace_child_compare(struct target *t, int *fd, struct err *e)
{
	struct buf now = BUF_INIT;
	ssize_t n;

	*fd = openat(t->dir, t->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0 && errno == ELOOP)
		return err_set(e, ERR_CONFLICT, "'%s' is a symbolic link", t->path);
	if (*fd < 0 || fstat(*fd, &t->st) < 0)
		return err_errno(e, "open '%s'", t->path);
	if (!S_ISREG(t->st.st_mode))
		return err_set(e, ERR_FAILED, "'%s' is not a regular file", t->path);
	if (replace_child_trusts(&t->st, t->path, false, e) < 0)
		return e->number;
	if (t->st.st_nlink > 1)
		return err_set(e, ERR_CONFLICT,
			"'%s' has another name, a hard link, which would keep the old text",
			t->path);
	do {
		n = read(*fd, buf_reserve(&now, 65536), 65536);
		buf_commit(&now, n > 0 ? (size_t)n : 0);
	} while (n > 0 && now.len <= t->old_len);
	if (n < 0)
		err_errno(e, "read '%s'", t->path);
	else if (now.len != t->old_len || memcmp(now.data ? now.data : "", t->old, now.len) != 0)
		err_set(e, ERR_CONFLICT, "'%s' was changed in the meantime", t->path);
	buf_release(&now);
	return e->number;
}

/* Copies access lists, security labels and so on, except what the file system does not support. */
static int replace_child_copy_attributes(int from, int to, const char *path, struct err *e)
{
	char names[XATTRS_MAX];
	ssize_t len = flistxattr(from, names, sizeof names);
	_cleanup_(free_ptr) char *value = len > 0 ? xcalloc(1, XATTR_MAX) : NULL;

	for (const char *name = names; len > 0 && name < names + len; name += strlen(name) + 1) {
		ssize_t n = fgetxattr(from, name, value, XATTR_MAX);

		if (n >= 0 && fsetxattr(to, name, value, (size_t)n, 0) < 0 && errno != ENOTSUP)
			return err_errno(e, "keep the attribute %s of '%s'", name, path);
	}
	return 0;
}

static int replace_child_open_like(struct target *t, int *fd, struct err *e)
{
	*fd = open(t->like, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0 && errno == ELOOP)
		return err_set(e, ERR_CONFLICT, "'%s' is a symbolic link", t->like);
	return *fd < 0 || fstat(*fd, &t->st) < 0 ? err_errno(e, "open '%s'", t->like) : 0;
}

/* Owner, mode and attributes of the old file. */
static int replace_child_dress(const struct target *t, int old, int fd, struct err *e)
{
	if (old < 0)
		return fchmod(fd, NEW_MODE) < 0 ? err_errno(e, "write '%s'", t->path) : 0;
	if (fchown(fd, t->st.st_uid, t->st.st_gid) < 0 || fchmod(fd, t->st.st_mode & 07777) < 0)
		return err_errno(e, "write '%s' with the same owner", t->path);
	return replace_child_copy_attributes(old, fd, t->path, e);
}

static int replace_child_write(struct target *t, struct err *e)
{
	_cleanup_(close_fd) int old = -1, fd = -1;
	int r = t->like	    ? replace_child_open_like(t, &old, e)
		: t->is_new ? 0
			    : replace_child_compare(t, &old, e);

	if (r < 0 || t->is_gone)
		return r;
	unlinkat(t->dir, t->temporary, 0);
	fd = openat(
		t->dir, t->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, "write '%s'", t->path);
	t->written = true;
	r = file_write_all(fd, t->text, t->len);
	if (r < 0) {
		errno = -r;
		return err_errno(e, "write '%s'", t->path);
	}
	r = replace_child_dress(t, old, fd, e);
	if (r == 0 && fsync(fd) < 0)
		r = err_errno(e, "write '%s'", t->path);
	return r;
}

/* Removes temporary files left by a child that was killed. Nothing else uses such names. */
static void replace_child_sweep(int dir)
{
	_cleanup_(close_dir) DIR *d = file_open_dir(dir, ".", 0);

	for (const struct dirent *entry; d && (entry = readdir(d));) {
		const char *name = entry->d_name;
		size_t len = strlen(name), end = strlen(TEMPORARY_END);

		if (strncmp(name, REPLACE_TEMPORARY, strlen(REPLACE_TEMPORARY)) == 0 && len > end &&
			streq(name + len - end, TEMPORARY_END))
			unlinkat(dir, name, 0);
	}
}

static int replace_child_place_new(const struct target *t, struct err *e)
{
	if (renameat2(t->dir, t->temporary, t->dir, t->name, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EEXIST ? err_set(e, ERR_CONFLICT, "'%s' is there already", t->path)
			       : err_errno(e, "write '%s'", t->path);
}

/* Renames, unless the old file was replaced while the new one was written. */
static int replace_child_rename(struct target *t, struct err *e)
{
	struct stat now;

	if (t->is_new) {
		if (replace_child_place_new(t, e) < 0)
			return e->number;
	} else if (fstatat(t->dir, t->name, &now, AT_SYMLINK_NOFOLLOW) < 0 ||
		   !file_same(&now, &t->st) || now.st_size != t->st.st_size ||
		   now.st_mtim.tv_sec != t->st.st_mtim.tv_sec ||
		   now.st_mtim.tv_nsec != t->st.st_mtim.tv_nsec) {
		return err_set(e, ERR_CONFLICT, "'%s' was changed in the meantime", t->path);
	} else if (t->is_gone) {
		if (unlinkat(t->dir, t->name, 0) < 0)
			return err_errno(e, "remove '%s'", t->path);
	} else if (renameat(t->dir, t->temporary, t->dir, t->name) < 0) {
		return err_errno(e, "write '%s'", t->path);
	}
	t->renamed = true;
	return fsync(t->dir) < 0 ? err_errno(e, "sync the directory of '%s'", t->path) : 0;
}

static int replace_child_all(struct target *t, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = replace_child_find(&t[i], e);
	for (size_t i = 0; r == 0 && i < n; i++)
		replace_child_sweep(t[i].dir);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = replace_child_write(&t[i], e);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = replace_child_rename(&t[i], e);
	for (size_t i = 0; r < 0 && i < n; i++) {
		if (t[i].written && !t[i].renamed)
			unlinkat(t[i].dir, t[i].temporary, 0);
		if (t[i].renamed && n > 1)
			err_wrap(e, r, "'%s' was %s, then", t[i].path,
				t[i].is_gone ? "removed" : "written");
	}
	for (size_t i = 0; i < n; i++) {
		close_fd(&t[i].dir);
		free(t[i].temporary);
	}
	return r;
}

static int replace_child_read(struct buf *b, size_t len, struct err *e)
{
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf_reserve(b, 65536), 65536)) > 0)
		buf_commit(b, (size_t)n);
	if (n < 0)
		return err_errno(e, "read");
	/* EOF alone does not tell whether the daemon died before it sent everything */
	return b->len == len ? 0 : err_set(e, ERR_FAILED, "the text is incomplete");
}

/* Returns the end of the last line before the lengths. */
static char *replace_child_parse_like(struct target *t, char *nl, const char *end)
{
	char *next = nl + 1 < end && nl[1] == *REPLACE_LIKE
			     ? memchr(nl + 1, '\n', (size_t)(end - nl - 1))
			     : NULL;

	if (!next)
		return nl;
	t->like = nl + 2;
	*next = '\0';
	return next;
}

/* For each file: its path, the lengths of the old and the new text, and both texts. */
static int replace_child_parse(struct buf *b, struct target *t, size_t n, struct err *e)
{
	char *p = b->data, *end = b->data + b->len;

	for (size_t i = 0; i < n; i++) {
		char *nl = memchr(p, '\n', (size_t)(end - p)), *after = NULL;

		t[i].dir = -1;
		if (nl) {
			*nl = '\0';
			t[i].path = p;
			nl = replace_child_parse_like(&t[i], nl, end);
		}
		if (nl) {
			t[i].is_new = nl[1] == *REPLACE_NEW;
			t[i].is_gone = nl[1] == *REPLACE_GONE;
			nl += t[i].is_gone; /* a "-" would be a sign */
			t[i].old_len = strtoull(nl + 1, &after, 10);
			t[i].len = strtoull(after, &after, 10);
		}
		if (!after || *after != '\n' || t[i].old_len > INPUT_MAX || t[i].len > INPUT_MAX ||
			t[i].old_len + t[i].len > (size_t)(end - after - 1))
			return err_set(e, ERR_FAILED, "the text is malformed");
		t[i].old = after + 1;
		t[i].text = t[i].old + t[i].old_len;
		p = after + 1 + t[i].old_len + t[i].len;
	}
	return 0;
}

int replace_main(const char *count, const char *len)
{
	struct buf input = BUF_MAX(INPUT_MAX);
	struct target *t = NULL;
	struct err e = ERR_INIT;
	uint64_t n, bytes;
	int r;

	if (text_parse_uint(count, 1, FILES_MAX, &n) < 0 ||
		text_parse_uint(len, 1, INPUT_MAX, &bytes) < 0)
		return REPLACE_FAILED;
	t = xcalloc((size_t)n, sizeof *t);
	r = replace_child_read(&input, (size_t)bytes, &e);
	if (r == 0)
		r = replace_child_parse(&input, t, (size_t)n, &e);
	if (r == 0)
		r = replace_child_all(t, (size_t)n, &e);
	free(t);
	buf_release(&input);
	if (r == 0)
		return 0;
	fprintf(stderr, "%s\n", e.text);
	return REPLACE_FAILED + (int)e.class;
}
