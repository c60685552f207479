/* SPDX-License-Identifier: MIT */
/*
 * On a terminal, asks before ending or discarding more than what was named: all VMs, or those that a
 * pattern found. Scripts have no terminal, and go on as always; only what deletes a VM or
 * an image for good (API_ASKS) is always asked for, and needs --yes there; before it asks, it shows what a
 * dry run says.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "supervisor/client/command.h"
#include "supervisor/client/value.h"

enum { NAMES_MAX = 10 };

struct names {
	struct buf text;
	size_t n;
};

static void confirm_add(struct names *l, const char *name)
{
	if (l->n < NAMES_MAX)
		buf_printf(&l->text, "%s%s", l->n ? ", " : "", name);
	l->n++;
}

static bool confirm_is_pattern(const struct command *c)
{
	for (size_t i = 0; i < c->args->targets; i++)
		if (strpbrk(c->args->target[i], "*?["))
			return true;
	return false;
}

static void confirm_add_running(struct command *c, struct names *l, struct err *e)
{
	json_t *list = conn_call(&c->conn, "vm-list", NULL, e), *row;
	size_t i;

	json_array_foreach (json_object_get(list, "rows"), i, row) {
		const char *state = json_string_value(value_cell(list, row, "state"));

		if (!streq(state, "stopped") && !streq(state, "backoff") && !streq(state, "failed"))
			confirm_add(l, json_string_value(value_cell(list, row, "name")));
	}
	json_decref(list);
}

/* What a dry run says, which may be that it would be refused. */
static void confirm_show_dry(struct command *c, const char *target, struct err *e)
{
	json_t *arguments = json_copy(c->args->arguments), *result;

	json_object_update_new(
		arguments, json_pack("{s:s*, s:b}", "name", target, "dry-run", true));
	result = conn_call(&c->conn, c->verb->execute, arguments, e);
	if (result)
		c->form->print_dry(c, target, result);
	else if (target)
		err_wrap(e, e->number, "%s", target);
	fwrite(c->out.data, 1, c->out.len, stderr);
	buf_clear(&c->out);
	json_decref(arguments);
	json_decref(result);
}

static bool confirm_answer(void)
{
	char line[16];

	return fgets(line, sizeof line, stdin) && tolower((unsigned char)line[0]) == 'y';
}

int confirm(struct command *c, struct err *e)
{
	const bool all = streq(c->verb->execute, "vms-shutdown");
	const bool always = c->verb->traits & API_ASKS;
	const bool itself = always && c->verb->target == API_NO_TARGET; /* there are no names */
	const bool terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
	struct names names = { 0 };
	bool yes = true;

	if (!(c->verb->traits & API_HARMS) || c->args->given[ARGS_YES] ||
		json_is_true(json_object_get(c->args->arguments, "dry-run")) ||
		(!terminal && !always))
		return 0;
	if (!terminal) {
		err_set(e, ERR_USAGE, "%s: there is no terminal to ask on, nothing was done",
			c->verb->command);
		return err_hint(e, "--yes answers in advance");
	}
	if (all)
		confirm_add_running(c, &names, e);
	else if (always || confirm_is_pattern(c))
		for (size_t i = 0; i < c->targets; i++)
			confirm_add(&names, c->target[i]);
	for (size_t i = 0; always && i < c->targets + itself && !e->number; i++)
		confirm_show_dry(c, itself ? NULL : c->target[i], e);
	if (!e->number && (itself || names.n > !(all || always))) {
		fprintf(stderr, "%s%s%s%s\nContinue? [y/N] ", c->verb->command, itself ? "" : ": ",
			itself ? "" : names.text.data, names.n > NAMES_MAX ? " and others" : "");
		yes = confirm_answer();
	}
	buf_release(&names.text);
	if (yes)
		return e->number;
	err_set(e, ERR_FAILED, "%s: not confirmed, nothing was done", c->verb->command);
	return err_hint(e, "--yes answers in advance");
}
