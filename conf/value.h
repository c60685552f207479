/* SPDX-License-Identifier: MIT */
/*
 * conf/value.h - one value: text to field, field to text
 *
 * object is the struct that holds the key's field: the root, or an element of a named section.
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "conf/schema.h"

enum conf_set { CONF_SET_OK, CONF_SET_BAD, CONF_SET_FULL };

/* Assigns, or appends to a list; strings are copied to the arena. A list takes several items at
 * once, separated by blanks or commas, except for texts and paths. */
enum conf_set conf_value_set(
	const struct conf_key *k, void *object, const char *text, struct arena *a);
/* What separates items of a list on one line; NULL: a line is one item. */
const char *conf_value_separators(const struct conf_key *k);

/* Reports an invalid value: "KEY: 'text' is not a size such as 512M". */
void conf_value_refuse(const struct conf_key *k, const char *text, const struct conf_place *place,
	const char *name, struct conf_problems *p);
/* Resets to the preset. */
void conf_value_reset(const struct conf_key *k, void *object, struct arena *a);

/* Number of texts needed to write the field: 0 if unset, else 1, or the length of a list. */
size_t conf_value_count(const struct conf_key *k, const void *object);
/* Appends the i-th text. conf_value_set() reads it back. */
void conf_value_text(const struct conf_key *k, const void *object, size_t i, struct buf *b);
/* True if both fields would be written alike. */
bool conf_value_same(const struct conf_key *k, const void *a, const void *b);

/* Makes room for one more in an array of n that only grows through this function. */
void *conf_grow(struct arena *a, void *array, size_t n, size_t size);
bool conf_list_add(struct conf_list *l, struct arena *a, const char *item); /* false: full */

/* Specifiers: %n, %u, %s; NULL where one has no meaning. */
struct conf_specifiers {
	const char *name, *uuid, *state;
};
/* The same value, as text to be expanded: a % begins a specifier. */
void conf_add_literal(struct buf *out, const char *value);
char *conf_literal(const char *value); /* owned */
/* Expands into out. Returns NULL, or what is wrong. Written back with each % doubled, the result
 * is at most room bytes. */
const char *conf_expand(char out[CONF_LINE_MAX + 1], const char *text, size_t room,
	const struct conf_specifiers *s);

#endif
