/* SPDX-License-Identifier: MIT */
/*
 * supervisor/make/sums.h - the digest of an image, from a checksum file of its server
 *
 * If there is a keyring, gpgv in a jail must find a good signature by one of its keys; it sees that
 * file, and the texts as descriptors. What is not covered by the signature is not read.
 */
#ifndef SUPERVISOR_MAKE_SUMS_H
#define SUPERVISOR_MAKE_SUMS_H

#include <stdbool.h>

#include "base/err.h"

struct daemon;

enum { SUMS_HEX_MAX = 128 }; /* of SHA-512 */

struct sums_what {	  /* copied */
	const char *name; /* of the image, for messages */
	const char *url;
	const char *checksums, *signature, *keyring; /* as in conf/image.h */
};

/* hex NULL with e. */
typedef void sums_fn(void *data, const char *hex, const struct err *e);

struct sums;
/* NULL with e; else done is called once, from the loop. */
struct sums *sums_ask(
	struct daemon *d, const struct sums_what *w, sums_fn *done, void *data, struct err *e);
/* Ends soon, with an error. */
void sums_cancel(struct sums *s);

/* The digest of the file with the last name of the URL, in hex; false: there is none. */
bool sums_find(const char *text, const char *url, char hex[SUMS_HEX_MAX + 1]);

#endif
