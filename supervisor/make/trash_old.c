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
#include "supervisor/make/trash_private.h"

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
