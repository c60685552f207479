/* SPDX-License-Identifier: MIT */
#include "supervisor/client/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/print.h"
#include "supervisor/client/value.h"

enum { LINE_MEMBERS_MAX = 3 };

void command_flush(struct command *c)
{
	int r = c->out.len ? file_write_all(STDOUT_FILENO, c->out.data, c->out.len) : 0;

	buf_clear(&c->out);
	if (r == -EPIPE || r == -EBADF)
		exit(EXIT_FAILURE);
	if (r < 0) {
		struct err e = ERR_INIT;

		errno = -r;
		err_errno(&e, "write to standard output");
		errors_print(NULL, &e);
		exit(EXIT_FAILURE);
	}
}

static int command_add_text(const char *text, size_t len, void *out)
{
	return buf_add(out, text, len);
}

static void command_add_json(struct command *c, const char *target, const json_t *result)
{
	json_t *elements = api_objects(c->verb, c->result, target, result);

	if (!c->document)
		c->document = json_array();
	json_array_extend(c->document, elements);
	json_decref(elements);
}

void command_add_json_error(struct command *c, const char *target, const struct err *e)
{
	json_t *element = target ? json_pack("{s:s}", "name", target) : json_object();

	json_object_set_new(element, "error", errors_to_json(e));
	if (!c->document)
		c->document = json_array();
	json_array_append_new(c->document, element);
}

int command_failed(const struct command *c, int code)
{
	return c->verb->traits & API_RUNS ? API_EXIT_OWN : code;
}

void command_flush_json(struct command *c)
{
	if (!c->document)
		return;
	command_print_json(
		c, api_is_array(c->verb, c->result) ? c->document : json_array_get(c->document, 0));
	json_decref(c->document);
	c->document = NULL;
	command_flush(c);
}

void command_print_json(struct command *c, const json_t *value)
{
	json_dump_callback(value, command_add_text, &c->out, JSON_INDENT(2) | JSON_ENCODE_ANY);
	buf_addc(&c->out, '\n');
}

void command_print_notes(struct command *c, const char *target, const json_t *notes)
{
	size_t i;
	json_t *note;

	json_array_foreach (notes, i, note) {
		_cleanup_(free_ptr) char *text = value_text(NULL, note);

		buf_printf(&c->out, "%s: %s\n", target, text);
	}
}

/* "web1: already stopped (guest-shutdown)", "web1: running, address 10.0.0.2". */
static void command_print_line(struct command *c, const char *target, const json_t *result)
{
	_cleanup_(free_ptr) char *safe = text_escape(target, strlen(target), false);
	const char *gap = "", *key;
	json_t *v;

	command_print_notes(c, safe, json_object_get(result, "notes"));
	buf_printf(&c->out, "%s:", safe);
	if (json_is_false(json_object_get(result, "changed")))
		buf_adds(&c->out, " already");
	json_object_foreach ((json_t *)(uintptr_t)result, key, v) {
		_cleanup_(free_ptr) char *text =
			value_text(value_field(c->result->members, key), v);

		if (streq(key, "changed") || streq(key, "notes") || streq(text, "-"))
			continue;
		if (streq(key, "state"))
			buf_printf(&c->out, " %s", text);
		else if (streq(key, "reason"))
			buf_printf(&c->out, " (%s)", text);
		else
			buf_printf(&c->out, "%s %s %s", gap, key, text);
		gap = ",";
	}
	buf_adds(&c->out, json_object_size(result) ? "\n" : " done\n");
}

static bool command_is_line(const json_t *result)
{
	size_t members = json_object_size(result);
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)(uintptr_t)result, key, v)
		if (streq(key, "notes"))
			members--;
		else if (json_is_array(v) || json_is_object(v))
			return false;
	return json_is_object(result) && members <= LINE_MEMBERS_MAX;
}

/* Separates the results of several targets if they do not contain the name. */
static void command_print_heading(struct command *c, const char *target, const json_t *result)
{
	_cleanup_(free_ptr) char *safe = text_escape(target, strlen(target), false);

	if (c->headings++)
		buf_addc(&c->out, '\n');
	if (!json_object_get(result, "name"))
		buf_printf(&c->out, "%s:\n", safe);
}

void command_print(struct command *c, const char *target, const json_t *result)
{
	const json_t *text = json_object_get(result, "text");

	if (json_is_string(text)) {
		buf_add(&c->out, json_string_value(text), json_string_length(text));
		if (c->out.len && c->out.data[c->out.len - 1] != '\n')
			buf_addc(&c->out, '\n');
	} else if (target && command_is_line(result)) {
		command_print_line(c, target, result);
	} else if (!json_is_object(result) || json_object_size(result)) {
		if (target && c->targets > 1)
			command_print_heading(c, target, result);
		print_result(&c->out,
			value_is_table(result) ? c->result->columns : c->result->members, result,
			c->width);
	}
}

/* True if any row has this value in the column, or if value is NULL and there is any row. */
static bool command_has_row(const json_t *table, const char *column, const char *value)
{
	size_t i;
	json_t *row;

	json_array_foreach (json_object_get(table, "rows"), i, row) {
		_cleanup_(free_ptr) char *text = value_text(NULL, value_cell(table, row, column));

		if (!value || streq(text, value))
			return true;
	}
	return false;
}

int command_result(struct command *c, const char *target, const json_t *result)
{
	const struct command_form *f = c->form;
	bool dry = f->print_dry && c->result == &c->verb->other;

	if (c->json)
		command_add_json(c, target, result);
	else if (!c->quiet)
		(dry ? f->print_dry : f->print ? f->print : command_print)(c, target, result);
	if (f->column)
		return command_has_row(result, f->column, f->value) ? api_class(f->class)->exit : 0;
	return f->status ? f->status(result) : 0;
}

int command_open(struct command *c, struct err *e)
{
	int r = conn_open(&c->conn, conn_run_dir(c->args->run), e);

	return r < 0 ? r : targets_resolve(c, e);
}
