/* SPDX-License-Identifier: MIT */
/* Prints what was removed, what could not be, and how much is free now. */
#include "base/text.h"
#include "supervisor/client/command.h"
#include "supervisor/client/value.h"

static void prune_print_rows(
	struct command *c, const json_t *result, const char *one, const char *all)
{
	uint64_t sum = 0;
	char size[32];
	size_t i;
	json_t *row;

	json_array_foreach (json_object_get(result, "rows"), i, row) {
		const char *path = json_string_value(value_cell(result, row, "path")),
			   *why = json_string_value(value_cell(result, row, "why"));
		uint64_t freed = (uint64_t)json_integer_value(value_cell(result, row, "freed"));

		sum += freed;
		if (why)
			buf_printf(&c->out, "%s: %s\n", path, why);
		else
			buf_printf(&c->out, "%s %s: %s\n", path, one,
				text_size(size, sizeof size, freed));
	}
	buf_printf(&c->out, "%s %s\n", text_size(size, sizeof size, sum), all);
}

void prune_print(struct command *c, const char *target, const json_t *result)
{
	if (json_object_get(result, "rows"))
		prune_print_rows(c, result, "was removed", "freed");
	else /* --no-wait: the result is the job */
		command_print(c, target, result);
}

void prune_print_dry(struct command *c, const char *target, const json_t *result)
{
	prune_print_rows(c, result, "would be removed", "would be freed");
}

int prune_status(const json_t *result)
{
	size_t i;
	json_t *row;

	json_array_foreach (json_object_get(result, "rows"), i, row)
		if (!json_is_null(value_cell(result, row, "why")))
			return api_class(ERR_FAILED)->exit;
	return 0;
}
