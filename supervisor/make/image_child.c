/* SPDX-License-Identifier: MIT */
/*
 * The child's side of image.h. On stdin, with the store that image_request() names:
 *
 *   {"do": "size", "path": "images/a.qcow2"}
 *       -> {"size": bytes that a guest sees, "room", "all": of its file system}
 *   {"do": "base", "path": "a.raw", "format": "raw", "new": "b.qcow2"}   -> the same; it may have bases,
 *       and nothing may be in the place of the new one, if it is named
 *   {"do": "overlay", "path": "images/a.qcow2"}   the same, for an overlay in .run, which it makes; with a
 *       "format" it may have bases
 *   {"do": "discard", "overlay": ".run/a.qcow2"}   removes it, if it is there -> {}
 *   {"do": "list"}   -> {"rows": [[name, size, bytes on disk, URL, digest, proof, time]]}; with an "image",
 *       only of that one
 *   {"do": "begin", "image": "a", "digest": HEX}
 *       -> {"there": true}, or {"path": of the partial file, "dir": of the store, "has": its digest;
 *          null if empty}
 *   {"do": "place", "image": "a", "digest": HEX, "url": "", "proof": ""}   gives it its name -> {}
 *   {"do": "drop", "digest": HEX}   removes the partial file -> {}
 *   {"do": "prune", "before": TIME, "busy": [HEX], "dry": bool}
 *       removes the other partial files and what is that old in the trash
 *       -> {"rows": [[path, bytes, why it could not be removed]]}
 *
 * Killed anywhere, begin and place leave a partial file, which the next begin goes on with, or the
 * whole image. Where an image is from is an attribute of the file, which it gets before its name.
 *
 * On stdout that answer, or {"error": {..}}. "catalogue", which needs no store, is in catalogue.h.
 */
#include "supervisor/make/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/temporary.h"
#include "base/text.h"
#include "supervisor/api/api.h"
#include "supervisor/make/asked.h"
#include "supervisor/make/catalogue.h"
#include "supervisor/make/image_private.h"
#include "supervisor/make/trash_private.h"

enum {
	INPUT_MAX = 1 << 16,
	HEAD = 32, /* of a qcow2 image, up to its size */
	SECTOR = 512,
	ROWS_MAX = 1000,
	ROWS_BYTES = 768 << 10 /* of an answer: ANSWER_MAX in image.c */
};

static int image_open_store(struct image *m, struct err *e)
{
	const char *name = image_text(m, "name");

	m->store = image_text(m, "store");
	m->dir = open(m->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->dir < 0)
		return err_errno(e, "open store '%s'", name);
	if (json_is_true(json_object_get(m->request, "mounted")) && !file_is_mounted(m->dir))
		return err_set(e, ERR_FAILED, "store '%s' is not mounted", name);
	return 0;
}

static bool image_is_qcow2(const char *path)
{
	size_t len = strlen(path), end = strlen(IMAGE_END);

	return len > end && streq(path + len - end, IMAGE_END);
}

/* An overlay on a qcow2 image that has a base would need to name that, too: with_base, if it does. */
static int image_read_size(const struct image *m, int fd, const char *path, bool with_base,
	uint64_t *size, struct err *e)
{
	const char *format = image_text(m, "format");
	const bool qcow2 = *format ? streq(format, "qcow2") : image_is_qcow2(path);
	_cleanup_(free_ptr) char *there = xasprintf("%s/%s", m->store, path),
				 *whole = text_shell_quote(there);
	uint8_t head[HEAD] = { 0 };
	struct stat st;
	bool is;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "look at image '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FAILED, "image '%s' is not a regular file", path);
	is = pread(fd, head, sizeof head, 0) == sizeof head && memcmp(head, "QFI\xfb", 4) == 0;
	if (*format && is && !qcow2)
		return err_set(e, ERR_FAILED,
			"image '%s' is raw, but begins like a qcow2 image, and would be read as one",
			path);
	if (!qcow2) {
		*size = (uint64_t)st.st_size;
	} else if (!is) {
		return err_set(e, ERR_FAILED, "image '%s' is not a qcow2 image", path);
	} else if (file_be(head + 8, 8) && !with_base) {
		err_set(e, ERR_FAILED, "image '%s' is itself based on another image", path);
		return err_hint(
			e, "qemu-img convert -O qcow2 %s NEW makes one that is whole", whole);
	} else {
		*size = file_be(head + 24, 8);
	}
	*size += (SECTOR - *size % SECTOR) % SECTOR;
	return *size ? 0 : err_set(e, ERR_FAILED, "image '%s' is empty", path);
}

static json_t *image_look(struct image *m, bool with_base, struct err *e)
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
	if (image_read_size(m, fd, path, with_base, &size, e) < 0)
		return NULL;
	fstatvfs(fd, &v);
	return json_pack("{s:I, s:I, s:I}", "size", (json_int_t)size, "room",
		(json_int_t)v.f_bavail * (json_int_t)v.f_frsize, "all",
		(json_int_t)v.f_blocks * (json_int_t)v.f_frsize);
}

static json_t *image_size(struct image *m, struct err *e)
{
	return image_look(m, false, e);
}

/* Also whether nothing is in the place of the image that is to be based on it. */
static json_t *image_base(struct image *m, struct err *e)
{
	const char *new = image_text(m, "new");
	_cleanup_(close_fd) int fd = *new ? image_openat2(m->dir, new, O_RDONLY, 0) : -1;

	if (!*new || (fd < 0 && errno == ENOENT))
		return image_look(m, true, e);
	err_set(e, ERR_CONFLICT, "store '%s' has an image '%s' already", image_text(m, "name"),
		new);
	err_hint(e, "choose another name");
	return NULL;
}

/* --- overlays of throw-away VMs --- */

static json_t *image_overlay(struct image *m, struct err *e)
{
	if (image_is_read_only(m, e))
		return NULL;
	if (mkdirat(m->dir, IMAGE_OVERLAYS, 0700) == 0 || errno == EEXIST)
		return image_look(m, *image_text(m, "format"), e);
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

	if (dir >= 0)
		temporary_sweep(dir); /* the overlay of a start that was killed */
	if ((dir < 0 && errno == ENOENT) ||
		(dir >= 0 && *name && !strchr(name, '/') &&
			(unlinkat(dir, name, 0) == 0 || errno == ENOENT)))
		return json_object();
	err_errno(e, "remove '%s/%s'", m->store, path);
	return NULL;
}

/* --- images by name --- */

static json_t *image_row(const struct image *m, int dir, const char *name)
{
	_cleanup_(close_fd) int fd = image_openat2(dir, name, O_RDONLY, 0);
	struct err ignored = ERR_INIT;
	struct image_origin origin;
	uint64_t size = 0;
	struct stat st;
	json_t *row;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	image_read_size(m, fd, name, false, &size, &ignored);
	image_origin(fd, &origin);
	row = json_pack("[o, o, I, n, n, n, n]",
		json_sprintf("%.*s", (int)(strlen(name) - strlen(IMAGE_END)), name),
		size ? json_integer((json_int_t)size) : json_null(),
		(json_int_t)st.st_blocks * SECTOR);
	if (*origin.hex) {
		json_array_set_new(row, 3, api_text(origin.url));
		json_array_set_new(
			row, 4, json_sprintf("%s:%s", image_algorithm(origin.hex), origin.hex));
		if (*origin.proof)
			json_array_set_new(row, 5, api_text(origin.proof));
		json_array_set_new(row, 6, json_integer(st.st_mtim.tv_sec));
	}
	return row;
}

static json_t *image_list_one(const struct image *m, const char *image, struct err *e)
{
	_cleanup_(close_fd) int fd = image_open_dir(m, false, e);
	_cleanup_(free_ptr) char *name = xasprintf("%s" IMAGE_END, image);

	if (fd < 0 && errno != ENOENT)
		return NULL;
	return json_pack("{s:[o*]}", "rows", fd < 0 ? NULL : image_row(m, fd, name));
}

static json_t *image_list(struct image *m, struct err *e)
{
	const char *image = image_text(m, "image");
	_cleanup_(close_fd) int fd = *image ? -1 : image_open_dir(m, false, e);
	_cleanup_(close_dir) DIR *d = fd < 0 ? NULL : file_open_dir(fd, ".", 0);
	size_t bytes = 0;
	json_t *rows, *row;

	if (*image)
		return image_list_one(m, image, e);
	if (!d && errno != ENOENT)
		return NULL;
	rows = json_array();
	for (const struct dirent *entry; d && (entry = readdir(d));) {
		if (*entry->d_name == '.' || !image_is_qcow2(entry->d_name) ||
			!(row = image_row(m, fd, entry->d_name)))
			continue;
		json_array_append_new(rows, row);
		bytes += json_dumpb(row, NULL, 0, JSON_COMPACT);
		if (json_array_size(rows) <= ROWS_MAX && bytes <= ROWS_BYTES)
			continue;
		json_decref(rows);
		err_set(e, ERR_NO_RESOURCES,
			"store '%s' has more images than can be listed, more than %d or with long names: see '%s/" IMAGE_DIR
			"'",
			image_text(m, "name"), ROWS_MAX, m->store);
		err_hint(e, "vmkeep image list NAME shows one of them");
		return NULL;
	}
	return json_pack("{s:o}", "rows", rows);
}

/* --- pruning --- */

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
	{ "base", image_base },
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
	if (m.request && streq(image_text(&m, "do"), "catalogue"))
		answer = catalogue_read(m.request);
	else if (m.request && image_open_store(&m, &e) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(image_acts); i++)
			if (streq(image_acts[i].what, image_text(&m, "do")))
				answer = image_acts[i].act(&m, &e);
	r = asked_answer(answer, &e);
	json_decref(m.request);
	close_fd(&m.dir);
	return r;
}
