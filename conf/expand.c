/* SPDX-License-Identifier: MIT */
#include "conf/value.h"

static const char *expand_expansion(char c, const struct conf_specifiers *s)
{
	switch (c) {
	case 'n':
		return s->name;
	case 'u':
		return s->uuid;
	case 's':
		return s->state;
	default:
		return NULL;
	}
}

/* Adds what fits; takes off room what it costs to write it again. */
static bool expand_add(char *out, size_t *len, const char *text, size_t *room)
{
	for (; *text; text++) {
		size_t cost = *text == '%' ? 2 : 1;

		if (cost > *room || *len == CONF_LINE_MAX)
			return false;
		*room -= cost;
		out[(*len)++] = *text;
	}
	return true;
}

const char *conf_expand(
	char out[CONF_LINE_MAX + 1], const char *text, size_t room, const struct conf_specifiers *s)
{
	static const char too_long[] = "too long once its specifiers are expanded";
	size_t len = 0;

	for (; *text; text++) {
		const char one[2] = { *text, '\0' };
		const char *what = one;

		/* at the end it is a percent sign: CPUQuota=50% */
		if (*text == '%' && text[1] && *++text != '%') {
			if (!strchr("nus", *text))
				return "unknown specifier: %n, %u, %s and %% are known";
			what = expand_expansion(*text, s);
			if (!what)
				return *text == 'n'   ? "%n has no meaning here"
				       : *text == 'u' ? "%u is not known here"
						      : "%s has no meaning here";
		}
		if (!expand_add(out, &len, what, &room))
			return too_long;
	}
	out[len] = '\0';
	return NULL;
}
