/* SPDX-License-Identifier: MIT */
/*
 * conf/reader.h - lines in, sections and keys out
 *
 * The grammar is inih's, but inih as packaged truncates long lines, treats indented lines as
 * continuations, ends values at " ;", reads "a:b" as "a=b", hides empty sections and gives no
 * line numbers. So inih sees only "[LINE]" and "Key=LINE"; the texts are kept here. No other file
 * uses inih.
 *
 * Accepted: indentation, CRLF, a UTF-8 byte order mark, a last line without newline. Refused,
 * each with its line number: lines over CONF_LINE_MAX, NUL bytes, control characters and invalid
 * UTF-8 in anything passed on, lines without '=', keys before the first section, malformed
 * headers.
 */
#ifndef CONF_READER_H
#define CONF_READER_H

#include "conf/conf.h"

struct conf_reader_calls {
	/* The text between the brackets, trimmed; NULL if malformed (already reported). */
	void (*section)(void *data, const struct conf_place *place, const char *header);
	/* Both trimmed; the value may be empty. */
	void (*key)(void *data, const struct conf_place *place, const char *key, const char *value);
};

/* Strings are valid only during the call, except src->file in the place. */
void conf_read(const struct conf_source *src, const struct conf_reader_calls *calls, void *data,
	struct conf_problems *p);

/* Valid UTF-8 without control characters: safe in JSON, a log line and an argument. */
bool conf_is_printable(const char *text);

#endif
