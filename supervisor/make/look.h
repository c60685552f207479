/* SPDX-License-Identifier: MIT */
/*
 * supervisor/make/look.h - asks qemu-img, in a jail, whether a file is a qcow2 image that can be used
 */
#ifndef SUPERVISOR_MAKE_LOOK_H
#define SUPERVISOR_MAKE_LOOK_H

#include "supervisor/core/confine.h"

struct daemon;

struct look_what {
	const char *name; /* of the image */
	const char *path;
	const char *dir; /* of the store, which the path is beneath */
};

/* It sees only this file, so that one with a base fails. NULL with e; else done is called once, as of
 * confine_run(). */
struct confined *look_run(
	struct daemon *d, const struct look_what *w, confined_fn *done, void *data, struct err *e);

#endif
