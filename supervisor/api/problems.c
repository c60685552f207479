/* SPDX-License-Identifier: MIT */
#include "supervisor/api/result.h"

#include "conf/conf.h"
#include "supervisor/api/api.h"

json_t *api_problems(const struct conf_problems *p, bool whole)
{
	json_t *rows = json_array();

	for (const struct conf_problem *i = p->item; i < p->item + p->n; i++) {
		json_t *line = i->place.line ? json_integer(i->place.line) : json_null();
		const char *severity = i->warning ? "warning" : "error",
			   *class = i->warning ? NULL : api_class(i->class)->name;

		json_array_append_new(
			rows, whole ? json_pack("[s?, o, s?, s, s, s?, s?]", i->place.file, line,
					      i->key, i->reason, severity, i->hint, class)
				    : json_pack("[s?, o, s?, s]", i->place.file, line, i->key,
					      i->reason));
	}
	return api_table(whole ? api_check_row : api_problem_row, rows);
}
