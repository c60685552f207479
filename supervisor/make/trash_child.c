/* SPDX-License-Identifier: MIT */
/*
 * The child's side of trash.h. On stdin:
 *
 *   {"move": bool, "time": N, "uuid": "",
 *    "stores": [{"id", "path", "mounted": bool}],   searched for overlays
 *    "others": [{"path", "of": "VM 'b'"}],          images that are needed
 *    "images": [{"path", "store", "name", "why"}]}  as of trash_images()
 *
 * On stdout {"images": [..]} as for trash_fn, or {"error": {..}}.
 */
#include "supervisor/make/trash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/api.h"

enum {
	INPUT_MAX = 16 << 20,
	IMAGES_MAX = 64,
	DEPTH_MAX = 16,
	FILES_MAX = 1000000,
	HEAD = 20, /* of a qcow2 image, up to the length of the backing file's name */
	BACKING_MAX = 1023,
	UUID_LEN = 36
};

static const char mark_name[] = "trusted.vmkeep"; /* jail/mark.c */

struct trash_image {
	const char *path, *store, *name; /* of the input */
	int dir;			 /* that it is in; -1: it stays */
	struct stat st;
	char *to, *why; /* why: it stays */
};

struct trash {
	json_t *doc;
	const char *uuid;
	json_int_t time;
	struct trash_image image[IMAGES_MAX];
	size_t images;
	size_t files; /* seen so far */
};

/* The first reason stands. */
__attribute__((format(printf, 2, 3))) static void trash_keep(
	struct trash_image *m, const char *fmt, ...)
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

static const char *trash_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* --- the images --- */

static bool trash_is_anothers(int fd, const char *uuid, char mark[UUID_LEN + 1])
{
	ssize_t n = fgetxattr(fd, mark_name, mark, UUID_LEN);

	mark[n == UUID_LEN ? n : 0] = '\0';
	return *mark && !streq(mark, uuid);
}

/* Beneath its store, without links, and not on another file system, to which nothing can be
 * renamed. */
static int trash_open_parent(const struct trash_image *m)
{
	const char *slash = strrchr(m->name, '/');
	_cleanup_(free_ptr) char *dir =
		slash ? xasprintf("%.*s", (int)(slash - m->name), m->name) : xstrdup(".");
	_cleanup_(close_fd) int store = open(m->store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV };

	return store < 0 ? -1 : (int)syscall(SYS_openat2, store, dir, &how, sizeof how);
}

static void trash_look(struct trash *t, struct trash_image *m)
{
	const char *slash = strrchr(m->name, '/'), *base = slash ? slash + 1 : m->name;
	_cleanup_(close_fd) int fd = -1;
	char mark[UUID_LEN + 1];

	m->dir = trash_open_parent(m);
	if (m->dir >= 0)
		fd = openat(
			m->dir, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &m->st) < 0)
		trash_keep(m, "it cannot be opened: %s",
			errno == ELOOP ? "a link is in the way" : strerror(errno));
	else if (!S_ISREG(m->st.st_mode))
		trash_keep(m, "it is not a regular file");
	else if (m->st.st_nlink != 1)
		trash_keep(m, "it has another name, a hard link");
	else if (trash_is_anothers(fd, t->uuid, mark))
		trash_keep(m, "it is marked as a disk of the VM with UUID %s", mark);
}

static int trash_read_images(struct trash *t, struct err *e)
{
	const json_t *images = json_object_get(t->doc, "images");
	size_t i;
	json_t *one;

	if (json_array_size(images) > IMAGES_MAX)
		return err_set(e, ERR_FAILED, "more than %d images", IMAGES_MAX);
	json_array_foreach (images, i, one) {
		struct trash_image *m = &t->image[t->images++];

		*m = (struct trash_image){ .dir = -1,
			.path = trash_text(one, "path"),
			.store = trash_text(one, "store"),
			.name = trash_text(one, "name") };
		if (*trash_text(one, "why"))
			trash_keep(m, "%s", trash_text(one, "why"));
		else
			trash_look(t, m);
	}
	return 0;
}

/* --- who else needs them --- */

static struct trash_image *trash_find(struct trash *t, const struct stat *st)
{
	for (size_t i = 0; i < t->images; i++)
		if (t->image[i].dir >= 0 && file_same(&t->image[i].st, st))
			return &t->image[i];
	return NULL;
}

static int trash_check_others(struct trash *t, struct err *e)
{
	size_t i;
	json_t *one;

	json_array_foreach (json_object_get(t->doc, "others"), i, one) {
		const char *path = trash_text(one, "path"), *of = trash_text(one, "of");
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

static uint64_t trash_be(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	while (len--)
		v = v << 8 | *p++;
	return v;
}

/* The name of the backing file that a header states; false: none. A name that is too long for QEMU
 * is one that it does not open. */
static bool trash_backing(int fd, char name[BACKING_MAX + 1])
{
	uint8_t head[HEAD];
	uint64_t at, len;

	if (pread(fd, head, sizeof head, 0) != sizeof head || memcmp(head, "QFI\xfb", 4) != 0)
		return false;
	at = trash_be(head + 8, 8);
	len = trash_be(head + 16, 4);
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
		if (t->image[i].dir >= 0 && trash_is_named(&t->image[i], backing))
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
static int trash_search(struct trash *t, int dir, const char *path, unsigned depth, struct err *e)
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
		if (trash_search(t, sub, below, depth + 1, e) < 0)
			return e->number;
	}
	return errno ? err_errno(e, "search '%s' for overlays", path) : 0;
}

static int trash_search_store(struct trash *t, const json_t *store, struct err *e)
{
	const char *path = trash_text(store, "path");
	_cleanup_(close_fd) int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statx x;

	if (dir >= 0 && json_is_true(json_object_get(store, "mounted")) &&
		(statx(dir, "", AT_EMPTY_PATH, STATX_MODE, &x) < 0 ||
			!(x.stx_attributes & STATX_ATTR_MOUNT_ROOT)))
		return err_set(e, ERR_FAILED, "search '%s' for overlays: it is not mounted", path);
	if (dir < 0)
		return err_errno(e, "search '%s' for overlays", path);
	return trash_search(t, dir, path, 0, e);
}

static int trash_check(struct trash *t, struct err *e)
{
	size_t i;
	json_t *store;
	bool some = false;

	if (trash_read_images(t, e) < 0)
		return e->number;
	for (size_t k = 0; k < t->images; k++)
		some = some || t->image[k].dir >= 0;
	if (!some)
		return 0;
	if (trash_check_others(t, e) < 0)
		return e->number;
	json_array_foreach (json_object_get(t->doc, "stores"), i, store)
		if (trash_search_store(t, store, e) < 0)
			return e->number;
	return 0;
}

/* --- to the trash --- */

/* Nobody else may enter it, or take something out. */
static int trash_open(const char *store, bool make, struct err *e)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/" TRASH_DIR, store);
	struct stat st;
	int fd;

	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "create '%s'", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_errno(e, "open '%s'", path);
	} else if (st.st_uid != 0 && st.st_uid != geteuid()) {
		err_set(e, ERR_PERMISSION, "'%s' belongs to another user", path);
		close_fd(&fd);
	} else if (st.st_mode & 077) {
		err_set(e, ERR_PERMISSION, "others may enter '%s'", path);
		close_fd(&fd);
	}
	return fd;
}

/* Its place in the store in one name, and the time. */
static char *trash_name(const struct trash *t, const struct trash_image *m)
{
	struct buf b = BUF_INIT;

	for (const char *s = m->name; *s; s++) {
		if (*s == '/' || *s == '%')
			buf_printf(&b, "%%%02X", *s);
		else
			buf_addc(&b, *s);
	}
	buf_printf(&b, ".%" JSON_INTEGER_FORMAT, t->time);
	return buf_steal(&b);
}

/* NFS knows no rename that replaces nothing. A link replaces nothing either; killed in the middle,
 * there are two names. */
static int trash_rename(int from, const char *name, int to, const char *new)
{
	if (renameat2(from, name, to, new, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	return linkat(from, name, to, new, 0) < 0 ? -1 : unlinkat(from, name, 0);
}

static void trash_move(struct trash *t, struct trash_image *m, bool move)
{
	const char *slash = strrchr(m->name, '/'), *base = slash ? slash + 1 : m->name;
	_cleanup_(free_ptr) char *name = trash_name(t, m);
	struct err e = ERR_INIT;
	_cleanup_(close_fd) int to = trash_open(m->store, move, &e);

	if (to < 0 && (move || e.class != ERR_NOT_FOUND)) {
		trash_keep(m, "%s", e.text);
		return;
	}
	if (move && trash_rename(m->dir, base, to, name) < 0) {
		trash_keep(m, "it cannot be moved to the trash: %s", strerror(errno));
		return;
	}
	m->to = xasprintf("%s/" TRASH_DIR "/%s", m->store, name);
	if (move && (fsync(to) < 0 || fsync(m->dir) < 0))
		fprintf(stderr, "sync the trash: %s\n", strerror(errno));
}

static json_t *trash_answer(struct trash *t)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < t->images; i++) {
		const struct trash_image *m = &t->image[i];

		json_array_append_new(rows, json_pack("{s:s, s:o, s:o}", "path", m->path, "to",
						    m->to ? api_text(m->to) : json_null(), "why",
						    m->to ? json_null() : api_text(m->why)));
	}
	return json_pack("{s:o}", "images", rows);
}

static void trash_release(struct trash *t)
{
	for (size_t i = 0; i < t->images; i++) {
		close_fd(&t->image[i].dir);
		free(t->image[i].to);
		free(t->image[i].why);
	}
	json_decref(t->doc);
}

static int trash_read(struct trash *t, struct err *e)
{
	struct buf input = BUF_MAX(INPUT_MAX);
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf_reserve(&input, 65536), 65536)) > 0)
		buf_commit(&input, (size_t)n);
	/* if the daemon died before it sent everything, this is no JSON */
	t->doc = n == 0 && input.data ? json_loadb(input.data, input.len, 0, NULL) : NULL;
	buf_release(&input);
	t->uuid = trash_text(t->doc, "uuid");
	t->time = json_integer_value(json_object_get(t->doc, "time"));
	return t->doc ? 0 : err_set(e, ERR_FAILED, "the request is incomplete");
}

int trash_main(void)
{
	static struct trash t;
	struct err e = ERR_INIT;
	json_t *answer;
	int r = trash_read(&t, &e);

	if (r == 0)
		r = trash_check(&t, &e);
	for (size_t i = 0; r == 0 && i < t.images; i++)
		if (t.image[i].dir >= 0)
			trash_move(&t, &t.image[i], json_is_true(json_object_get(t.doc, "move")));
	answer = r == 0 ? trash_answer(&t) : json_pack("{s:o}", "error", api_error_json(&e));
	json_dumpf(answer, stdout, JSON_COMPACT);
	json_decref(answer);
	trash_release(&t);
	return fflush(stdout) < 0;
}

/* --- removing what is old --- */

/* The time at the end of a name; 0: none. */
static uint64_t trash_time_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	uint64_t time;

	return dot && text_parse_uint(dot + 1, 1, INT64_MAX, &time) == 0 ? time : 0;
}

static int trash_prune_dir(const char *store, uint64_t before)
{
	struct err e = ERR_INIT;
	_cleanup_(close_fd) int fd = trash_open(store, false, &e);
	_cleanup_(close_dir) DIR *d = fd < 0 ? NULL : file_open_dir(fd, ".", 0);
	int r = fd < 0 && e.class != ERR_NOT_FOUND;

	if (r)
		fprintf(stderr, "%s\n", e.text);
	for (const struct dirent *entry; d && (entry = readdir(d));) {
		uint64_t time = trash_time_of(entry->d_name);

		if (!time || time >= before || unlinkat(fd, entry->d_name, 0) == 0)
			continue;
		fprintf(stderr, "remove '%s/" TRASH_DIR "/%s': %s\n", store, entry->d_name,
			strerror(errno));
		r = 1;
	}
	return r;
}

int trash_prune_main(const char *before, const char *const *dirs)
{
	uint64_t time;
	int r = text_parse_uint(before, 1, INT64_MAX, &time) < 0;

	for (; !r && *dirs; dirs++)
		r |= trash_prune_dir(*dirs, time);
	return r;
}
