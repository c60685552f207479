/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "supervisor/api/result.h"

static json_t *schema_texts(const char *const *text, size_t max)
{
	json_t *a = text[0] ? json_array() : NULL;

	for (size_t i = 0; i < max && text[i]; i++)
		json_array_append_new(a, json_string(text[i]));
	return a;
}

static json_t *schema_needs(unsigned traits)
{
	return json_pack("[s*, s*]", traits & API_NOT_BUSY ? "not busy" : NULL,
		traits & API_NEEDS_GUEST ? "guest" : NULL);
}

static json_t *schema_arguments(const struct api_verb *v)
{
	const struct api_arg *arg;
	json_t *a = json_array();

	for (size_t i = 0; (arg = api_verb_arg(v, i)); i++)
		if (!arg->client)
			json_array_append_new(a,
				json_pack("{s:s, s:s, s:b, s:o*, s:s}", "name", arg->name, "type",
					api_type_name(arg->type), "required", arg->required,
					"choices",
					arg->choices ? schema_texts(arg->choices, SIZE_MAX) : NULL,
					"help", arg->help));
	return a;
}

static json_t *schema_fields(const struct api_field *field)
{
	json_t *a = field ? json_array() : NULL;

	for (; field && field->name; field++)
		json_array_append_new(
			a, json_pack("{s:s, s:s, s:s*, s:s*, s:o*}", "name", field->name, "type",
				   api_value_name(field->type), "json", field->as, "help",
				   field->help, "members", schema_fields(field->of)));
	return a;
}

/* {"members", "columns"}; without both, the verb returns any JSON. */
static json_t *schema_returns(const struct api_result *r)
{
	return json_pack("{s:s*, s:o*, s:o*, s:s*}", "with", r->with, "members",
		schema_fields(r->members), "columns", schema_fields(r->columns), "json", r->rows);
}

static json_t *schema_verb(const struct api_verb *v)
{
	return json_pack("{s:s, s:s*, s:o*, s:s, s:o, s:b, s:b, s:o, s:s, s:o, s:o*, s:s, s:s*}",
		"execute", v->execute, "command", v->command, "aliases",
		schema_texts(v->aliases, API_ALIASES_MAX), "role", api_role_name(v->role), "needs",
		schema_needs(v->traits), "job", v->traits & API_JOB, "stream",
		v->traits & API_STREAM, "arguments", schema_arguments(v), "result", v->result,
		"returns", schema_returns(&v->returns), "other",
		v->other.with ? schema_returns(&v->other) : NULL, "help", v->help, "text", v->text);
}

json_t *api_schema(void)
{
	json_t *verbs = json_array(), *events = json_array(), *classes = json_array();

	for (size_t i = 0; i < api_verbs_n; i++)
		json_array_append_new(verbs, schema_verb(&api_verbs[i]));
	for (const struct api_event *e = api_events; e < api_events + api_events_n; e++)
		json_array_append_new(events, json_pack("{s:s, s:s, s:s}", "event", e->name, "data",
						      e->data, "help", e->help));
	for (size_t i = 0; i < ERR_CLASSES; i++) {
		const struct api_class *c = api_class((enum err_class)i);

		json_array_append_new(classes, json_pack("{s:s, s:i, s:s}", "class", c->name,
						       "exit", c->exit, "help", c->help));
	}
	return json_pack("{s:i, s:o, s:o, s:o}", "api", API_VERSION, "verbs", verbs, "events",
		events, "classes", classes);
}
