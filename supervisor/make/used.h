/* SPDX-License-Identifier: MIT */
/*
 * supervisor/make/used.h - images that a VM which is being made will use
 *
 * From the moment that such an image is looked at until a file names it, nothing else tells that it is
 * needed. Whoever moves images to the trash asks here, and tells what is moved: whichever comes second is
 * refused.
 */
#ifndef SUPERVISOR_MAKE_USED_H
#define SUPERVISOR_MAKE_USED_H

#include <jansson.h>

#include "base/err.h"

struct daemon;
struct job;

/* Embedded; zero: none. */
struct used_image {
	struct used_image *next;
	char *path;
	const char *vm;	       /* borrowed */
	const struct job *job; /* set by the caller as soon as there is one */
};
/* path: as written, in the store if it is relative. ERR_CONFLICT: it is on its way to the trash. */
int used_begin(struct used_image *u, const struct daemon *d, const char *store, const char *path,
	const char *vm, struct err *e);
void used_end(struct used_image *u);
/* Adds {"path", "of"} of each. */
void used_tell(json_t *others);

/* Embedded; zero: none. */
struct used_moving {
	struct used_moving *next;
	const json_t *images; /* borrowed: [{"path"}] */
};
void used_moving_begin(struct used_moving *m, const json_t *images);
void used_moving_end(struct used_moving *m);

#endif
