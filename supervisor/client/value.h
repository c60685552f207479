/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/value.h - one value of a result, on one line
 *
 * The name of a key or column decides how its numbers read (bytes, seconds, dates). Everything is
 * escaped: it may be a guest's.
 */
#ifndef SUPERVISOR_CLIENT_VALUE_H
#define SUPERVISOR_CLIENT_VALUE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"

/* How the numbers of a key or column read. */
enum print_unit { PRINT_PLAIN, PRINT_BYTES, PRINT_SECONDS, PRINT_DATE };
enum print_unit print_unit(const char *name);

/* {"columns": [...], "rows": [[...]]}, with or without members beside them. */
bool value_is_table(const json_t *v);

/* One value on one line: "512M", "3d 4h", "-", "a, b". */
void print_add(struct buf *b, enum print_unit unit, const json_t *value);
/* The same of a key's value, as a string that the caller frees. */
char *print_value(const char *name, const json_t *value);

#endif
