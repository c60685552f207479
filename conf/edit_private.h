/* SPDX-License-Identifier: MIT */
/*
 * conf/edit_private.h - shared by the files of conf/edit.h
 */
#ifndef CONF_EDIT_PRIVATE_H
#define CONF_EDIT_PRIVATE_H

#include "base/mem.h"
#include "conf/edit.h"
#include "conf/schema.h"

struct edit_line {
	const char *text; /* with its line ending, which the last line may lack */
	size_t len;
	unsigned was;	 /* its number in the old text; 0: new */
	unsigned serial; /* identifies the line wherever it moves */
};

struct edit_file {
	struct edit_line *line;
	size_t n, cap;
	bool changed;
};

struct conf_edit {
	struct arena arena;
	struct edit_file *file;
	size_t files;
	const struct conf_daemon *defaults;
	unsigned serial; /* the last one given out */
	struct conf_edit_row *row;
	size_t rows, cap;
};

struct edit_key {
	const char *section, *id, *key;
	const struct conf_section *known;
	const struct conf_key *row;
};

/* edit_text.c; each adds rows */
void edit_set_value(struct conf_edit *ed, const struct edit_key *t, const char *value);
void edit_set_list(struct conf_edit *ed, const struct edit_key *t, const char *value);
void edit_add_items(struct conf_edit *ed, const struct edit_key *t, const char *value);
int edit_remove_items(
	struct conf_edit *ed, const struct edit_key *t, const char *value, struct err *e);
void edit_unset(struct conf_edit *ed, const struct edit_key *t);
void edit_unset_section(struct conf_edit *ed, const struct edit_key *t);

/* edit_lines.c: the text as lines */
struct edit_at {
	size_t file, line;
};
struct edit_found { /* the lines that set a key, in order; owned by the caller */
	struct edit_at *at;
	size_t n, cap;
};
void edit_find(const struct conf_edit *ed, const struct edit_key *t, struct edit_found *found);
void edit_found_release(struct edit_found *found);
/* The value of a line that sets a key. */
char *edit_value_at(struct conf_edit *ed, struct edit_at at);
/* Replaces its value; the rest of the line stays. */
void edit_change(struct conf_edit *ed, struct edit_at at, const char *value);
void edit_delete(struct conf_edit *ed, struct edit_at at);
/* The first line of the section in this file, and how many lines it has: up to its last key, with the
 * comments between its keys, and the blank line after it. 0: it is not there. */
size_t edit_section_at(const struct conf_edit *ed, const struct edit_key *t, struct edit_at *at);
/* Adds Key=value next to another line that sets it, with the same indentation. */
struct edit_at edit_insert_beside(
	struct conf_edit *ed, struct edit_at at, bool after, const char *key, const char *value);
/* Adds it to its section, and the section if no file has it. */
struct edit_at edit_insert(
	struct conf_edit *ed, const struct edit_key *t, const char *value, bool *new_section);

#endif
