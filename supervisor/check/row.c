/* SPDX-License-Identifier: MIT */
#include "supervisor/check/vm.h"

#include "base/mem.h"

void check_row(struct conf_problems *rows, const struct conf_place *place, const char *key,
	const char *severity, const char *reason, const char *hint)
{
	struct conf_problem p = { .key = key,
		.reason = reason,
		.hint = hint && *hint ? hint : NULL,
		.warning = streq(severity, "warning") };

	if (place)
		p.place = *place;
	conf_problem_add(rows, &p);
}
