/* SPDX-License-Identifier: MIT */
#include "supervisor/client/objects.h"

#include <stdint.h>

#include "base/mem.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/value.h"

/* Results that differ from the others, until the verb table tells: what the rows beside members are,
 * and whose result is QEMU's or the guest's own. */
static const struct {
	const char *execute, *rows;
	bool foreign;
} objects_special[] = {
	/* clang-format off */
	{ "reload",          "changes", false },
	{ "vms-shutdown",    "vms",     false },
	{ "snapshot-revert", "disks",   false },
	{ "net-stop",        "parts",   false },
	{ "vm-qmp",          NULL,      true },
	{ "guest-command",   NULL,      true },
	/* clang-format on */
};

static json_t *objects_value(const json_t *v, const char *rows);

static json_t *objects_rows(const json_t *table)
{
	const json_t *columns = json_object_get(table, "columns");
	json_t *list = json_array(), *row, *name;
	size_t i, k;

	json_array_foreach (json_object_get(table, "rows"), i, row) {
		json_t *o = json_object();

		json_array_foreach (columns, k, name)
			json_object_set_new(o, json_string_value(name),
				objects_value(json_array_get(row, k), NULL));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *objects_members(const json_t *object, const char *rows)
{
	bool table = value_is_table(object);
	json_t *out = json_object(), *member;
	const char *key;

	json_object_foreach ((json_t *)(uintptr_t)object, key, member)
		if (!table || (!streq(key, "columns") && !streq(key, "rows")))
			json_object_set_new(out, key, objects_value(member, NULL));
	if (table)
		json_object_set_new(out, rows, objects_rows(object));
	return out;
}

/* Rows alone are an array, rows beside members one of the members, with the name given. */
static json_t *objects_value(const json_t *v, const char *rows)
{
	json_t *out, *member;
	size_t i;

	if (value_is_table(v) && json_object_size(v) == 2)
		return objects_rows(v);
	if (json_is_object(v))
		return objects_members(v, rows);
	if (json_is_array(v)) {
		out = json_array();
		json_array_foreach (v, i, member)
			json_array_append_new(out, objects_value(member, NULL));
		return out;
	}
	return v ? json_incref((json_t *)(uintptr_t)v) : json_null();
}

static json_t *objects_result(const struct api_verb *verb, const json_t *result)
{
	for (size_t i = 0; i < ARRAY_SIZE(objects_special); i++) {
		if (!streq(objects_special[i].execute, verb->execute))
			continue;
		if (objects_special[i].foreign)
			return json_pack("{s:O}", "return", result);
		return objects_value(result, objects_special[i].rows);
	}
	return objects_value(result, NULL);
}

/* Members after the target, which names itself first. */
static void objects_append(json_t *document, const char *key, const char *target, json_t *members)
{
	json_t *o = json_pack("{s:s}", key, target);

	json_object_update_missing(o, members);
	json_array_append_new(document, o);
}

void objects_add(
	json_t **document, const struct api_verb *verb, const char *target, const json_t *result)
{
	bool network = verb->target == API_NETWORK || verb->target == API_NETWORKS;
	json_t *v = objects_result(verb, result), *row;
	size_t i;

	if (!target) {
		*document = v;
		return;
	}
	if (!*document)
		*document = json_array();
	if (json_is_object(v))
		objects_append(*document, "name", target, v);
	json_array_foreach (v, i, row)
		objects_append(*document, network ? "network" : "vm", target, row);
	json_decref(v);
}

void objects_add_error(json_t **document, const char *target, const struct err *e)
{
	json_t *members = json_pack("{s:o}", "error", errors_to_json(e));

	if (!target) {
		*document = members;
		return;
	}
	if (!*document)
		*document = json_array();
	objects_append(*document, "name", target, members);
	json_decref(members);
}
