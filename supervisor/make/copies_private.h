/* SPDX-License-Identifier: MIT */
/*
 * supervisor/make/copies_private.h - shared by the files of make/copies.h
 */
#ifndef SUPERVISOR_MAKE_COPIES_PRIVATE_H
#define SUPERVISOR_MAKE_COPIES_PRIVATE_H

#include "supervisor/make/copies.h"

/* copies_plan.c. Both return the command line, and add to files, for jail/plan.h, what it opens; the
 * last one is the new image, path, in the directory beneath. */
json_t *copies_plan_disk(json_t *files, const struct identity *id, const struct conf_disk *disk,
	const char *image_dir, const char *what, const char *path, const char *beneath);
json_t *copies_plan_nvram(
	json_t *files, const char *from, const char *what, const char *path, const char *beneath);

#endif
