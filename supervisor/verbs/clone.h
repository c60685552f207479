/* SPDX-License-Identifier: MIT */
/*
 * supervisor/verbs/clone.h - the file of a clone, from the files of the VM that it is a clone of; pure
 */
#ifndef SUPERVISOR_VERBS_CLONE_H
#define SUPERVISOR_VERBS_CLONE_H

#include "base/buf.h"
#include "conf/conf.h"

/* Where an image of the clone is; path NULL: both use the same one. */
struct clone_image {
	char *path; /* from the directory of its store on; owned */
};

/* One text: the main file with its comments, and what the drop-ins change in it; without all that may
 * be there only once: UUID=, MAC and IP addresses, host names, a port or CID, Protect=, Template=, X-Managed=.
 * The disks that the VM writes to get images of their own: image has conf->disks of them. src, n: its
 * files; conf: what they say; name, file: of the clone. */
int clone_compose(struct buf *text, struct clone_image *image, const struct conf_source *src,
	size_t n, const struct conf_vm *conf, const char *name, const char *file,
	const struct conf_context *ctx, struct err *e);
void clone_images_release(struct clone_image *image, size_t n);

#endif
