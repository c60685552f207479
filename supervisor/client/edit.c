/* SPDX-License-Identifier: MIT */
/* Prints what a change did to a VM's files: "web1: /etc/vmkeep/web1.vm:7: Memory=2G (was 1G)". */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/client/command.h"
#include "supervisor/client/value.h"

/* Escaped; NULL where the cell is null. */
static char *edit_cell(const json_t *table, const json_t *row, const char *column)
{
	const json_t *v = value_cell(table, row, column);

	if (json_is_string(v))
		return text_escape(json_string_value(v), json_string_length(v), false);
	return v && !json_is_null(v) ? value_text(NULL, v) : NULL;
}

static void edit_print_was(struct buf *b, const char *change, const char *value, const char *was)
{
	if (streq(change, "changed"))
		buf_printf(b, " (was %s)", was && *was ? was : "empty");
	else if (streq(change, "added") && was)
		buf_printf(b, " (new, was %s)", was);
	else if (streq(change, "added"))
		buf_adds(b, " (new)");
	else if (streq(change, "removed"))
		buf_printf(b, " removed (was %s)", was && *was ? was : "empty");
	else
		buf_adds(b, " already");
	if (streq(change, "removed") && value)
		buf_printf(b, "; now %s", value);
}

static void edit_print_applies(struct buf *b, const char *applies)
{
	static const struct {
		const char *applies, *text;
	} known[] = {
		{ "live", "; applies now" },
		{ "guest", "; applies when the guest takes part" },
		{ "start", "; applies at the next start" },
		{ "once", "; applies only when the image is created" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(known[i].applies, applies))
			buf_adds(b, known[i].text);
}

static void edit_print_conflict(
	struct buf *b, const char *target, const json_t *table, const json_t *row)
{
	const char *text = json_string_value(value_cell(table, row, "conflict"));

	while (text && *text) {
		size_t len = strcspn(text, "\n");
		_cleanup_(free_ptr) char *line = text_escape(text, len, false);

		buf_printf(b, "%s: warning: %s\n", target, line);
		text += len + (text[len] == '\n');
	}
}

static void edit_print_row(
	struct buf *b, const char *target, const json_t *table, const json_t *row)
{
	_cleanup_(free_ptr) char *file = edit_cell(table, row, "file"),
				 *line = edit_cell(table, row, "line"),
				 *section = edit_cell(table, row, "section"),
				 *id = edit_cell(table, row, "id"),
				 *key = edit_cell(table, row, "key"),
				 *change = edit_cell(table, row, "change"),
				 *value = edit_cell(table, row, "value"),
				 *was = edit_cell(table, row, "was"),
				 *applies = edit_cell(table, row, "applies");

	buf_printf(b, "%s: ", target);
	if (file)
		buf_printf(b, "%s:%s: ", file, line);
	if (!file || !*key || json_is_true(value_cell(table, row, "section_added")))
		buf_printf(b, "[%s%s%s] ", section, id ? " " : "", id ? id : "");
	if (!*key) { /* a whole section */
		buf_adds(b, change);
		edit_print_applies(b, applies);
		buf_addc(b, '\n');
		return;
	}
	buf_adds(b, key);
	if (!streq(change, "removed") && value)
		buf_printf(b, "=%s", value);
	if (!streq(change, "unchanged") || value)
		edit_print_was(b, change, value, was);
	else
		buf_adds(b, " was not set");
	edit_print_applies(b, applies);
	buf_addc(b, '\n');
}

void edit_print(struct command *c, const char *target, const json_t *result)
{
	size_t i;
	json_t *row;

	if (!value_is_table(result)) { /* --no-wait: the result is the job */
		command_print(c, target, result);
		return;
	}
	json_array_foreach (json_object_get(result, "rows"), i, row)
		edit_print_row(&c->out, target, result, row);
	json_array_foreach (json_object_get(result, "rows"), i, row)
		edit_print_conflict(&c->out, target, result, row);
}

void edit_print_dry(struct command *c, const char *target, const json_t *result)
{
	edit_print(c, target, result);
	buf_printf(&c->out, "%s: a dry run, nothing was written\n", target);
}
