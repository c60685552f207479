/* SPDX-License-Identifier: MIT */
/*
 * supervisor/make/fetch.h - fetches an image from an https server into a store
 *
 * curl in a jail writes to a partial file in the store, STORE/images/.fetch-DIGEST; another fetch of
 * the same digest continues with what is there. It gets its name, STORE/images/NAME.qcow2, only if
 * it has the digest and is a qcow2 image that refers to no other file.
 */
#ifndef SUPERVISOR_MAKE_FETCH_H
#define SUPERVISOR_MAKE_FETCH_H

#include <jansson.h>

#include "supervisor/make/sums.h"

struct daemon;
struct job;

struct fetch_what {
	const char *name, *store;
	const char *url; /* NULL: as the catalogue says */
	const char *
		digest; /* "sha256:HEX", "sha512:HEX" or "HEX"; NULL: after # in the URL, as "sha256=HEX" */
};

/* -errno: it cannot begin. hex "": it is not known yet. */
int fetch_check(const struct fetch_what *w, char hex[SUMS_HEX_MAX + 1], struct err *e);
/* Ends the job. */
void fetch(struct daemon *d, struct job *job, const struct fetch_what *w, const char *hex);
/* The digests of the partial files in this store that are being written. */
json_t *fetch_running(const char *store);

#endif
