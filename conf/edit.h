/* SPDX-License-Identifier: MIT */
/*
 * conf/edit.h - changes single keys in the text of a VM's files, pure
 *
 * Works on text: the main file, then its drop-ins. A change touches only the line in force, in
 * whichever file that is: comments, order, indentation and line endings stay. conf_vm_parse() tells
 * whether the result is valid.
 *
 *   set    a value: replaces the last line that sets the key, or adds a line to its section, or a
 *          section at the end of the main file. A list: replaces all of its lines.
 *   add    adds the items that the list does not have yet, as a line after its last one
 *   remove removes items from a list, whichever line they are in
 *   unset  removes all lines that set the key; or a whole section, with the comments in it
 */
#ifndef CONF_EDIT_H
#define CONF_EDIT_H

#include "conf/conf.h"

enum conf_edit_done {
	CONF_EDIT_NOTHING, /* the key has this value already */
	CONF_EDIT_CHANGED, /* the line's value was replaced */
	CONF_EDIT_ADDED,   /* a line was added */
	CONF_EDIT_REMOVED, /* a line was removed */
};

struct conf_edit_row { /* what one change did to one line */
	enum conf_edit_done done;
	size_t file;   /* index of the source; meaningless if line is 0 */
	unsigned line; /* in the new text; of a removed line, in the old one; 0: none */
	const char *section, *id, *key;	  /* id NULL: none */
	const struct conf_section *known; /* NULL: [X-...] */
	const struct conf_key *row;	  /* NULL: X-... */
	const char *value; /* of the line; if removed, the value in force now; NULL: none */
	const char *was;   /* the value in force before; NULL: none */
	bool new_section;  /* its section was added with it */
	unsigned serial;   /* internal */
};

struct conf_edit;

/* Copies the texts. defaults: for [Defaults], borrowed, may be NULL. */
struct conf_edit *conf_edit_new(
	const struct conf_source *src, size_t n, const struct conf_daemon *defaults);
void conf_edit_free(struct conf_edit *ed); /* NULL is fine */

/* "NIC.lan.Address=10.0.0.7", "VM.Owner+=alice", "VM.Owner-=alice"; ERR_USAGE if the word is
 * malformed or the key unknown, ERR_CONFLICT if an item to remove comes from [Defaults]. */
int conf_edit_set(struct conf_edit *ed, const char *word, struct err *e);
/* "NIC.lan.Address"; "NIC.lan" */
int conf_edit_unset(struct conf_edit *ed, const char *word, struct err *e);

/* All changes so far; valid until the next change. */
const struct conf_edit_row *conf_edit_rows(struct conf_edit *ed, size_t *n);
/* Returns whether this source has changed; if so, b gets its new text. */
bool conf_edit_text(const struct conf_edit *ed, size_t file, struct buf *b);

#endif
