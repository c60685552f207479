/* SPDX-License-Identifier: MIT */
#include "scripts/roff.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void roff_put(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		switch (s[i]) {
		case '\\':
			fputs("\\e", stdout);
			break;
		case '-':
			fputs("\\-", stdout);
			break;
		case '"':
			fputs("\\(dq", stdout);
			break;
		default:
			putchar(s[i]);
			break;
		}
}

void roff_word(const char *macro, const char *s)
{
	printf("%s \"\\&", macro);
	roff_put(s, strlen(s));
	putchar('"');
}

/* Where the first sentence of a text ends: roff wants each sentence on its own line. */
static size_t roff_sentence_len(const char *s)
{
	size_t len = 0;

	while (s[len] &&
		!(s[len] == '.' && s[len + 1] == ' ' && isupper((unsigned char)s[len + 2])))
		len++;
	return s[len] ? len + 1 : len;
}

void roff_text_as_is(const char *s)
{
	size_t len = roff_sentence_len(s);

	for (;; s++, len = roff_sentence_len(s)) {
		fputs("\\&", stdout);
		roff_put(s, len);
		s += len;
		puts(s[-1] == '.' ? "" : ".");
		if (!*s)
			return;
	}
}

void roff_text(const char *s)
{
	_cleanup_(free_ptr) char *copy = xstrdup(s);

	*copy = (char)toupper((unsigned char)*copy);
	roff_text_as_is(copy);
}

void roff_list_begin(bool compact)
{
	printf(".Bl -tag -width Ds%s\n", compact ? " -compact" : "");
}

void roff_list_end(void)
{
	puts(".El");
}
