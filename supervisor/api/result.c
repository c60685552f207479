/* SPDX-License-Identifier: MIT */
#include "supervisor/api/result.h"

#include <stdint.h>

#include "base/mem.h"

json_t *api_table(const struct api_field *columns, json_t *rows)
{
	json_t *names = json_array();

	for (const struct api_field *f = columns; f->name; f++)
		json_array_append_new(names, json_string(f->name));
	return json_pack("{s:o, s:o}", "columns", names, "rows", rows);
}

const struct api_result *api_result_of(const struct api_verb *v, const json_t *arguments)
{
	return v->other.with && json_is_true(json_object_get(arguments, v->other.with))
		       ? &v->other
		       : &v->returns;
}

/* --- the objects of --json --- */

static const char *result_object_key(const struct api_field *f)
{
	return f->as ? f->as : f->name;
}

static json_t *result_object_of(const struct api_field *fields, const json_t *wire);

static json_t *result_object_list(const struct api_field *f, const json_t *wire)
{
	json_t *list = json_array(), *v;
	size_t i;

	json_array_foreach (wire, i, v)
		json_array_append_new(list, result_object_of(f->of, v));
	return list;
}

/* Each row as an object. Columns are matched by name: another daemon version may have others. */
static json_t *result_object_rows(const struct api_field *fields, const json_t *table)
{
	const json_t *columns = json_object_get(table, "columns");
	json_t *list = json_array(), *row, *name;
	size_t r, c;

	json_array_foreach (json_object_get(table, "rows"), r, row) {
		json_t *members = json_object();

		json_array_foreach (columns, c, name)
			json_object_set(members, json_string_value(name), json_array_get(row, c));
		json_array_append_new(list, result_object_of(fields, members));
		json_decref(members);
	}
	return list;
}

static json_t *result_object_value(const struct api_field *f, const json_t *v)
{
	switch (f->type) {
	case API_BYTES:
	case API_SECONDS:
	case API_NUMBER:
	case API_DATE:
		return json_is_number(v) ? json_integer((json_int_t)json_number_value(v))
					 : json_null();
	case API_FLAG:
		return json_boolean(json_is_true(v));
	case API_OBJECT:
		return json_is_object(v) ? result_object_of(f->of, v) : json_null();
	case API_LIST:
		return v && !json_is_array(v) ? json_null() : result_object_list(f, v);
	case API_TABLE:
		return result_object_rows(f->of, v);
	case API_TEXTS:
		return v ? json_deep_copy(v) : json_array();
	case API_TEXT:
	case API_ID:
	case API_TRUTH:
	case API_FRACTION:
	case API_VALUES:
		break;
	}
	return v ? json_deep_copy(v) : json_null();
}

static void result_object_add(json_t *o, const struct api_field *fields, const json_t *wire)
{
	for (const struct api_field *f = fields; f->name; f++)
		json_object_set_new(o, result_object_key(f),
			result_object_value(f, json_object_get(wire, f->name)));
}

static json_t *result_object_of(const struct api_field *fields, const json_t *wire)
{
	json_t *o = json_object();

	result_object_add(o, fields, wire);
	return o;
}

bool api_is_array(const struct api_verb *v, const struct api_result *result)
{
	return v->target != API_NO_TARGET || (result->columns && !result->members);
}

/* The key for the target in its rows. */
static const char *result_object_owner(const struct api_verb *v)
{
	return v->target == API_NO_TARGET		     ? NULL
	       : v->target == API_VM || v->target == API_VMS ? "vm"
							     : "network";
}

static json_t *result_object_begin(const char *key, const char *target)
{
	return target ? json_pack("{s:s}", key, target) : json_object();
}

static json_t *result_object_named(const char *key, const char *target, json_t *rows /* stolen */)
{
	json_t *list = json_array(), *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		json_t *o = result_object_begin(key, target);

		json_object_update(o, row);
		json_array_append_new(list, o);
	}
	json_decref(rows);
	return list;
}

json_t *api_objects(const struct api_verb *v, const struct api_result *result, const char *target,
	const json_t *wire)
{
	const struct api_field *members = result->shown ? result->shown : result->members;
	json_t *o;

	if ((v->traits & API_JOB) && json_object_size(wire) == 1 &&
		json_object_get(wire, "job")) /* not waited for */
		members = api_job;
	else if (result->columns && !members)
		return result_object_named(
			result_object_owner(v), target, result_object_rows(result->columns, wire));
	if (!members && !target)
		return json_pack("[O]", wire);
	o = result_object_begin("name", target);
	if (members)
		result_object_add(o, members, wire);
	else
		json_object_set(o, "return", (json_t *)(uintptr_t)wire);
	if (members != api_job && result->columns)
		json_object_set_new(o, result->rows, result_object_rows(result->columns, wire));
	return json_pack("[o]", o);
}

/* --- JSON schemas --- */

static json_t *result_schema_of(const struct api_field *fields);

static json_t *result_schema_array(json_t *items /* stolen */)
{
	return json_pack("{s:s, s:o}", "type", "array", "items", items);
}

static json_t *result_schema_type(const struct api_field *f)
{
	/* clang-format off */
	static const struct {
		const char *type;
		bool always; /* present and never null */
	} types[API_VALUES] = {
		[API_TEXT]     = { "string", false },
		[API_ID]       = { "string", true },
		[API_NUMBER]   = { "integer", false },
		[API_FRACTION] = { "number", false },
		[API_BYTES]    = { "integer", false },
		[API_SECONDS]  = { "integer", false },
		[API_DATE]     = { "integer", false },
		[API_TRUTH]    = { "boolean", false },
		[API_FLAG]     = { "boolean", true },
		[API_TEXTS]    = { "array", true },
		[API_OBJECT]   = { "object", false },
		[API_LIST]     = { "array", false },
		[API_TABLE]    = { "array", true },
	};
	/* clang-format on */
	json_t *o = json_pack(types[f->type].always ? "{s:s}" : "{s:[s, s]}", "type",
		types[f->type].type, "null");

	if (f->type == API_TEXTS)
		json_object_set_new(o, "items", json_pack("{s:s}", "type", "string"));
	else if (f->type == API_OBJECT)
		json_object_update_missing_new(o, result_schema_of(f->of));
	else if (f->of)
		json_object_set_new(o, "items", result_schema_of(f->of));
	return o;
}

/* "bytes; what the guest has now" */
static void result_schema_describe(json_t *o, const struct api_field *f)
{
	const char *unit = f->type == API_BYTES	    ? "bytes"
			   : f->type == API_SECONDS ? "seconds"
			   : f->type == API_DATE    ? "Unix time, in seconds"
						    : NULL;

	if (unit && f->help)
		json_object_set_new(o, "description", json_sprintf("%s; %s", unit, f->help));
	else if (unit || f->help)
		json_object_set_new(o, "description", json_string(unit ? unit : f->help));
}

static void result_schema_property(json_t *o, const char *key, json_t *schema /* stolen */)
{
	json_object_set_new(json_object_get(o, "properties"), key, schema);
	json_array_append_new(json_object_get(o, "required"), json_string(key));
}

static json_t *result_schema_object(const char *target)
{
	json_t *o = json_pack("{s:s, s:{}, s:[]}", "type", "object", "properties", "required");

	if (target)
		result_schema_property(o, target, json_pack("{s:s}", "type", "string"));
	return o;
}

static void result_schema_add(json_t *o, const struct api_field *fields)
{
	for (const struct api_field *f = fields; f->name; f++) {
		json_t *type = result_schema_type(f);

		result_schema_describe(type, f);
		if (json_object_get(json_object_get(o, "properties"), result_object_key(f)))
			json_object_set_new(
				json_object_get(o, "properties"), result_object_key(f), type);
		else
			result_schema_property(o, result_object_key(f), type);
	}
}

static json_t *result_schema_of(const struct api_field *fields)
{
	json_t *o = result_schema_object(NULL);

	result_schema_add(o, fields);
	return o;
}

/* The schema of one object of a result. */
static json_t *result_schema_item(const struct api_verb *v, const struct api_result *result)
{
	const struct api_field *members = result->shown ? result->shown : result->members;
	json_t *o;

	if (!members && !result->columns && v->target == API_NO_TARGET)
		return json_object();
	o = result_schema_object(v->target == API_NO_TARGET    ? NULL
				 : members || !result->columns ? "name"
							       : result_object_owner(v));
	if (members)
		result_schema_add(o, members);
	else if (result->columns)
		result_schema_add(o, result->columns);
	else
		result_schema_property(o, "return", json_object());
	if (members && result->columns)
		result_schema_property(
			o, result->rows, result_schema_array(result_schema_of(result->columns)));
	return o;
}

/* A failed target has its error in place of its result. */
static json_t *result_schema_items(const struct api_verb *v, const struct api_result *result)
{
	const char *target = v->target != API_NO_TARGET ? "name" : NULL;
	json_t *any = json_pack("[o]", result_schema_item(v, result)), *o;

	if ((v->traits & API_JOB) && result == &v->returns) {
		o = result_schema_object(target);
		result_schema_add(o, api_job);
		json_array_append_new(any, o);
	}
	o = result_schema_object(target);
	result_schema_add(o, api_error);
	json_array_append_new(any, o);
	return json_pack("{s:o}", "anyOf", any);
}

static json_t *result_schema_document(const struct api_verb *v, const struct api_result *result)
{
	json_t *items = result_schema_items(v, result);

	return api_is_array(v, result) ? result_schema_array(items) : items;
}

json_t *api_json_schema(const struct api_verb *v)
{
	json_t *o = json_pack("{s:s, s:o, s:s}", "$schema",
		"https://json-schema.org/draft/2020-12/schema", "title",
		json_sprintf("vmkeep --json %s", v->command), "description", v->help);

	if (v->other.with)
		json_object_set_new(o, "oneOf",
			json_pack("[o, o]", result_schema_document(v, &v->returns),
				result_schema_document(v, &v->other)));
	else
		json_object_update_new(o, result_schema_document(v, &v->returns));
	return o;
}
