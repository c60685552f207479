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

/* Assigns, or adds to a list; strings are copied to the arena. Lists take several at once, divided
 * by blanks or commas, but for texts and paths. */
enum conf_set conf_value_set(
	const struct conf_key *k, void *object, const char *text, struct arena *a);
/* Tells that the text is no value of the key: "KEY: 'text' is not a size such as 512M". */
void conf_value_refuse(const struct conf_key *k, const char *text, const struct conf_place *place,
	const char *name, struct conf_problems *p);
/* Back to the preset. */
void conf_value_reset(const struct conf_key *k, void *object, struct arena *a);

/* How many texts it takes to write the field: 0 when unset, else 1, or the length of a list. */
size_t conf_value_count(const struct conf_key *k, const void *object);
/* Appends the i-th. conf_value_set() reads it back. */
void conf_value_text(const struct conf_key *k, const void *object, size_t i, struct buf *b);
/* Whether the field of both would be written alike. */
bool conf_value_same(const struct conf_key *k, const void *a, const void *b);

/* Memory for one more in an array of n that only grows by this. */
void *conf_grow(struct arena *a, void *array, size_t n, size_t size);
bool conf_list_add(struct conf_list *l, struct arena *a, const char *item); /* false: full */

/* Specifiers: %n, %u, %s; NULL where one has no meaning. */
struct conf_specifiers {
	const char *name, *uuid, *state;
};
/* Expands into out. NULL, or what is wrong. The result never takes more than room bytes to be
 * written again, each % doubled. */
const char *conf_expand(char out[CONF_LINE_MAX + 1], const char *text, size_t room,
	const struct conf_specifiers *s);

#endif
