/* SPDX-License-Identifier: MIT */
/*
 * The images a VM has used: one that existed at a start and is gone is reported as missing, and
 * never created again. Tracked by path, because a disk may get another id, or another disk its
 * path.
 */
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
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

/* True if this was the same relative path below another image directory: ImageDir= may have
 * changed. */
static bool image_is_below(const char *path, const char *written)
{
	size_t len = strlen(path), tail = strlen(written);

	return written[0] != '/' && len > tail && path[len - tail - 1] == '/' &&
	       streq(path + len - tail, written);
}

const char *identity_image_day(
	const struct identity *id, const char *path, const char *written, char day[16])
{
	int64_t seen = 0;

	for (size_t i = 0; i < id->images; i++)
		if (streq(id->image[i].path, path) || image_is_below(id->image[i].path, written))
			seen = id->image[i].seen > seen ? id->image[i].seen : seen;
	return image_day(seen, day);
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
