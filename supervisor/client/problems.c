/* SPDX-License-Identifier: MIT */
/* `list --problems`: prints and ends as Nagios expects it of a check. */
#include <ctype.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/value.h"

/* Exit codes of Nagios. */
enum { FINE, WARNING, CRITICAL, UNKNOWN };

void problems_print(struct command *c, const char *target, const json_t *result)
{
	static const char *const columns[] = { "severity", "what", "name", "problem" };
	size_t i;
	json_t *row;

	json_array_foreach (json_object_get(result, "rows"), i, row) {
		char *text[ARRAY_SIZE(columns)];

		for (size_t k = 0; k < ARRAY_SIZE(columns); k++)
			text[k] = value_text(NULL, value_cell(result, row, columns[k]));
		for (char *s = text[0]; *s; s++)
			*s = (char)toupper((unsigned char)*s);
		buf_printf(&c->out, "%s %s%s%s: %s\n", text[0], streq(text[1], "vm") ? "" : text[1],
			streq(text[1], "vm") ? "" : " ", text[2], text[3]);
		for (size_t k = 0; k < ARRAY_SIZE(columns); k++)
			free(text[k]);
	}
	if (i == 0)
		buf_adds(&c->out, "OK: no problems\n");
}

/* Rows are sorted: critical, unknown, warning. */
static int problems_status(const json_t *result)
{
	const json_t *row = json_array_get(json_object_get(result, "rows"), 0);
	const char *worst = json_string_value(value_cell(result, row, "severity"));

	if (!row)
		return FINE;
	return streq(worst, "critical") ? CRITICAL : streq(worst, "warning") ? WARNING : UNKNOWN;
}

/* Nagios shows what is on stdout. */
static int problems_unknown(struct command *c, const struct err *e)
{
	_cleanup_(free_ptr) char *text = text_escape(e->text, strcspn(e->text, "\n"), false);

	if (c->json)
		command_add_json_error(c, NULL, e);
	else if (!c->quiet)
		buf_printf(&c->out, "UNKNOWN: %s\n", text);
	errors_print(NULL, e);
	command_flush_json(c);
	command_flush(c);
	return UNKNOWN;
}

int problems_run(struct command *c)
{
	struct err e = ERR_INIT;
	json_t *result;
	int status;

	if (!json_is_true(json_object_get(c->args->arguments, "problems")))
		return calls_run(c);
	if (command_open(c, &e) < 0)
		return problems_unknown(c, &e);
	result = conn_call(&c->conn, c->verb->execute, c->args->arguments, &e);
	if (!result)
		return problems_unknown(c, &e);
	command_result(c, NULL, result);
	status = problems_status(result);
	json_decref(result);
	command_flush_json(c);
	command_flush(c);
	return status;
}
