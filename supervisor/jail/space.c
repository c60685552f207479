/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/space.c - whether the disks' file systems have room for what the guest may write
 *
 * An image that is not fully allocated grows, and a guest whose disk cannot grow stands still.
 * Counted by file system, because the disks of a VM share it. Others write there too: no promise, a
 * warning.
 */
#include <sys/statvfs.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/jail.h"

enum { BLOCK = 512 };

struct growth {
	dev_t dev;
	int fd;
	uint64_t bytes;
	const struct jail_file *first;
};

static uint64_t may_grow(const struct jail_file *f)
{
	uint64_t size, has;

	if (!f->write || f->kind != JAIL_DISK)
		return 0;
	if (f->fd < 0)
		return f->create;
	if (!S_ISREG(f->st.st_mode) || f->data < 0)
		return 0;
	size = image_size(f);
	has = (uint64_t)f->st.st_blocks * BLOCK;
	return size > has ? size - has : 0;
}

static void add(struct growth *g, size_t *n, const struct jail *j, const struct jail_file *f)
{
	uint64_t bytes = may_grow(f);
	int fd = f->fd >= 0 ? f->fd : j->image_dir_fd;
	struct stat st;
	size_t i = 0;

	if (!bytes || fd < 0 || fstat(fd, &st) < 0)
		return;
	while (i < *n && g[i].dev != st.st_dev)
		i++;
	if (i == *n)
		g[(*n)++] = (struct growth){ st.st_dev, fd, 0, f };
	g[i].bytes = g[i].bytes + bytes < bytes ? UINT64_MAX : g[i].bytes + bytes;
}

void space_check(const struct jail *j, jail_warn *warn)
{
	struct growth *g = xcalloc(j->n_files, sizeof *g);
	char more[16], left[16];
	struct statvfs v;
	size_t n = 0;

	for (size_t i = 0; i < j->n_files; i++)
		add(g, &n, j, &j->file[i]);
	for (size_t i = 0; i < n; i++) {
		struct err e = ERR_INIT;
		uint64_t room;

		if (fstatvfs(g[i].fd, &v) < 0)
			continue;
		room = (uint64_t)v.f_bavail * v.f_frsize;
		if (room >= g[i].bytes)
			continue;
		err_set(&e, ERR_NO_RESOURCES,
			"%s: %s may still grow by %s, and its file system has %s left",
			g[i].first->what, g[i].first->shown_path,
			text_size(more, sizeof more, g[i].bytes),
			text_size(left, sizeof left, room));
		err_hint(&e,
			"make room there, or move the image: a guest whose disk cannot grow is paused");
		warn(j, "space", g[i].first->id, &e);
	}
	free(g);
}
