/* SPDX-License-Identifier: MIT */
/*
 * supervisor/make/curl.h - fetches a file from an https server, with curl in a jail
 *
 * It sees the host's network, what resolves names, the certificates, and the file that it writes.
 * Redirects lead to https only. What the server answers it keeps in memory, for the size.
 */
#ifndef SUPERVISOR_MAKE_CURL_H
#define SUPERVISOR_MAKE_CURL_H

#include <stddef.h>
#include <stdint.h>

#include "base/child.h"
#include "supervisor/core/confine.h"

struct daemon;

/* Exit codes, from its manual. */
enum {
	CURL_WRITE = 23,
	CURL_TIMEOUT = 28,
	CURL_NO_RANGES = 33,
	CURL_UNTRUSTED = 60,
	CURL_TOO_LARGE = 63,
	CURL_CERTIFICATES = 77,
};

struct curl_what {
	const char *name, *url;
	/* the file, which exists, and is continued; NULL: r->out, if it has at most max bytes */
	const char *path;
	const char *dir; /* of the store, which the path is beneath */
	size_t max;
	int headers; /* with path: of curl_headers() */
};

/* A descriptor for what a server says of a file; -errno. */
int curl_headers(struct err *e);
/* The size of the whole file, as far as it is known by now; 0: unknown. */
uint64_t curl_total(int headers);

/* NULL with e; else done is called once, as of confine_run(). */
struct confined *curl_run(
	struct daemon *d, const struct curl_what *w, confined_fn *done, void *data, struct err *e);
/* It has failed. */
void curl_explain(const char *url, const struct child_result *r, struct err *e);

#endif
