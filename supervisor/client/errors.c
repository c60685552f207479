/* SPDX-License-Identifier: MIT */
#include "supervisor/client/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/api.h"

static bool errors_stderr_has_colour(void)
{
	const char *no = getenv("NO_COLOR");

	return isatty(STDERR_FILENO) && !(no && *no);
}

/* The daemon's text may quote QEMU or a guest, so escape it. */
static void errors_add_lines(struct buf *b, const char *text, size_t indent)
{
	for (bool first = true;; first = false) {
		size_t len = strcspn(text, "\n");
		_cleanup_(free_ptr) char *line = text_escape(text, len, false);

		if (!first)
			buf_printf(b, "%*s", (int)indent, "");
		buf_printf(b, "%s\n", line);
		if (!text[len] || !text[len + 1])
			return;
		text += len + 1;
	}
}

/* "no such VM: web1", "no network 'lan'": the target need not stand before it too. */
static bool errors_ends_with(const char *text, const char *target)
{
	_cleanup_(free_ptr) char *plain = xasprintf(": %s", target),
				 *quoted = xasprintf(" '%s'", target);
	size_t len = strlen(text);

	return (len > strlen(plain) && streq(text + len - strlen(plain), plain)) ||
	       (len > strlen(quoted) && streq(text + len - strlen(quoted), quoted));
}

void errors_format(struct buf *b, const char *target, const struct err *e, bool colour)
{
	size_t indent = strlen("vmkeep: ");

	buf_printf(b, "%svmkeep:%s ", colour ? "\033[1;31m" : "", colour ? "\033[0m" : "");
	if (target && !errors_ends_with(e->text, target)) {
		_cleanup_(free_ptr) char *safe = text_escape(target, strlen(target), false);

		buf_printf(b, "%s: ", safe);
		indent += strlen(safe) + 2;
	}
	errors_add_lines(b, e->text[0] ? e->text : "failed without a reason", indent);
	if (e->hint[0]) {
		buf_printf(b, "%shint:%s ", colour ? "\033[1m" : "", colour ? "\033[0m" : "");
		errors_add_lines(b, e->hint, strlen("hint: "));
	}
}

int errors_print(const char *target, const struct err *e)
{
	struct buf b = BUF_INIT;

	errors_format(&b, target, e, errors_stderr_has_colour());
	file_write_all(STDERR_FILENO, b.data, b.len);
	buf_release(&b);
	return api_class(e->class)->exit;
}

void errors_note(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fprintf(stderr, "note: %s\n", text);
}

int errors_from_json(const json_t *error, struct err *e)
{
	const char *class = json_string_value(json_object_get(error, "class"));
	const char *desc = json_string_value(json_object_get(error, "desc"));
	const char *hint = json_string_value(json_object_get(error, "hint"));
	enum err_class c = ERR_FAILED;
	int r;

	if (class && !api_class_parse(class, &c))
		c = ERR_FAILED;
	r = err_set(e, c, "%s", desc ? desc : "the daemon gave no reason");
	if (hint)
		err_hint(e, "%s", hint);
	return r;
}

json_t *errors_to_json(const struct err *e)
{
	return json_pack("{s:s, s:s, s:s?}", "class", api_class(e->class)->name, "desc", e->text,
		"hint", e->hint[0] ? e->hint : NULL);
}
