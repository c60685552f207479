/* SPDX-License-Identifier: MIT */
/* In the child that trash.h names: who else needs the images. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/make/asked.h"
#include "supervisor/make/trash_private.h"

enum {
	DEPTH_MAX = 16,
	FILES_MAX = 1000000,
	HEAD = 20, /* of a qcow2 image, up to the length of the backing file's name */
	BACKING_MAX = 1023
};

void trash_keep(struct trash_image *m, const char *fmt, ...)
{
	char *why = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (!m->why && vasprintf(&why, fmt, ap) < 0)
		abort();
	va_end(ap);
	if (why)
		m->why = why;
	close_fd(&m->dir);
}

static struct trash_image *trash_find(struct trash *t, const struct stat *st)
{
	for (size_t i = 0; i < t->images; i++)
		if (!t->image[i].why && file_same(&t->image[i].st, st))
			return &t->image[i];
	return NULL;
}

static int trash_check_others(struct trash *t, struct err *e)
{
	size_t i;
	json_t *one;

	json_array_foreach (json_object_get(t->doc, "others"), i, one) {
		const char *path = asked_text(one, "path"), *of = asked_text(one, "of");
		struct trash_image *m;
		struct stat st;

		if (stat(path, &st) == 0) {
			m = trash_find(t, &st);
			if (m)
				trash_keep(m, "%s uses it", of);
		} else if (errno != ENOENT && errno != ENOTDIR) {
			return err_errno(e, "look at '%s' of %s", path, of);
		}
	}
	return 0;
}

/* The name of the backing file that a header states; false: none. A name that is too long for QEMU
 * is one that it does not open. */
static bool trash_backing(int fd, char name[BACKING_MAX + 1])
{
	uint8_t head[HEAD];
	uint64_t at, len;

	if (pread(fd, head, sizeof head, 0) != sizeof head || memcmp(head, "QFI\xfb", 4) != 0)
		return false;
	at = file_be(head + 8, 8);
	len = file_be(head + 16, 4);
	if (!at || at > INT64_MAX || !len || len > BACKING_MAX ||
		pread(fd, name, len, (off_t)at) != (ssize_t)len)
		return false;
	name[len] = '\0';
	return true;
}

/* By the last part of the name alone: what leads there, links or mounts, is not looked at. In JSON
 * it can be anywhere. */
static bool trash_is_named(const struct trash_image *m, const char *backing)
{
	const char *own = strrchr(m->path, '/') + 1, *slash = strrchr(backing, '/'),
		   *base = slash ? slash + 1 : backing;

	if (strncmp(backing, "json:", 5) == 0)
		return strstr(backing, own) != NULL;
	if (!slash && strncmp(base, "file:", 5) == 0)
		base += 5;
	return streq(base, own);
}

static int trash_search_file(
	struct trash *t, int dir, const char *name, const char *path, struct err *e)
{
	_cleanup_(close_fd) int fd =
		openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char backing[BACKING_MAX + 1];

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "open '%s/%s'", path, name);
	if (!trash_backing(fd, backing))
		return 0;
	for (size_t i = 0; i < t->images; i++)
		if (!t->image[i].why && trash_is_named(&t->image[i], backing))
			trash_keep(&t->image[i], "'%s/%s' is based on it", path, name);
	return 0;
}

/* A link in a store may be what an overlay or a file outside knows the image by. */
static void trash_search_link(struct trash *t, int dir, const char *name, const char *path)
{
	struct trash_image *m;
	struct stat st;

	if (fstatat(dir, name, &st, 0) == 0 && (m = trash_find(t, &st)))
		trash_keep(m, "the link '%s/%s' leads to it", path, name);
}

/* Down to DEPTH_MAX. */
static int trash_search_dir(
	struct trash *t, int dir, const char *path, unsigned depth, struct err *e)
{
	_cleanup_(close_dir) DIR *d = file_open_dir(dir, ".", 0);
	const struct dirent *entry;
	struct stat st;

	if (!d)
		return err_errno(e, "search '%s' for overlays", path);
	for (errno = 0; (entry = readdir(d)); errno = 0) {
		const char *name = entry->d_name;
		_cleanup_(close_fd) int sub = -1;
		_cleanup_(free_ptr) char *below = NULL;

		if (streq(name, ".") || streq(name, "..") || streq(name, TRASH_DIR))
			continue;
		if (++t->files > FILES_MAX)
			return err_set(
				e, ERR_FAILED, "search '%s' for overlays: too many files", path);
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)
				continue;
			return err_errno(e, "look at '%s/%s'", path, name);
		}
		if (S_ISLNK(st.st_mode))
			trash_search_link(t, dir, name, path);
		if (S_ISREG(st.st_mode) && trash_search_file(t, dir, name, path, e) < 0)
			return e->number;
		if (!S_ISDIR(st.st_mode))
			continue;
		below = xasprintf("%s/%s", path, name);
		sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0)
			return err_errno(e, "search '%s' for overlays", below);
		if (depth == DEPTH_MAX)
			return err_set(e, ERR_FAILED, "search '%s' for overlays: too deep", below);
		if (trash_search_dir(t, sub, below, depth + 1, e) < 0)
			return e->number;
	}
	return errno ? err_errno(e, "search '%s' for overlays", path) : 0;
}

static int trash_search_store(struct trash *t, const json_t *store, struct err *e)
{
	const char *path = asked_text(store, "path");
	_cleanup_(close_fd) int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0 && json_is_true(json_object_get(store, "mounted")) && !file_is_mounted(dir))
		return err_set(e, ERR_FAILED, "search '%s' for overlays: it is not mounted", path);
	if (dir < 0)
		return err_errno(e, "search '%s' for overlays", path);
	return trash_search_dir(t, dir, path, 0, e);
}

int trash_search(struct trash *t, struct err *e)
{
	size_t i;
	json_t *store;

	if (trash_check_others(t, e) < 0)
		return e->number;
	json_array_foreach (json_object_get(t->doc, "stores"), i, store)
		if (trash_search_store(t, store, e) < 0)
			return e->number;
	return 0;
}
