/* SPDX-License-Identifier: MIT */
/*
 * supervisor/make/asked.h - the child's side of a question of the daemon: JSON on stdin and stdout
 *
 * The daemon opens nothing in a store. It runs a child of its own program with one request, which
 * answers with an object, or with {"error": {..}}.
 */
#ifndef SUPERVISOR_MAKE_ASKED_H
#define SUPERVISOR_MAKE_ASKED_H

#include <jansson.h>

#include "base/err.h"

/* NULL with e: it is not all there, because the daemon died. */
json_t *asked_read(size_t max, struct err *e);
/* A member of the request; "": there is none. */
const char *asked_text(const json_t *o, const char *key);
/* answer NULL: the error. Returns the exit status. */
int asked_answer(json_t *answer /* stolen */, const struct err *e);

#endif
