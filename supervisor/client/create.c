/* SPDX-License-Identifier: MIT */
/* Prints the file of a new VM, and what became of the VM. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/client/command.h"

static void create_print_file(struct command *c, const char *target, const json_t *result)
{
	const char *file = json_string_value(json_object_get(result, "file")),
		   *text = json_string_value(json_object_get(result, "text"));
	_cleanup_(free_ptr) char *safe = text ? text_escape(text, strlen(text), true) : NULL;

	buf_printf(&c->out, "%s: %s\n", target, file);
	for (const char *line = safe; line && *line;) {
		size_t len = strcspn(line, "\n");

		buf_printf(&c->out, "%s%.*s\n", len ? "    " : "", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

void create_print(struct command *c, const char *target, const json_t *result)
{
	const char *state = json_string_value(json_object_get(result, "state"));

	if (!json_object_get(result, "text")) { /* --no-wait: the result is the job */
		command_print(c, target, result);
		return;
	}
	create_print_file(c, target, result);
	if (state && !streq(state, "stopped"))
		buf_printf(&c->out, "%s: %s\n", target, state);
	else
		buf_printf(&c->out, "%s: created; vmkeep start %s starts it\n", target, target);
}

void create_print_dry(struct command *c, const char *target, const json_t *result)
{
	create_print_file(c, target, result);
	buf_printf(&c->out, "%s: a dry run, nothing was written\n", target);
}
