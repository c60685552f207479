/* SPDX-License-Identifier: MIT */
/*
 * conf/image.h - one entry of the catalogue of images: NAME.ini
 *
 * Tables: conf/schema_image.c.
 */
#ifndef CONF_IMAGE_H
#define CONF_IMAGE_H

#include "conf/conf.h"

struct conf_image {
	struct arena arena;
	const char *name;
	struct conf_place place;

	/* [Image] */
	const char *url;
	const char *checksums, *signature; /* URLs */
	const char *keyring;		   /* the path of a file */
	const char *digest;		   /* "sha256:HEX" or "sha512:HEX" */
	const char *user, *description;

	struct conf_list ignored;
};

#define CONF_IMAGE_INIT { .arena = ARENA_INIT }

/* out: CONF_IMAGE_INIT, and valid even if problems were found. */
void conf_image_parse(struct conf_image *out, const char *name, const struct conf_source *src,
	size_t n, struct conf_problems *p);
void conf_image_release(struct conf_image *c);

#endif
