/* SPDX-License-Identifier: MIT */
/* supervisor/make/image_private.h - shared by the files of the child that image.h names */
#ifndef SUPERVISOR_MAKE_IMAGE_PRIVATE_H
#define SUPERVISOR_MAKE_IMAGE_PRIVATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "supervisor/make/image.h"

enum { IMAGE_ORIGIN_MAX = 4096, IMAGE_HEX_MAX = 128 };

struct image {
	json_t *request;
	const char *store; /* its directory */
	int dir;
};

/* Where an image is from, as the attribute of its file has it: "HEX URL PROOF", without the proof if
 * an older version wrote it. */
struct image_origin {
	char text[IMAGE_ORIGIN_MAX + 1];
	const char *hex, *url, *proof; /* in it; "": unknown */
};

/* image_file.c */
const char *image_text(const struct image *m, const char *key); /* of the request; "": none */
bool image_is_read_only(const struct image *m, struct err *e);	/* by vmkeep.conf */
int image_openat2(int dir, const char *path, int flags, mode_t mode);
int image_open_dir(const struct image *m, bool make, struct err *e); /* images/ */
bool image_is_digest(const char *hex);
const char *image_algorithm(const char *hex); /* "sha256" or "sha512" */
void image_origin(int fd, struct image_origin *o);
int image_set_origin(int fd, const char *hex, const char *url, const char *proof);

/* image_fetch_child.c */
json_t *image_begin(struct image *m, struct err *e);
json_t *image_place(struct image *m, struct err *e);
json_t *image_drop(struct image *m, struct err *e);

#endif
