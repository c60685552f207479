/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/print.h - results of the daemon, laid out for people
 *
 * The shape of the value decides: {"columns", "rows"} is a table, other objects are "key: value"
 * lines, nested ones are indented, arrays of objects are small tables. The name of a key or column
 * decides how its numbers read (bytes, seconds, dates). Everything is escaped: it may be a guest's.
 */
#ifndef SUPERVISOR_CLIENT_PRINT_H
#define SUPERVISOR_CLIENT_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* width: columns of the terminal, 0: no limit (then nothing is shortened). */
void print_result(struct buf *b, const json_t *result, size_t width);

/* How the numbers of a key or column read. */
enum print_unit { PRINT_PLAIN, PRINT_BYTES, PRINT_SECONDS, PRINT_DATE };
enum print_unit print_unit(const char *name);

/* One value on one line: "512M", "3d 4h", "-", "a, b". */
void print_add(struct buf *b, enum print_unit unit, const json_t *value);
/* The same of a key's value, as a string that the caller frees. */
char *print_value(const char *name, const json_t *value);

/* {"columns": [...], "rows": [[...]]} with a heading and aligned columns. hidden: true for each
 * that is left out, or NULL. */
void print_table(
	struct buf *b, const json_t *table, const bool *hidden, size_t indent, size_t width);

/* Bytes of a log for a terminal: escaped, CR LF as a plain end of line. What may be half a
 * character stays in held for the next time, unless this is the end. */
void print_bytes(struct buf *held, bool end, struct buf *out);

/* Columns of the terminal on stdout, 0 when it is none. */
size_t print_width(void);

#endif
