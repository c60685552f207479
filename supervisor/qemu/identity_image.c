/* SPDX-License-Identifier: MIT */
/*
 * The images a VM has used: one that existed at a start and is gone is reported as missing, and
 * never created again. Tracked by path, because a disk may get another id, or another disk its
 * path.
 */
#include <limits.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "supervisor/qemu/device.h"
#include "supervisor/qemu/identity.h"

static const char *image_day(int64_t time, char day[16])
{
	time_t t = (time_t)time;
	struct tm tm;

	day[0] = '\0';
	if (time > 0 && localtime_r(&t, &tm))
		strftime(day, 16, "%Y-%m-%d", &tm);
	return day;
}

const char *identity_disk_day(const struct identity *id, const char *disk, char day[16])
{
	const struct identity_disk *d = disk ? identity_disk(id, disk) : NULL;

	return image_day(d ? d->created : 0, day);
}

/* True if this was the same relative path below another directory: ImageDir= or Store= may have
 * changed. */
static bool image_is_below(const char *path, const char *written)
{
	size_t len = strlen(path), tail = strlen(written);

	return written[0] != '/' && len > tail && path[len - tail - 1] == '/' &&
	       streq(path + len - tail, written);
}

/* Two disks may have the same relative path in different stores. */
static bool image_is_of_another(const struct identity *id, const char *path, const char *disk)
{
	for (size_t i = 0; i < id->disks; i++)
		if (streq(id->disk[i].path, path) && !streq(id->disk[i].id, disk))
			return true;
	return false;
}

const char *identity_image_day(const struct identity *id, const char *disk, const char *path,
	const char *written, char day[16])
{
	int64_t seen = 0;

	for (size_t i = 0; i < id->images; i++) {
		const struct identity_image *m = &id->image[i];

		if (streq(m->path, path) || (image_is_below(m->path, written) &&
						    !image_is_of_another(id, m->path, disk)))
			seen = m->seen > seen ? m->seen : seen;
	}
	return image_day(seen, day);
}

const struct identity_base *identity_base(
	const struct identity *id, const char *path, const char *written)
{
	const struct identity_base *found = NULL;

	for (size_t i = 0; i < id->bases; i++) {
		if (streq(id->base[i].path, path))
			return &id->base[i];
		if (!found && image_is_below(id->base[i].path, written))
			found = &id->base[i];
	}
	return found;
}

/* A VM that ran before bases were recorded goes on with what their names say. */
enum conf_format identity_base_format(
	const struct identity *id, const struct conf_disk *d, size_t i, const char *image_dir)
{
	char path[PATH_MAX], day[16];
	const struct identity_base *base = identity_base(
		id, device_disk_path(d, d->base.item[i], image_dir, path), d->base.item[i]);

	if (base)
		return base->format;
	identity_image_day(id, d->id, device_disk_path(d, d->path, image_dir, path), d->path, day);
	return day[0] && !id->bases ? identity_format_of(d->base.item[i]) : CONF_FORMAT_AUTO;
}

json_t *identity_bases_json(const struct identity *id)
{
	json_t *bases = json_array();

	for (size_t i = 0; i < id->bases; i++) {
		const struct identity_base *b = &id->base[i];

		json_array_append_new(
			bases, json_pack("{s:s, s:s, s:s, s:I, s:I}", "path", b->path, "format",
				       conf_format_name(b->format), "stated", b->stated, "size",
				       (json_int_t)b->size, "mtime", (json_int_t)b->mtime));
	}
	return bases;
}

bool identity_read_bases(struct identity *id, const json_t *bases)
{
	const char *path, *format, *stated;
	json_int_t size, mtime;
	json_t *row;
	size_t i;

	identity_drop_bases(id);
	json_array_foreach (bases, i, row) {
		if (json_unpack(row, "{s:s, s:s, s:s, s:I, s:I}", "path", &path, "format", &format,
			    "stated", &stated, "size", &size, "mtime", &mtime) < 0 ||
			(!streq(format, "raw") && !streq(format, "qcow2")))
			return false;
		id->base = xrealloc(id->base, id->bases + 1, sizeof *id->base);
		id->base[id->bases++] = (struct identity_base){ xstrdup(path),
			streq(format, "raw") ? CONF_FORMAT_RAW : CONF_FORMAT_QCOW2, xstrdup(stated),
			size, mtime };
	}
	return !bases || json_is_array(bases);
}

static void image_drop_oldest(struct identity *id)
{
	size_t oldest = 0;

	for (size_t i = 1; i < id->images; i++)
		if (id->image[i].seen < id->image[oldest].seen)
			oldest = i;
	free(id->image[oldest].path);
	id->image[oldest] = id->image[--id->images];
}

void identity_saw(struct identity *id, const char *path, int64_t seen)
{
	for (size_t i = 0; i < id->images; i++)
		if (streq(id->image[i].path, path)) {
			id->image[i].seen = seen;
			return;
		}
	if (id->images == IDENTITY_IMAGES_MAX)
		image_drop_oldest(id);
	id->image = xrealloc(id->image, id->images + 1, sizeof *id->image);
	id->image[id->images++] = (struct identity_image){ xstrdup(path), seen };
}
