/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/keys.h - escape keys of the console
 *
 * Ctrl-] leaves, and so does Enter ~ . as in ssh. A ~ at the start of a line is held back: ~~
 * sends one, any other key sends both.
 */
#ifndef SUPERVISOR_CLIENT_KEYS_H
#define SUPERVISOR_CLIENT_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct keys {
	enum { KEYS_LINE_BEGIN, KEYS_TILDE, KEYS_WITHIN } state;
};

/* Appends the guest's input to out. True: leave; what was typed after the escape is dropped. */
bool keys_feed(struct keys *k, const char *typed, size_t len, struct buf *out);

#endif
