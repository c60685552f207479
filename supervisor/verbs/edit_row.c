/* SPDX-License-Identifier: MIT */
/* Changes as rows for the client. */
#include "base/mem.h"
#include "conf/schema.h"
#include "supervisor/verbs/edit.h"

/* When the change takes effect; NULL: nothing changed, or the VM is not running and has the change
 * at its next start. */
static const char *edit_row_applies(const struct vm *vm, const struct conf_edit_row *row)
{
	const bool whole = !*row->key; /* section */
	enum conf_apply apply;

	if (row->done == CONF_EDIT_NOTHING || !row->known || (!row->row && !whole))
		return NULL;
	apply = (row->new_section || whole) && row->known->size ? row->known->apply
		: row->row					? row->row->apply
								: CONF_APPLY_START;
	return apply == CONF_APPLY_LIVE || apply == CONF_APPLY_ONCE ||
			       vm_state_has_process(vm->st.state)
		       ? conf_apply_name(apply)
		       : NULL;
}

json_t *edit_row(const struct vm *vm, const struct conf_edit_row *row, const char *file)
{
	static const char *const done[] = {
		[CONF_EDIT_NOTHING] = "unchanged",
		[CONF_EDIT_CHANGED] = "changed",
		[CONF_EDIT_ADDED] = "added",
		[CONF_EDIT_REMOVED] = "removed",
	};

	return json_pack("[s?, o, s, s?, s, s, s?, s?, b, s?]", row->line ? file : NULL,
		row->line ? json_integer(row->line) : json_null(), row->section, row->id, row->key,
		done[row->done], row->value, row->was, row->new_section, edit_row_applies(vm, row));
}

struct edit_diff {
	const struct vm *vm;
	const struct conf_vm *from, *to;
	json_t *rows;
};

static struct conf_place edit_row_place(
	const struct conf_vm *c, const char *section, const char *id, const char *key)
{
	for (size_t i = 0; i < c->lines; i++)
		if (streq(c->line[i].section, section) && streq(c->line[i].id, id) &&
			streq(c->line[i].key, key))
			return c->line[i].place;
	return (struct conf_place){ 0 };
}

/* One key that differs between the old text and the new one, or one section. */
static void edit_row_on_difference(void *data, const struct conf_change *c)
{
	const struct edit_diff *d = data;
	const struct conf_place now = edit_row_place(d->to, c->section, c->id, c->key),
				before = edit_row_place(d->from, c->section, c->id, c->key);
	const struct conf_section *s = conf_section_find(&conf_vm_schema, c->section);
	const struct conf_edit_row row = {
		.done = !c->key && !c->from	  ? CONF_EDIT_ADDED
			: !c->key && !c->to	  ? CONF_EDIT_REMOVED
			: now.file && before.file ? CONF_EDIT_CHANGED
			: now.file		  ? CONF_EDIT_ADDED
						  : CONF_EDIT_REMOVED,
		.line = now.file ? now.line : before.line,
		.section = c->section,
		.id = c->id,
		.key = c->key ? c->key : "",
		.known = s,
		.row = c->key ? conf_key_find(s, c->key) : NULL,
		.value = c->key ? c->to : NULL,
		.was = c->key ? c->from : NULL,
		.new_section = !c->key,
	};

	json_array_append_new(d->rows, edit_row(d->vm, &row, now.file ? now.file : before.file));
}

json_t *edit_differences(const struct vm *vm, const struct conf_vm *from, const struct conf_vm *to)
{
	json_t *rows = json_array();

	conf_vm_diff(from, to, edit_row_on_difference, &(struct edit_diff){ vm, from, to, rows });
	return rows;
}

/* Takes those out of the list that are about the key; about any if key is NULL. NULL: none. */
static json_t *edit_row_take(json_t *conflicts, const char *key)
{
	json_t *text = NULL;

	for (size_t i = 0; i < json_array_size(conflicts);) {
		const json_t *one = json_array_get(conflicts, i);
		const char *said = json_string_value(json_object_get(one, "text"));

		if (key && !streq(json_string_value(json_object_get(one, "key")), key)) {
			i++;
			continue;
		}
		json_t *both = text ? json_sprintf("%s\n%s", json_string_value(text), said)
				    : json_string(said);

		json_decref(text);
		text = both;
		json_array_remove(conflicts, i);
	}
	return text ? text : json_null();
}

void edit_add_conflicts(json_t *rows, json_t *conflicts)
{
	const size_t n = json_array_size(rows);

	for (size_t i = 0; i < n; i++) {
		json_t *row = json_array_get(rows, i);
		const char *key = json_string_value(json_array_get(row, 4));

		json_array_append_new(row, edit_row_take(conflicts, i + 1 < n ? key : NULL));
	}
	json_decref(conflicts);
}
