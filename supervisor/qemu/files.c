/* SPDX-License-Identifier: MIT */
#include <limits.h>

#include "supervisor/qemu/argv.h"
#include "supervisor/qemu/device.h"

struct list {
	const struct argv_context *ctx;
	struct arena *a;
	struct argv_file *file;
	size_t n, max;
};

/* Completes f with the path as written in the configuration. d NULL: not of a disk. */
static void files_add(
	struct list *l, struct argv_file f, const struct conf_disk *d, const char *written)
{
	const char *dir = d ? device_disk_dir(d, l->ctx->image_dir) : l->ctx->image_dir;
	char path[PATH_MAX];

	f.path = arena_strdup(l->a, device_path(written, dir, path));
	/* volumes are mostly links to device nodes, which are elsewhere */
	f.volume_of = d && d->volume ? dir : NULL;
	f.beneath = written[0] == '/' || f.volume_of ? NULL : dir;
	f.mounted = f.beneath && d && d->dir_mounted;
	if (l->n < l->max)
		l->file[l->n++] = f;
}

static void files_add_disk(struct list *l, const struct conf_disk *d, const struct identity *id)
{
	const char *what = arena_printf(l->a, "%s '%s'", d->cdrom ? "cdrom" : "disk", d->id);

	if (!d->path || d->volume == CONF_VOLUME_ABSENT)
		return;
	files_add(l,
		(struct argv_file){ .kind = d->cdrom ? ARGV_FILE_CDROM : ARGV_FILE_DISK,
			.what = what,
			.id = d->id,
			.write = !d->read_only && !d->cdrom,
			.format = device_disk_format(d, id),
			.direct = conf_disk_is_direct(d),
			.has_base = d->base.n > 0,
			.create = d->volume ? 0 : d->size,
			.new_volume = d->volume == CONF_VOLUME_MADE },
		d, d->path);
	for (size_t i = 0; i < d->base.n; i++) {
		const char *base = d->base.item[i], *dir = device_disk_dir(d, l->ctx->image_dir);
		char path[PATH_MAX];

		files_add(l,
			(struct argv_file){ .kind = ARGV_FILE_BASE,
				.what = arena_printf(l->a, "base of disk '%s'", d->id),
				.id = d->id,
				.format = identity_base_format(id, d, i, l->ctx->image_dir),
				.by_name = identity_format_of(base),
				.direct = conf_disk_is_direct(d),
				.known = identity_base(id, device_path(base, dir, path), base),
				.has_base = i + 1 < d->base.n },
			d, base);
	}
}

size_t argv_files(const struct conf_vm *c, const struct identity *id,
	const struct argv_context *ctx, struct arena *a, struct argv_file *file, size_t max)
{
	struct list l = { .ctx = ctx, .a = a, .file = file, .max = max };

	for (size_t i = 0; i < c->disks; i++)
		files_add_disk(&l, &c->disk[i], id);
	if (c->kernel)
		files_add(&l, (struct argv_file){ .kind = ARGV_FILE_KERNEL, .what = "kernel" },
			NULL, c->kernel);
	if (c->kernel && c->initrd)
		files_add(&l, (struct argv_file){ .kind = ARGV_FILE_KERNEL, .what = "initrd" },
			NULL, c->initrd);
	if (ctx->firmware && ctx->nvram) {
		files_add(&l,
			(struct argv_file){ .kind = ARGV_FILE_FIRMWARE,
				.what = "UEFI firmware",
				.format = ctx->firmware->code_format },
			NULL, ctx->firmware->code);
		files_add(&l,
			(struct argv_file){ .kind = ARGV_FILE_NVRAM,
				.what = "UEFI variables",
				.write = true,
				.format = CONF_FORMAT_QCOW2 },
			NULL, ctx->nvram);
	}
	return l.n;
}

bool argv_wants_scsi(const struct conf_vm *c)
{
	for (size_t i = 0; i < c->disks; i++)
		if (c->disk[i].bus == CONF_BUS_SCSI)
			return true;
	return false;
}

bool argv_wants_notify(const struct conf_vm *c)
{
	return streq(c->ready_when, "notify");
}

bool argv_wants_io_uring(const struct conf_vm *c)
{
	for (size_t i = 0; i < c->disks; i++)
		if (c->disk[i].aio == CONF_AIO_IO_URING)
			return true;
	return false;
}

void argv_release(struct argv *a)
{
	arena_release(&a->arena);
	*a = (struct argv)ARGV_INIT;
}
