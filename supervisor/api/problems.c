/* SPDX-License-Identifier: MIT */
#include "supervisor/api/problems.h"

json_t *api_problems(const struct conf_problems *p, bool whole)
{
	json_t *rows = json_array(), *columns;

	columns = whole ? json_pack("[s, s, s, s, s, s]", "file", "line", "key", "reason", "severity", "hint") :
			  json_pack("[s, s, s, s]", "file", "line", "key", "reason");
	for (const struct conf_problem *i = p->item; i < p->item + p->n; i++) {
		json_t *line = i->place.line ? json_integer(i->place.line) : json_null();
		const char *severity = i->warning ? "warning" : "error";

		json_array_append_new(rows,
			whole ? json_pack("[s?, o, s?, s, s, s?]", i->place.file, line, i->key, i->reason, severity,
					i->hint) :
				json_pack("[s?, o, s?, s]", i->place.file, line, i->key, i->reason));
	}
	return json_pack("{s:o, s:o}", "columns", columns, "rows", rows);
}
