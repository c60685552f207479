/* SPDX-License-Identifier: MIT */
/*
 * The child's side of image.h. On stdin, with the store that image_request() names:
 *
 *   {"do": "size", "path": "images/a.qcow2"}
 *       -> {"size": bytes that a guest sees, "room", "all": of its file system}
 *   {"do": "overlay", "path": "images/a.qcow2"}   the same, for an overlay in .run, which it makes
 *   {"do": "discard", "overlay": ".run/a.qcow2"}   removes it, if it is there -> {}
 *   {"do": "list"}   -> {"rows": [[name, size, bytes on disk, URL, digest, time]]}
 *   {"do": "begin", "image": "a", "digest": HEX}
 *       -> {"there": true}, or {"path": of the partial file, "dir": of the store, "has": its digest;
 *          null if empty}
 *   {"do": "place", "image": "a", "digest": HEX, "url": ""}   gives it its name -> {}
 *   {"do": "drop", "digest": HEX}   removes the partial file -> {}
 *   {"do": "prune", "before": TIME, "busy": [HEX], "dry": bool}
 *       removes the other partial files and what is that old in the trash
 *       -> {"rows": [[path, bytes, why it could not be removed]]}
 *
 * Killed anywhere, begin and place leave a partial file, which the next begin goes on with, or the
 * whole image. Where an image is from is an attribute of the file, which it gets before its name.
 *
 * On stdout that answer, or {"error": {..}}.
 */
#include "supervisor/make/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/api.h"
#include "supervisor/make/asked.h"
#include "supervisor/make/trash_private.h"

enum {
	INPUT_MAX = 1 << 16,
	HEAD = 32, /* of a qcow2 image, up to its size */
	SECTOR = 512,
	DIGEST_LEN = 64,
	ORIGIN_MAX = 4096,
	ROWS_MAX = 1000
};

static const char origin_name[] = "trusted.vmkeep.image";

struct image {
	json_t *request;
	const char *store; /* its directory */
	int dir;
};

static const char *image_text(const struct image *m, const char *key)
{
	return asked_text(m->request, key);
}

static int image_open_store(struct image *m, struct err *e)
{
	const char *name = image_text(m, "name");
	struct statx x;

	m->store = image_text(m, "store");
	m->dir = open(m->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->dir < 0)
		return err_errno(e, "open store '%s'", name);
	if (json_is_true(json_object_get(m->request, "mounted")) &&
		(statx(m->dir, "", AT_EMPTY_PATH, STATX_MODE, &x) < 0 ||
			!(x.stx_attributes & STATX_ATTR_MOUNT_ROOT)))
		return err_set(e, ERR_FAILED, "store '%s' is not mounted", name);
	return 0;
}

static int image_openat2(int dir, const char *path, int flags, mode_t mode)
{
	struct open_how how = { .flags = (unsigned)flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static uint64_t image_be(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	while (len--)
		v = v << 8 | *p++;
	return v;
}

static bool image_is_qcow2(const char *path)
{
	size_t len = strlen(path), end = strlen(IMAGE_END);

	return len > end && streq(path + len - end, IMAGE_END);
}

/* By its name, as Base= does. An overlay on this one would need to name what it is based on, too. */
static int image_read_size(
	const struct image *m, int fd, const char *path, uint64_t *size, struct err *e)
{
	_cleanup_(free_ptr) char *there = xasprintf("%s/%s", m->store, path),
				 *whole = text_shell_quote(there);
	uint8_t head[HEAD];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "look at image '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FAILED, "image '%s' is not a regular file", path);
	if (!image_is_qcow2(path)) {
		*size = (uint64_t)st.st_size;
	} else if (pread(fd, head, sizeof head, 0) != sizeof head ||
		   memcmp(head, "QFI\xfb", 4) != 0) {
		return err_set(e, ERR_FAILED, "image '%s' is not a qcow2 image", path);
	} else if (image_be(head + 8, 8)) {
		err_set(e, ERR_FAILED, "image '%s' is itself based on another image", path);
		return err_hint(
			e, "qemu-img convert -O qcow2 %s NEW makes one that is whole", whole);
	} else {
		*size = image_be(head + 24, 8);
	}
	*size += (SECTOR - *size % SECTOR) % SECTOR;
	return *size ? 0 : err_set(e, ERR_FAILED, "image '%s' is empty", path);
}

static json_t *image_size(struct image *m, struct err *e)
{
	const char *path = image_text(m, "path");
	_cleanup_(close_fd) int fd = image_openat2(m->dir, path, O_RDONLY, 0);
	struct statvfs v = { 0 };
	uint64_t size;

	if (fd < 0 && errno == ENOENT) {
		err_set(e, ERR_NOT_FOUND, "store '%s' has no image '%s'", image_text(m, "name"),
			path);
		return NULL;
	}
	if (fd < 0) {
		err_errno(e, "open image '%s' in store '%s'", path, image_text(m, "name"));
		return NULL;
	}
	if (image_read_size(m, fd, path, &size, e) < 0)
		return NULL;
	fstatvfs(fd, &v);
	return json_pack("{s:I, s:I, s:I}", "size", (json_int_t)size, "room",
		(json_int_t)(v.f_bavail * v.f_frsize), "all",
		(json_int_t)(v.f_blocks * v.f_frsize));
}

/* --- overlays of throw-away VMs --- */

static json_t *image_overlay(struct image *m, struct err *e)
{
	if (mkdirat(m->dir, IMAGE_OVERLAYS, 0700) == 0 || errno == EEXIST)
		return image_size(m, e);
	err_errno(e, "create '%s/" IMAGE_OVERLAYS "'", m->store);
	return NULL;
}

static json_t *image_discard(struct image *m, struct err *e)
{
	static const char folder[] = IMAGE_OVERLAYS "/";
	const char *path = image_text(m, "overlay");
	const char *name = strncmp(path, folder, strlen(folder)) == 0 ? path + strlen(folder) : "";
	_cleanup_(close_fd) int dir =
		image_openat2(m->dir, IMAGE_OVERLAYS, O_RDONLY | O_DIRECTORY, 0);

	if ((dir < 0 && errno == ENOENT) ||
		(dir >= 0 && *name && !strchr(name, '/') &&
			(unlinkat(dir, name, 0) == 0 || errno == ENOENT)))
		return json_object();
	err_errno(e, "remove '%s/%s'", m->store, path);
	return NULL;
}

/* --- images by name --- */

static int image_open_dir(const struct image *m, bool make, struct err *e)
{
	int fd;

	if (make && mkdirat(m->dir, IMAGE_DIR, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "create '%s/" IMAGE_DIR "'", m->store);
	fd = image_openat2(m->dir, IMAGE_DIR, O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? err_errno(e, "open '%s/" IMAGE_DIR "'", m->store) : fd;
}

static char *image_file(const struct image *m)
{
	return xasprintf("%s" IMAGE_END, image_text(m, "image"));
}

static char *image_partial(const struct image *m)
{
	return xasprintf(".fetch-%s", image_text(m, "digest"));
}

static bool image_is_digest(const char *text)
{
	return strlen(text) == DIGEST_LEN && strspn(text, "0123456789abcdef") == DIGEST_LEN;
}

/* "DIGEST URL", as image_place() wrote it; "": unknown. */
static void image_origin(int fd, char origin[ORIGIN_MAX + 1])
{
	ssize_t n = fgetxattr(fd, origin_name, origin, ORIGIN_MAX);

	origin[n > DIGEST_LEN && origin[DIGEST_LEN] == ' ' ? n : 0] = '\0';
}

static json_t *image_row(const struct image *m, int dir, const char *name)
{
	_cleanup_(close_fd) int fd = image_openat2(dir, name, O_RDONLY, 0);
	struct err ignored = ERR_INIT;
	char origin[ORIGIN_MAX + 1];
	uint64_t size = 0;
	struct stat st;
	json_t *row;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	image_read_size(m, fd, name, &size, &ignored);
	image_origin(fd, origin);
	row = json_pack("[o, o, I, n, n, n]",
		json_sprintf("%.*s", (int)(strlen(name) - strlen(IMAGE_END)), name),
		size ? json_integer((json_int_t)size) : json_null(),
		(json_int_t)st.st_blocks * SECTOR);
	if (*origin) {
		json_array_set_new(row, 3, api_text(origin + DIGEST_LEN + 1));
		json_array_set_new(row, 4, json_sprintf("sha256:%.*s", DIGEST_LEN, origin));
		json_array_set_new(row, 5, json_integer(st.st_mtim.tv_sec));
	}
	return row;
}

static json_t *image_list(struct image *m, struct err *e)
{
	_cleanup_(close_fd) int fd = image_open_dir(m, false, e);
	_cleanup_(close_dir) DIR *d = fd < 0 ? NULL : file_open_dir(fd, ".", 0);
	json_t *rows, *row;

	if (!d && errno != ENOENT)
		return NULL;
	rows = json_array();
	for (const struct dirent *entry; d && (entry = readdir(d));)
		if (*entry->d_name != '.' && image_is_qcow2(entry->d_name) &&
			json_array_size(rows) < ROWS_MAX && (row = image_row(m, fd, entry->d_name)))
			json_array_append_new(rows, row);
	return json_pack("{s:o}", "rows", rows);
}

/* --- fetching --- */

/* Feeds sha256sum, so that this process is not idle meanwhile. */
static int image_feed(int from, int to, struct err *e)
{
	static char chunk[1 << 18];
	ssize_t n;

	if (lseek(from, 0, SEEK_SET) < 0)
		return err_errno(e, "read");
	while ((n = read(from, chunk, sizeof chunk)) > 0)
		if (file_write_all(to, chunk, (size_t)n) < 0)
			return err_set(e, ERR_FAILED, "sha256sum ended early");
	return n < 0 ? err_errno(e, "read") : 0;
}

_Noreturn static void image_become_sha256sum(int in, int out)
{
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		execlp("sha256sum", "sha256sum", (char *)NULL);
	_exit(1);
}

static int image_digest(int fd, char digest[DIGEST_LEN + 1], struct err *e)
{
	int in[2], out[2], r;
	ssize_t n;
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		return err_errno(e, "create a pipe");
	pid = fork();
	if (pid == 0)
		image_become_sha256sum(in[0], out[1]);
	close(in[0]);
	close(out[1]);
	r = pid < 0 ? err_errno(e, "run sha256sum") : image_feed(fd, in[1], e);
	close(in[1]);
	n = read(out[0], digest, DIGEST_LEN);
	close(out[0]);
	digest[n > 0 ? n : 0] = '\0';
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (r == 0 && !image_is_digest(digest))
		r = err_set(e, ERR_FAILED, "sha256sum failed");
	return r;
}

static bool image_may_begin(const struct image *m, int dir, bool *there, struct err *e)
{
	_cleanup_(free_ptr) char *name = image_file(m);
	_cleanup_(close_fd) int fd = image_openat2(dir, name, O_RDONLY, 0);
	char origin[ORIGIN_MAX + 1];

	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd >= 0) {
		image_origin(fd, origin);
		*there = strncmp(origin, image_text(m, "digest"), DIGEST_LEN) == 0;
	}
	if (*there)
		return true;
	err_set(e, ERR_CONFLICT, "store '%s' has an image '%s' already", image_text(m, "name"),
		image_text(m, "image"));
	err_hint(e, "choose another name");
	return false;
}

static int image_open_partial(const struct image *m, int dir, int flags, struct err *e)
{
	_cleanup_(free_ptr) char *name = image_partial(m);
	int fd = image_openat2(dir, name, O_RDWR | flags, flags & O_CREAT ? 0600 : 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "write '%s/" IMAGE_DIR "/%s'", m->store, name);
	if (S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == geteuid())
		return fd;
	close(fd);
	return err_set(
		e, ERR_CONFLICT, "'%s/" IMAGE_DIR "/%s' is not a file of ours", m->store, name);
}

static json_t *image_begin(struct image *m, struct err *e)
{
	_cleanup_(close_fd) int dir = -1, fd = -1;
	_cleanup_(free_ptr) char *name = image_partial(m);
	char digest[DIGEST_LEN + 1] = "";
	bool there = false;
	struct stat st;

	if (json_is_true(json_object_get(m->request, "read_only"))) {
		err_set(e, ERR_CONFLICT, "store '%s' is read-only", image_text(m, "name"));
		return NULL;
	}
	dir = image_open_dir(m, true, e);
	if (dir < 0 || !image_may_begin(m, dir, &there, e))
		return NULL;
	if (there)
		return json_pack("{s:b}", "there", true);
	fd = image_open_partial(m, dir, O_CREAT, e);
	if (fd < 0 || fstat(fd, &st) < 0 || (st.st_size && image_digest(fd, digest, e) < 0))
		return NULL;
	return json_pack("{s:o, s:s, s:s?}", "path",
		json_sprintf("%s/" IMAGE_DIR "/%s", m->store, name), "dir", m->store, "has",
		*digest ? digest : NULL);
}

static json_t *image_place(struct image *m, struct err *e)
{
	_cleanup_(close_fd) int dir = image_open_dir(m, false, e), fd = -1;
	_cleanup_(free_ptr) char *partial = image_partial(m), *name = image_file(m),
				 *origin = xasprintf(
					 "%s %s", image_text(m, "digest"), image_text(m, "url"));

	fd = dir < 0 ? -1 : image_open_partial(m, dir, 0, e);
	if (fd < 0)
		return NULL;
	/* some file systems have no attributes: then it is not known where the image is from */
	(void)!fsetxattr(fd, origin_name, origin, strlen(origin), 0);
	if (fchmod(fd, 0600) < 0 || fsync(fd) < 0 ||
		renameat2(dir, partial, dir, name, RENAME_NOREPLACE) < 0 || fsync(dir) < 0) {
		err_errno(e, "write '%s/" IMAGE_DIR "/%s'", m->store, name);
		return NULL;
	}
	return json_object();
}

static json_t *image_drop(struct image *m, struct err *e)
{
	_cleanup_(close_fd) int dir = image_open_dir(m, false, e);
	_cleanup_(free_ptr) char *partial = image_partial(m);

	if (dir < 0)
		return NULL;
	if (unlinkat(dir, partial, 0) == 0)
		return json_object();
	err_errno(e, "remove '%s/" IMAGE_DIR "/%s'", m->store, partial);
	return NULL;
}

static bool image_is_busy(const struct image *m, const char *digest)
{
	bool is = false;
	json_t *busy;
	size_t i;

	json_array_foreach (json_object_get(m->request, "busy"), i, busy)
		is = is || streq(json_string_value(busy), digest);
	return is;
}

static void image_prune_partial(const struct image *m, bool dry, json_t *rows)
{
	static const char partial[] = ".fetch-";
	struct err none = ERR_INIT;
	_cleanup_(close_fd) int fd = image_open_dir(m, false, &none);
	_cleanup_(close_dir) DIR *d = fd < 0 ? NULL : file_open_dir(fd, ".", 0);

	for (const struct dirent *entry; d && (entry = readdir(d));) {
		const char *digest = entry->d_name + strlen(partial);
		_cleanup_(free_ptr) char *path =
			xasprintf("%s/" IMAGE_DIR "/%s", m->store, entry->d_name);

		if (strncmp(entry->d_name, partial, strlen(partial)) == 0 &&
			image_is_digest(digest) && !image_is_busy(m, digest))
			trash_remove(fd, entry->d_name, path, dry, rows);
	}
}

static json_t *image_prune(struct image *m, struct err *e)
{
	const bool dry = json_is_true(json_object_get(m->request, "dry"));
	const json_int_t before = json_integer_value(json_object_get(m->request, "before"));
	json_t *rows = json_array();

	if (json_is_true(json_object_get(m->request, "read_only")))
		return json_pack("{s:o}", "rows", rows);
	image_prune_partial(m, dry, rows);
	if (trash_remove_old(m->store, (uint64_t)before, dry, rows, e) == 0)
		return json_pack("{s:o}", "rows", rows);
	json_decref(rows);
	return NULL;
}

static const struct {
	const char *what;
	json_t *(*act)(struct image *m, struct err *e);
} image_acts[] = {
	{ "size", image_size },
	{ "overlay", image_overlay },
	{ "discard", image_discard },
	{ "list", image_list },
	{ "begin", image_begin },
	{ "place", image_place },
	{ "drop", image_drop },
	{ "prune", image_prune },
};

int image_main(void)
{
	struct image m = { .dir = -1 };
	struct err e = ERR_INIT;
	json_t *answer = NULL;
	int r;

	m.request = asked_read(INPUT_MAX, &e);
	if (m.request && image_open_store(&m, &e) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(image_acts); i++)
			if (streq(image_acts[i].what, image_text(&m, "do")))
				answer = image_acts[i].act(&m, &e);
	r = asked_answer(answer, &e);
	json_decref(m.request);
	close_fd(&m.dir);
	return r;
}
