/* SPDX-License-Identifier: MIT */
#include "conf/conf.h"

#include <stdarg.h>

#include "base/mem.h"

void conf_problem_add(struct conf_problems *p, const struct conf_problem *problem)
{
	GROW(p->item, p->n, p->cap);
	p->item[p->n++] = (struct conf_problem){
		.place = { arena_strdup(&p->arena, problem->place.file), problem->place.line },
		.key = arena_strdup(&p->arena, problem->key),
		.reason = arena_strdup(&p->arena, problem->reason),
		.hint = arena_strdup(&p->arena, problem->hint),
		.warning = problem->warning,
		.has = arena_strdup(&p->arena, problem->has),
		.class = problem->class,
	};
	if (problem->warning)
		p->warnings++;
	else
		p->count++;
}

void conf_warning(struct conf_problems *p, const struct conf_place *place, const char *key,
	const char *fmt, ...)
{
	_cleanup_(free_ptr) char *reason = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&reason, fmt, ap) < 0)
		reason = NULL;
	va_end(ap);
	if (p->warnings < CONF_PROBLEMS_MAX)
		conf_problem_add(p, &(struct conf_problem){ .place = *place,
					    .key = key,
					    .reason = reason ? reason : fmt,
					    .warning = true });
}

void conf_problem(struct conf_problems *p, const struct conf_place *place, const char *key,
	const char *fmt, ...)
{
	_cleanup_(free_ptr) char *reason = NULL;
	va_list ap;

	if (p->count > CONF_PROBLEMS_MAX) {
		p->count++;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&reason, fmt, ap) < 0)
		reason = NULL;
	va_end(ap);
	if (p->count == CONF_PROBLEMS_MAX)
		conf_problem_add(p,
			&(struct conf_problem){ .reason = "more problems follow; fix these first",
				.class = ERR_INVALID_CONFIG });
	else
		conf_problem_add(p, &(struct conf_problem){ .place = *place,
					    .key = key,
					    .reason = reason ? reason : fmt,
					    .class = ERR_INVALID_CONFIG });
}

void conf_problems_add(struct conf_problems *to, const struct conf_problems *from)
{
	to->count += from->count - (from->n - from->warnings); /* those not kept */
	for (size_t i = 0; i < from->n; i++)
		conf_problem_add(to, &from->item[i]);
}

void conf_problems_release(struct conf_problems *p)
{
	arena_release(&p->arena);
	free(p->item);
	*p = (struct conf_problems){ 0 };
}

void conf_problem_print(const struct conf_problem *p, struct buf *b)
{
	if (p->place.file && p->place.line)
		buf_printf(b, "%s:%u: ", p->place.file, p->place.line);
	else if (p->place.file)
		buf_printf(b, "%s: ", p->place.file);
	if (p->key)
		buf_printf(b, "%s: ", p->key);
	buf_adds(b, p->reason);
}

char *conf_problems_text(const struct conf_problems *p)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < p->n; i++) {
		conf_problem_print(&p->item[i], &b);
		buf_addc(&b, '\n');
	}
	return b.data ? b.data : xstrdup("");
}

int conf_problems_err(const struct conf_problems *p, struct err *e)
{
	enum { ROOM = ERR_TEXT_MAX - 64 };
	_cleanup_(buf_release) struct buf b = BUF_INIT;
	size_t fit = 0, shown = 0;

	if (!p->count)
		return 0;
	/* whole lines; the first one is truncated if it does not fit */
	for (; shown < p->n; shown++) {
		if (shown)
			buf_addc(&b, '\n');
		conf_problem_print(&p->item[shown], &b);
		if (b.len > ROOM && shown)
			break;
		fit = b.len < ROOM ? b.len : ROOM;
	}
	if (shown >= p->count + p->warnings)
		return err_set(e, ERR_INVALID_CONFIG, "%.*s", (int)fit, b.data);
	return err_set(e, ERR_INVALID_CONFIG, "%.*s\nand %zu more", (int)fit, b.data,
		p->count + p->warnings - shown);
}
