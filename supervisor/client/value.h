/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/value.h - one value of a result, on one line
 *
 * How its numbers read (bytes, seconds, dates) is told by the verb table. Everything is escaped: it
 * may be a guest's.
 */
#ifndef SUPERVISOR_CLIENT_VALUE_H
#define SUPERVISOR_CLIENT_VALUE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "supervisor/api/result.h"

/* The cell of this column in a row of the table, or NULL. */
const json_t *value_cell(const json_t *table, const json_t *row, const char *column);

/* The one of this name, or NULL: a newer daemon's, of which numbers are printed as they come. */
const struct api_field *value_field(const struct api_field *fields, const char *name);

/* {"columns": [...], "rows": [[...]]}, with or without members beside them. */
bool value_is_table(const json_t *v);

/* "512M", "3d 4h", "-", "a, b". f may be NULL. */
void value_add(struct buf *b, const struct api_field *f, const json_t *value);
/* The same, as a string that the caller frees. */
char *value_text(const struct api_field *f, const json_t *value);

#endif
