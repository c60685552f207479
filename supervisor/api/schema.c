/* SPDX-License-Identifier: MIT */
#include "supervisor/api/result.h"

static void schema_set_text(json_t *o, const char *key, const char *text)
{
	if (text)
		json_object_set_new(o, key, json_string(text));
}

static json_t *schema_texts(const char *const *text, size_t max)
{
	json_t *a = json_array();

	for (size_t i = 0; i < max && text[i]; i++)
		json_array_append_new(a, json_string(text[i]));
	return a;
}

static json_t *schema_needs(unsigned traits)
{
	json_t *a = json_array();

	if (traits & API_NOT_BUSY)
		json_array_append_new(a, json_string("not busy"));
	if (traits & API_NEEDS_GUEST)
		json_array_append_new(a, json_string("guest"));
	return a;
}

static json_t *schema_argument(const struct api_arg *arg)
{
	json_t *o = json_object();

	schema_set_text(o, "name", arg->name);
	schema_set_text(o, "type", api_type_name(arg->type));
	json_object_set_new(o, "required", json_boolean(arg->required));
	if (arg->choices[0])
		json_object_set_new(o, "choices", schema_texts(arg->choices, API_CHOICES_MAX));
	schema_set_text(o, "help", arg->help);
	return o;
}

static json_t *schema_fields(const struct api_field *field);

static json_t *schema_field_json(const struct api_field *f)
{
	json_t *o = json_object();

	schema_set_text(o, "name", f->name);
	schema_set_text(o, "type", api_value_name(f->type));
	schema_set_text(o, "json", f->as);
	schema_set_text(o, "help", f->help);
	if (f->of)
		json_object_set_new(o, "members", schema_fields(f->of));
	return o;
}

static json_t *schema_fields(const struct api_field *field)
{
	json_t *a = json_array();

	for (; field->name; field++)
		json_array_append_new(a, schema_field_json(field));
	return a;
}

/* {"members", "columns"}; with neither any JSON is returned. */
static json_t *schema_returns(const struct api_result *r)
{
	json_t *o = json_object();

	schema_set_text(o, "with", r->with);
	if (r->members)
		json_object_set_new(o, "members", schema_fields(r->members));
	if (r->columns)
		json_object_set_new(o, "columns", schema_fields(r->columns));
	schema_set_text(o, "json", r->rows);
	return o;
}

static json_t *schema_verb(const struct api_verb *v)
{
	json_t *o = json_object(), *arguments = json_array();
	const struct api_arg *arg;

	for (size_t i = 0; (arg = api_verb_arg(v, i)); i++)
		json_array_append_new(arguments, schema_argument(arg));
	schema_set_text(o, "execute", v->execute);
	schema_set_text(o, "command", v->command);
	if (v->aliases[0])
		json_object_set_new(o, "aliases", schema_texts(v->aliases, API_ALIASES_MAX));
	schema_set_text(o, "role", api_role_name(v->role));
	json_object_set_new(o, "needs", schema_needs(v->traits));
	json_object_set_new(o, "job", json_boolean(v->traits & API_JOB));
	json_object_set_new(o, "stream", json_boolean(v->traits & API_STREAM));
	json_object_set_new(o, "arguments", arguments);
	schema_set_text(o, "result", v->result);
	json_object_set_new(o, "returns", schema_returns(&v->returns));
	if (v->other.with)
		json_object_set_new(o, "other", schema_returns(&v->other));
	schema_set_text(o, "help", v->help);
	schema_set_text(o, "text", v->text);
	return o;
}

static json_t *schema_event(const struct api_event *ev)
{
	json_t *o = json_object();

	schema_set_text(o, "event", ev->name);
	schema_set_text(o, "data", ev->data);
	schema_set_text(o, "help", ev->help);
	return o;
}

static json_t *schema_class(const struct api_class *c)
{
	json_t *o = json_object();

	schema_set_text(o, "class", c->name);
	json_object_set_new(o, "exit", json_integer(c->exit));
	schema_set_text(o, "help", c->help);
	return o;
}

json_t *api_schema(void)
{
	json_t *o = json_object(), *verbs = json_array(), *events = json_array(),
	       *classes = json_array();

	for (size_t i = 0; i < api_verbs_n; i++)
		json_array_append_new(verbs, schema_verb(&api_verbs[i]));
	for (size_t i = 0; i < api_events_n; i++)
		json_array_append_new(events, schema_event(&api_events[i]));
	for (size_t i = 0; i < ERR_CLASSES; i++)
		json_array_append_new(classes, schema_class(api_class((enum err_class)i)));
	json_object_set_new(o, "api", json_integer(API_VERSION));
	json_object_set_new(o, "verbs", verbs);
	json_object_set_new(o, "events", events);
	json_object_set_new(o, "classes", classes);
	return o;
}
