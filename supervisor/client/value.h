/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/value.h - one value of a result, on one line
 *
 * The verb table says how numbers are formatted (bytes, seconds, dates). Everything is escaped:
 * it may come from a guest.
 */
#ifndef SUPERVISOR_CLIENT_VALUE_H
#define SUPERVISOR_CLIENT_VALUE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "supervisor/api/result.h"

/* The cell of this column in a row of the table, or NULL. */
const json_t *value_cell(const json_t *table, const json_t *row, const char *column);

/* The field of this name, or NULL if a newer daemon added it: numbers are then printed as is. */
const struct api_field *value_field(const struct api_field *fields, const char *name);

/* {"columns": [...], "rows": [[...]]}, with or without members beside them. */
bool value_is_table(const json_t *v);

/* "512M", "3d 4h", "-", "a, b". f may be NULL. */
void value_add(struct buf *b, const struct api_field *f, const json_t *value);
/* The same as a string; caller frees. */
char *value_text(const struct api_field *f, const json_t *value);

#endif
