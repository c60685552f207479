/* SPDX-License-Identifier: MIT */
/*
 * scripts/roff.h - plain text as mdoc(7) wants it, to standard output
 */
#ifndef SCRIPTS_ROFF_H
#define SCRIPTS_ROFF_H

#include <stdbool.h>
#include <stddef.h>

/* Escapes what roff would interpret; '-' stays the character that people type. */
void roff_put(const char *s, size_t len);
/* A macro's argument, quoted. */
void roff_word(const char *macro, const char *s);
/* Protects the beginning of each line from being a roff request, and ends the text with a full
 * stop. */
void roff_text_as_is(const char *s);
/* The same, with a capital letter. */
void roff_text(const char *s);
void roff_list_begin(bool compact);
void roff_list_end(void);

#endif
