/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/space.c - whether the disks' file systems have space for what the guest may write
 *
 * An image that is not fully allocated grows, and a guest whose disk cannot grow is paused. Summed
 * per file system, because a VM's disks share it. Others write there too, so this is a warning, not
 * a guarantee.
 */
#include <sys/statvfs.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/jail.h"

enum { BLOCK = 512 };

struct space_sum {
	struct growth g;
	const struct jail_file *first;
};

static uint64_t space_may_grow(const struct jail_file *f)
{
	uint64_t size, has;

	if (!f->write || f->kind != JAIL_DISK)
		return 0;
	if (f->fd < 0)
		return (uint64_t)f->create;
	if (!S_ISREG(f->st.st_mode) || f->data < 0)
		return 0;
	size = image_size(f);
	has = (uint64_t)f->st.st_blocks * BLOCK;
	return size > has ? size - has : 0;
}

bool space_growth(const struct jail_file *f, struct growth *g)
{
	int fd = f->fd >= 0 ? f->fd : f->dir;
	struct statvfs v;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || fstatvfs(fd, &v) < 0)
		return false;
	*g = (struct growth){ st.st_dev, space_may_grow(f), (uint64_t)v.f_bavail * v.f_frsize };
	return true;
}

static void jail_space_add(struct space_sum *sum, size_t *n, const struct jail_file *f)
{
	struct growth g;
	size_t i = 0;

	if (!space_growth(f, &g) || !g.bytes)
		return;
	while (i < *n && sum[i].g.dev != g.dev)
		i++;
	if (i == *n)
		sum[(*n)++] = (struct space_sum){ g, f };
	else
		sum[i].g.bytes =
			sum[i].g.bytes + g.bytes < g.bytes ? UINT64_MAX : sum[i].g.bytes + g.bytes;
}

void space_check(const struct jail *j, jail_warn *warn)
{
	struct space_sum *sum = xcalloc(j->n_files + 1, sizeof *sum);
	char more[16], left[16];
	size_t n = 0;

	for (size_t i = 0; i < j->n_files; i++)
		jail_space_add(sum, &n, &j->file[i]);
	for (size_t i = 0; i < n; i++) {
		const struct jail_file *f = sum[i].first;
		struct err e = ERR_INIT;

		if (sum[i].g.room >= sum[i].g.bytes)
			continue;
		err_set(&e, ERR_NO_RESOURCES,
			"%s: %s may still grow by %s, but its file system has %s left", f->what,
			f->shown_path, text_size(more, sizeof more, sum[i].g.bytes),
			text_size(left, sizeof left, sum[i].g.room));
		err_hint(&e,
			"free space there, or move the image: a guest whose disk cannot grow is paused");
		warn(j, "space", f, &e);
	}
	free(sum);
}
