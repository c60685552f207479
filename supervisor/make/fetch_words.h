/* SPDX-License-Identifier: MIT */
/* supervisor/make/fetch_words.h - the arguments of a fetch: a URL, a digest */
#ifndef SUPERVISOR_MAKE_FETCH_WORDS_H
#define SUPERVISOR_MAKE_FETCH_WORDS_H

#include "supervisor/make/fetch.h"

/* "sha256:HEX", "sha512:HEX" or "HEX", in small letters; false: it is none. */
bool fetch_hex(const char *text, char hex[SUMS_HEX_MAX + 1]);
/* hex "": the catalogue knows it. */
int fetch_words(const struct fetch_what *w, char hex[SUMS_HEX_MAX + 1], struct err *e);

#endif
