/* SPDX-License-Identifier: MIT */
/*
 * base/base64.h - base64, RFC 4648 section 4
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

char *base64_encode(const void *data, size_t len); /* caller frees */
/* Stops at the first character outside the alphabet, '=' included. */
void base64_decode(const char *s, struct buf *out);
/* True if s is nothing but base64 and padding. */
bool base64_is(const char *s);

#endif
