/* SPDX-License-Identifier: MIT */
/*
 * conf/parse.h - text to structs, driven by the tables
 *
 * For the files of conf.h's parses. In order: presets and [Defaults] of the unnamed sections; then
 * each source, later ones override. What is wrong is added to problems, and the root stays valid.
 */
#ifndef CONF_PARSE_H
#define CONF_PARSE_H

#include "conf/check.h"
#include "conf/value.h"

enum { CONF_SECTIONS_MAX = 256 }; /* in one source */

struct conf_seen {
	const char *header;
	unsigned line;
};

struct conf_parse {
	const struct conf_schema *schema;
	void *root;
	struct arena *arena; /* of the root */
	struct conf_specifiers spec;
	const struct conf_daemon *defaults; /* or NULL */
	const char *newer;		    /* or NULL */
	struct conf_problems *problems;
	struct conf_marks marks;
	struct arena scratch;

	struct conf_seen seen[CONF_SECTIONS_MAX]; /* in this source */
	size_t n_seen;

	/* The current position. header NULL: skip keys; section NULL too: keep them. */
	const char *header; /* "[Disk root]" */
	const struct conf_section *section;
	const char *id;
	void *object;
};

/* The root is of the schema's type. All are borrowed, spec is copied. */
void conf_parse_init(struct conf_parse *p, const struct conf_schema *schema, void *root,
	const struct conf_specifiers *spec, struct conf_problems *problems);
/* Reads all sources; the file names they refer to live as long as the root. Returns the place of
 * the first. */
struct conf_place conf_parse_run(struct conf_parse *p, const struct conf_source *src, size_t n);
/* Adds a named section that no source has; with presets and [Defaults]. */
void conf_parse_add(struct conf_parse *p, const struct conf_section *s, const char *id,
	const struct conf_place *place);
void conf_parse_release(struct conf_parse *p);

#endif
