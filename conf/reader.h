/* SPDX-License-Identifier: MIT */
/*
 * conf/reader.h - lines in, sections and keys out
 *
 * The grammar is inih's, but inih as packaged cuts long lines, takes indented ones for
 * continuations, ends values at " ;", reads "a:b" as "a=b", hides empty sections and knows no line
 * numbers. So it sees only "[LINE]" and "Key=LINE"; the texts are kept aside here. This is the only
 * file that knows inih.
 *
 * Accepted: indentation, CRLF, a UTF-8 byte order mark, a last line without newline. Refused, each
 * with its line: lines over CONF_LINE_MAX, NUL bytes, control characters and bad UTF-8 in what is
 * passed on, lines without '=', keys before the first section, malformed headers.
 */
#ifndef CONF_READER_H
#define CONF_READER_H

#include "conf/conf.h"

struct conf_reader_calls {
	/* What stands between the brackets, trimmed; NULL when it was malformed (and reported). */
	void (*section)(void *data, const struct conf_place *place, const char *header);
	/* Both trimmed; the value may be empty. */
	void (*key)(void *data, const struct conf_place *place, const char *key, const char *value);
};

/* Strings live only for the call, but for src->file in the place. */
void conf_read(const struct conf_source *src, const struct conf_reader_calls *calls, void *data,
	struct conf_problems *p);

#endif
