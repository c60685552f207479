/* SPDX-License-Identifier: MIT */
/*
 * supervisor/verbs/clone.h - the file of a clone, from the files of the VM that it is a clone of; pure
 */
#ifndef SUPERVISOR_VERBS_CLONE_H
#define SUPERVISOR_VERBS_CLONE_H

#include <jansson.h>

#include "base/buf.h"
#include "conf/conf.h"

/* Where an image of the clone is; path NULL: both use the same one. */
struct clone_image {
	char *path; /* from the directory of its store on; owned */
};

struct clone_how {
	const char *name, *file; /* of the clone */
	bool linked;		 /* the new images are based on those of the VM */
	const uint64_t *size;	 /* of each disk, 0: as the files say; NULL: of all */
	const char *owner; /* whose it is: its images get names that no other has; NULL: nobody's */
};

/* One text: the main file with its comments, and what the drop-ins change in it; without all that may
 * be there only once: UUID=, MAC and IP addresses, host names, a port or CID, Protect=, Template=,
 * X-Managed=, and Owner=. The disks that the VM writes to get images of their own: image has conf->disks of them.
 * src, n: its files; conf: what they say. */
int clone_compose(struct buf *text, struct clone_image *image, const struct conf_source *src,
	size_t n, const struct conf_vm *conf, const struct conf_context *ctx,
	const struct clone_how *how, struct err *e);
void clone_images_release(struct clone_image *image, size_t n);

/* clone.c: answers vm-create, with a template. words: of create_words(), stolen. */
struct daemon;
struct request;
void clone_create(
	struct daemon *d, struct request *r, const char *template, json_t *words, const char *uuid);

#endif
