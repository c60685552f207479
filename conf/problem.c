/* SPDX-License-Identifier: MIT */
#include "conf/conf.h"

#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

void conf_problem(struct conf_problems *p, const struct conf_place *place, const char *key,
	const char *fmt, ...)
{
	char *reason;
	va_list ap;

	if (++p->count > CONF_PROBLEMS_MAX) {
		if (p->count == CONF_PROBLEMS_MAX + 1)
			buf_adds(&p->text, "more problems follow; cure these first\n");
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&reason, fmt, ap) < 0)
		reason = NULL;
	va_end(ap);
	if (place->file && place->line)
		buf_printf(&p->text, "%s:%u: ", place->file, place->line);
	else if (place->file)
		buf_printf(&p->text, "%s: ", place->file);
	if (key)
		buf_printf(&p->text, "%s: ", key);
	buf_printf(&p->text, "%s\n", reason ? reason : fmt);
	free(reason);
}

void conf_problems_release(struct conf_problems *p)
{
	buf_release(&p->text);
	p->count = 0;
}

/* The length of the whole lines that fit into max bytes, without the last newline. */
static size_t whole_lines(const char *text, size_t len, size_t max)
{
	const char *nl = memrchr(text, '\n', len < max ? len : max);

	return nl ? (size_t)(nl - text) : len < max ? len : max;
}

int conf_problems_err(const struct conf_problems *p, struct err *e)
{
	enum { REST = 64 };
	size_t fit, shown = 1;

	if (!p->count)
		return 0;
	fit = whole_lines(p->text.data, p->text.len, ERR_TEXT_MAX - REST);
	for (size_t i = 0; i < fit; i++)
		shown += p->text.data[i] == '\n';
	if (shown >= p->count)
		return err_set(e, ERR_INVALID_CONFIG, "%.*s", (int)fit, p->text.data);
	return err_set(e, ERR_INVALID_CONFIG, "%.*s\nand %zu more", (int)fit, p->text.data,
		p->count - shown);
}
