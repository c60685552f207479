/* SPDX-License-Identifier: MIT */
/*
 * supervisor/make/image.h - images in stores that new VMs are based on
 *
 * The daemon opens nothing in a store: a child does, `vmkeepd --image`, with one request. What
 * headers of images say is untrusted: only the size and whether there is a backing file are read.
 */
#ifndef SUPERVISOR_MAKE_IMAGE_H
#define SUPERVISOR_MAKE_IMAGE_H

#include <jansson.h>

#include "base/err.h"

struct daemon;

/* The folder of a store that images have which are known by a name: images/NAME.qcow2. */
#define IMAGE_DIR "images"
#define IMAGE_END ".qcow2"
/* The folder for overlays of throw-away VMs. */
#define IMAGE_OVERLAYS ".run"

/* answer: borrowed; NULL with e. Called once, from the loop. */
typedef void image_fn(void *data, const json_t *answer, const struct err *e);

/* What the child is asked about a store, "default" or another one; its members are added by the
 * caller. NULL with e: there is no such store. */
json_t *image_request(const struct daemon *d, const char *what, const char *store, struct err *e);
/* NULL with e: done is not called. */
struct image_asked *image_ask(
	struct daemon *d, json_t *request /* stolen */, image_fn *done, void *data, struct err *e);
/* Kills the child: done is not called. NULL is fine. Only where it is asked for what there is. */
void image_cancel(struct image_asked *a);

/* In the child: JSON on stdin and stdout. Returns the exit status. */
int image_main(void);

#endif
