/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/errors.h - errors on stderr and as exit codes
 */
#ifndef SUPERVISOR_CLIENT_ERRORS_H
#define SUPERVISOR_CLIENT_ERRORS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* "vmkeep: web1: text", or "vmkeep: text" if that ends with 'web1'; further lines aligned below the text, then "hint: ...". */
void errors_format(
	struct buf *b, const char *target /* may be NULL */, const struct err *e, bool colour);

/* Writes it to stderr (coloured on a terminal unless NO_COLOR) and returns the exit code. */
int errors_print(const char *target, const struct err *e);

/* "note: ..." on stderr. */
void errors_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The protocol's {"class", "desc", "hint"}, both ways. */
int errors_from_json(const json_t *error, struct err *e);
json_t *errors_to_json(const struct err *e);

#endif
