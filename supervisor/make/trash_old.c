/* SPDX-License-Identifier: MIT */
/* In the children that trash.h names: the trash of a store, and removing what is old there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/api.h"
#include "supervisor/make/trash_private.h"

enum { SECTOR = 512, ROWS_MAX = 1000, TIME_MIN = 1000000000 /* in 2001, ten digits */ };

int trash_open(const char *store, bool make, struct err *e)
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

/* The time at the end of a name; 0: none, but perhaps a version or a date of whoever put it there. */
static uint64_t trash_old_time(const char *name)
{
	const char *dot = strrchr(name, '.');
	uint64_t time;

	return dot && text_parse_uint(dot + 1, TIME_MIN, INT64_MAX, &time) == 0 ? time : 0;
}

int trash_remove_old(const char *store, uint64_t before, bool dry, json_t *rows, struct err *e)
{
	_cleanup_(close_fd) int fd = trash_open(store, false, e);
	_cleanup_(close_dir) DIR *d = fd < 0 ? NULL : file_open_dir(fd, ".", 0);

	if (fd < 0 && e->class == ERR_NOT_FOUND)
		err_clear(e);
	for (const struct dirent *entry; d && (entry = readdir(d));) {
		uint64_t time = trash_old_time(entry->d_name);
		_cleanup_(free_ptr) char *path =
			xasprintf("%s/" TRASH_DIR "/%s", store, entry->d_name);

		if (time && time < before)
			trash_remove(fd, entry->d_name, path, dry, rows);
	}
	return e->number;
}

/* An answer has its bound: those beyond are one row together. */
static void trash_tell(json_t *rows, json_t *row /* stolen */)
{
	json_t *last = json_array_get(rows, ROWS_MAX);

	if (last) {
		json_array_set_new(last, 1,
			json_integer(json_integer_value(json_array_get(last, 1)) +
				     json_integer_value(json_array_get(row, 1))));
		if (json_is_string(json_array_get(row, 2)))
			json_array_set(last, 2, json_array_get(row, 2));
		json_decref(row);
		return;
	}
	if (json_array_size(rows) == ROWS_MAX)
		json_array_set_new(row, 0, json_string("more files"));
	json_array_append_new(rows, row);
}

void trash_remove(int dir, const char *name, const char *path, bool dry, json_t *rows)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
		return;
	if (dry || unlinkat(dir, name, 0) == 0)
		trash_tell(rows,
			json_pack("[o, I, n]", api_text(path), (json_int_t)st.st_blocks * SECTOR));
	else if (errno != ENOENT)
		trash_tell(rows, json_pack("[o, n, s]", api_text(path), strerror(errno)));
}

int trash_prune_main(const char *before, const char *const *dirs)
{
	uint64_t time;
	int r = text_parse_uint(before, 1, INT64_MAX, &time) < 0;

	for (; !r && *dirs; dirs++) {
		json_auto_t *rows = json_array();
		struct err e = ERR_INIT;
		json_t *row;
		size_t i;

		r = trash_remove_old(*dirs, time, false, rows, &e) < 0;
		if (r)
			fprintf(stderr, "%s\n", e.text);
		json_array_foreach (rows, i, row) {
			const char *why = json_string_value(json_array_get(row, 2));

			r |= why != NULL;
			if (why)
				fprintf(stderr, "remove '%s': %s\n",
					json_string_value(json_array_get(row, 0)), why);
		}
	}
	return r;
}
