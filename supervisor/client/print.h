/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/print.h - formats the daemon's results for people
 *
 * The shape of the value decides: {"columns", "rows"} is a table, other objects are "key: value"
 * lines, nested ones are indented, arrays of objects are small tables; value.h prints the values.
 */
#ifndef SUPERVISOR_CLIENT_PRINT_H
#define SUPERVISOR_CLIENT_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "supervisor/api/result.h"

/* fields: of its members or columns. width: of the terminal, 0: no limit (nothing is shortened). */
void print_result(
	struct buf *b, const struct api_field *fields, const json_t *result, size_t width);

/* {"columns": [...], "rows": [[...]]} with a heading and aligned columns. A column is hidden if
 * silent is true for all its cells, or, without rows, for NULL; silent NULL: none is hidden. */
typedef bool print_silent_fn(const char *column, const json_t *cell);
void print_table(struct buf *b, const struct api_field *fields, const json_t *table,
	print_silent_fn *silent, size_t indent, size_t width);

/* Log bytes for a terminal: escaped, CR LF as a newline. A possibly incomplete character stays in
 * held until the next call, unless this is the end. */
void print_bytes(struct buf *held, bool end, struct buf *out);

/* Width of the terminal on stdout, 0 if it is none. */
size_t print_width(void);

#endif
