/* SPDX-License-Identifier: MIT */
#include "supervisor/check/vm.h"

#include "base/mem.h"

void check_row_has(struct conf_problems *rows, const struct conf_place *place, const char *key,
	const char *severity, const struct err *e, const char *has)
{
	struct conf_problem p = { .key = key,
		.reason = e->text,
		.hint = *e->hint ? e->hint : NULL,
		.warning = streq(severity, "warning"),
		.has = has,
		.class = e->class };

	if (place)
		p.place = *place;
	conf_problem_add(rows, &p);
}

void check_row(struct conf_problems *rows, const struct conf_place *place, const char *key,
	const char *severity, const struct err *e)
{
	check_row_has(rows, place, key, severity, e, NULL);
}
