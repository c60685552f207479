/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/print.h - results of the daemon, laid out for people
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

/* fields: of its members or columns. width: columns of the terminal, 0: no limit (then nothing is
 * shortened). */
void print_result(
	struct buf *b, const struct api_field *fields, const json_t *result, size_t width);

/* {"columns": [...], "rows": [[...]]} with a heading and aligned columns. One is left out where there are
 * rows and each of them is silent; NULL: none is. */
typedef bool print_silent_fn(const char *column, const json_t *cell);
void print_table(struct buf *b, const struct api_field *fields, const json_t *table,
	print_silent_fn *silent, size_t indent, size_t width);

/* Bytes of a log for a terminal: escaped, CR LF as a plain end of line. What may be half a
 * character stays in held for the next time, unless this is the end. */
void print_bytes(struct buf *held, bool end, struct buf *out);

/* Columns of the terminal on stdout, 0 when it is none. */
size_t print_width(void);

#endif
