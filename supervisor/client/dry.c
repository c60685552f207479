/* SPDX-License-Identifier: MIT */
/* The output of --dry-run, whose results have other members than the verb's own. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/client/command.h"
#include "supervisor/client/print.h"
#include "supervisor/client/value.h"

static size_t dry_rows(const json_t *result)
{
	return json_array_size(json_object_get(result, "rows"));
}

static char *dry_value(struct command *c, const json_t *result, const char *key)
{
	return value_text(value_field(c->result->members, key), json_object_get(result, key));
}

void dry_shutdown_print(struct command *c, const char *target, const json_t *result)
{
	_cleanup_(free_ptr) char *budget = dry_value(c, result, "budget");
	_cleanup_(free_ptr) char *sum = dry_value(c, result, "sum");
	_cleanup_(free_ptr) char *chain = dry_value(c, result, "chain");
	_cleanup_(free_ptr) char *networks = dry_value(c, result, "networks");
	const char *at_most = json_is_null(json_object_get(result, "sum")) ? "without limit" : sum;

	if (!dry_rows(result)) {
		buf_adds(&c->out, "no VM runs\n");
	} else {
		print_table(&c->out, c->result->columns, result, NULL, 0, c->width);
		buf_printf(&c->out, "sum: %s (%s), of %s", at_most, chain, budget);
		buf_adds(&c->out,
			json_is_true(json_object_get(result, "fits"))
				? "; guests that are not down in time are killed\n"
				: ": it does not fit, and guests that are not down in time are killed\n");
	}
	if (json_array_size(json_object_get(result, "networks")))
		buf_printf(&c->out, "then networks: %s\n", networks);
}

int dry_status(const json_t *result)
{
	const json_t *refused = json_object_get(result, "refused");
	enum err_class class = ERR_WRONG_STATE;

	if (!json_is_object(refused))
		return 0;
	api_class_parse(json_string_value(json_object_get(refused, "class")), &class);
	return api_class(class)->exit;
}

/* "default: would be refused: ..." */
static void dry_refused(struct command *c, const char *target, const json_t *result)
{
	const json_t *refused = json_object_get(result, "refused");
	_cleanup_(free_ptr) char *why = value_text(NULL, json_object_get(refused, "desc"));
	_cleanup_(free_ptr) char *hint = value_text(NULL, json_object_get(refused, "hint"));

	if (!json_is_object(refused))
		return;
	buf_printf(&c->out, "%s: would be refused: %s\n", target, why);
	if (strcmp(hint, "-") != 0)
		buf_printf(&c->out, "  hint: %s\n", hint);
}

void dry_net_stop_print(struct command *c, const char *target, const json_t *result)
{
	_cleanup_(free_ptr) char *state = dry_value(c, result, "state");

	dry_refused(c, target, result);
	if (!dry_rows(result)) {
		buf_printf(&c->out, "%s: %s, nothing would be cut off or removed\n", target, state);
		return;
	}
	buf_printf(&c->out, "%s: %s, would be cut off or removed:\n", target, state);
	print_table(&c->out, c->result->columns, result, NULL, 2, c->width);
}

/* Hides columns that are null in all rows. */
static bool dry_is_silent(const char *column, const json_t *v)
{
	return json_is_null(v);
}

void dry_reload_print(struct command *c, const char *target, const json_t *result)
{
	if (dry_rows(result))
		print_table(&c->out, c->result->columns, result, dry_is_silent, 0, c->width);
	else
		buf_adds(&c->out, "nothing would change\n");
}

void dry_revert_print(struct command *c, const char *target, const json_t *result)
{
	_cleanup_(free_ptr) char *name = dry_value(c, result, "snapshot");
	_cleanup_(free_ptr) char *created = dry_value(c, result, "created");
	_cleanup_(free_ptr) char *state = dry_value(c, result, "state");
	_cleanup_(free_ptr) char *guest = dry_value(c, result, "guest");
	_cleanup_(free_ptr) char *after = dry_value(c, result, "after");

	dry_refused(c, target, result);
	if (!dry_rows(result))
		return;
	buf_printf(&c->out,
		"%s: would be reverted to '%s' of %s; what was written to these disks since then is lost:\n",
		target, name, created);
	print_table(&c->out, c->result->columns, result, NULL, 2, c->width);
	buf_printf(&c->out, "%s: %s now, %s then: the guest %s\n", target, state, after, guest);
}
