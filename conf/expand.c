/* SPDX-License-Identifier: MIT */
#include "conf/value.h"

void conf_add_literal(struct buf *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '%')
			buf_addc(out, '%');
		buf_addc(out, *value);
	}
}

char *conf_literal(const char *value)
{
	struct buf b = BUF_INIT;

	conf_add_literal(&b, value);
	return buf_steal(&b);
}

/* Adds what fits; subtracts from room what writing it again would take. */
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
	const struct {
		char letter;
		const char *text, *unknown;
	} known[] = {
		{ 'n', s->name, "%n has no meaning here" },
		{ 'u', s->uuid, "%u is not known here" },
		{ 's', s->state, "%s has no meaning here" },
	};
	size_t len = 0;

	for (; *text; text++) {
		const char one[2] = { *text, '\0' };
		const char *what = one;

		/* a final % is literal: CPUQuota=50% */
		if (*text == '%' && text[1] && *++text != '%') {
			size_t i = 0;

			while (i < ARRAY_SIZE(known) && known[i].letter != *text)
				i++;
			if (i == ARRAY_SIZE(known))
				return "unknown specifier: %n, %u, %s and %% are known";
			what = known[i].text;
			if (!what)
				return known[i].unknown;
		}
		if (!expand_add(out, &len, what, &room))
			return "too long once its specifiers are expanded";
	}
	out[len] = '\0';
	return NULL;
}
