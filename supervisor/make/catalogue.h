/* SPDX-License-Identifier: MIT */
/*
 * supervisor/make/catalogue.h - images that can be fetched by name
 *
 * One file each, NAME.ini (conf/image.h), in /usr/share/vmkeep/images.d or in images.d of the
 * configuration directory, where one of the same name takes its place; an empty one hides it. A child
 * reads them each time, `vmkeepd --image`.
 */
#ifndef SUPERVISOR_MAKE_CATALOGUE_H
#define SUPERVISOR_MAKE_CATALOGUE_H

#include "supervisor/make/image.h"

/* answer: {"entries": [{"name", "description", "url", "checksums", "signature", "keyring", "digest",
 * "user", "problem"}]} in the order of their names; each but the name may be null. With a problem, the
 * rest is of no use. */
struct image_asked *catalogue_ask(struct daemon *d, image_fn *done, void *data, struct err *e);
/* Of an answer; NULL: there is none of this name. */
const json_t *catalogue_entry(const json_t *answer, const char *name);

/* In the child. */
json_t *catalogue_read(const json_t *request);

#endif
