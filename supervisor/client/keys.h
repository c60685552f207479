/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/keys.h - what is typed into a console, and what leaves it
 *
 * Ctrl-] leaves, and so does Enter ~ . as in ssh. A ~ at the beginning of a line waits for what
 * follows: ~~ sends one, any other key sends both.
 */
#ifndef SUPERVISOR_CLIENT_KEYS_H
#define SUPERVISOR_CLIENT_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct keys {
	enum { KEYS_LINE_BEGIN, KEYS_TILDE, KEYS_WITHIN } state;
};

/* Appends to out what the guest gets. True: leave; what was typed behind it is dropped. */
bool keys_feed(struct keys *k, const char *typed, size_t len, struct buf *out);

#endif
