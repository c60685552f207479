/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/text.h"
#include "supervisor/qemu/argv_build.h"

void argv_failed(struct argv_build *b)
{
	if (b->r == 0) {
		err_copy(&b->first, &b->e);
		b->first_place = b->place;
		b->first_key = b->key;
	}
	b->r = b->first.number;
}

void argv_word(struct argv_build *b, const char *word)
{
	struct argv *a = b->out;

	if (a->n + 1 >= b->cap) {
		size_t cap = b->cap ? 2 * b->cap : 64;
		const char **more = arena_alloc(&a->arena, cap * sizeof *more);

		if (a->n)
			memcpy(more, a->word, a->n * sizeof *more);
		a->word = more;
		b->cap = cap;
	}
	a->word[a->n++] = arena_strdup(&a->arena, word);
	a->word[a->n] = NULL;
}

void argv_option(struct argv_build *b, const char *option, const char *fmt, ...)
{
	char *value;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&value, fmt, ap) < 0)
		abort();
	va_end(ap);
	argv_word(b, option);
	argv_word(b, value);
	free(value);
}

void argv_json(struct argv_build *b, const char *option, json_t *o /* stolen */)
{
	const char *driver = json_string_value(json_object_get(o, "driver"));
	char *text;

	if (!o && b->e.number)
		argv_failed(b);
	if (!o || b->r < 0) {
		json_decref(o);
		return;
	}
	if (streq(option, "-device") && !probe_has_device(b->p, driver)) {
		err_set(&b->e, ERR_INVALID_CONFIG, "'%s' has no device '%s'", b->p->binary, driver);
		err_hint(&b->e,
			"install the package that provides it, or choose another Bus=, Model= or Video=");
		argv_failed(b);
	}
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (!text)
		abort(); /* jansson ran out of memory */
	argv_word(b, option);
	argv_word(b, text);
	free(text);
}

const char *argv_comma(struct argv_build *b, const char *value)
{
	_cleanup_(buf_release) struct buf t = BUF_INIT;
	const char *s;

	for (const char *p = value; *p; p++) {
		buf_addc(&t, *p);
		if (*p == ',')
			buf_addc(&t, ',');
	}
	s = arena_strdup(&b->out->arena, t.data ? t.data : "");
	return s;
}
