/* SPDX-License-Identifier: MIT */
#include "supervisor/check/vm.h"

void check_row(json_t *rows, const struct conf_place *place, const char *key, const char *severity,
	const char *reason, const char *hint)
{
	json_t *line = place && place->line ? json_integer(place->line) : json_null();

	json_array_append_new(
		rows, json_pack("[s?, o, s?, s, s, s?]", place ? place->file : NULL, line, key,
			      reason, severity, hint && *hint ? hint : NULL));
}
