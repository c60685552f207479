/* SPDX-License-Identifier: MIT */
#include "conf/default.h"

#include "conf/foreign.h"
#include "conf/renamed.h"
#include "conf/value.h"

/* Tries the value on a scratch object. */
static bool default_value_ok(const struct conf_section *s, const struct conf_key *k,
	const char *value, const struct conf_place *place, const char *name,
	struct conf_problems *p)
{
	static const struct conf_specifiers any = { "name", "00000000-0000-4000-8000-000000000000",
		"/" };
	_cleanup_(free_ptr) void *object = xcalloc(1, s->size ? s->size : conf_vm_schema.size);
	struct arena arena = ARENA_INIT;
	char text[CONF_LINE_MAX + 1];
	const char *why = conf_expand(text, value, CONF_LINE_MAX, &any);
	bool ok = !why && conf_value_set(k, object, text, &arena) == CONF_SET_OK;

	arena_release(&arena);
	if (why)
		conf_problem(p, place, name, "%s", why);
	else if (!ok)
		conf_value_refuse(k, text, place, name, p);
	return ok;
}

static void default_keep(struct conf_daemon *c, const struct conf_section *s,
	const struct conf_key *k, const char *value, const struct conf_place *place)
{
	c->defaults = conf_grow(&c->arena, c->defaults, c->n_defaults, sizeof *c->defaults);
	c->defaults[c->n_defaults++] = (struct conf_default){
		.place = *place,
		.section = s->name,
		.key = k->name,
		.value = arena_strdup(&c->arena, value),
	};
}

void conf_default_add(struct conf_daemon *c, const char *key, const char *value,
	const struct conf_place *place, struct conf_problems *p)
{
	char section[CONF_KEY_MAX + 1];
	const char *dot = strchr(key, '.'), *nearest;
	const struct conf_renamed *old;
	const struct conf_section *s;
	const struct conf_key *k;
	const char *way = conf_foreign_way(key);

	if (!dot) {
		conf_problem(p, place, key,
			way ? "a default is written Section.Key=value; in a VM's file %s"
			    : "a default is written Section.Key=value",
			way);
		return;
	}
	memcpy(section, key, (size_t)(dot - key));
	section[dot - key] = '\0';
	s = conf_section_find(&conf_vm_schema, section);
	if (!s) {
		nearest = way ? way : conf_section_nearest(&conf_vm_schema, section);
		conf_problem(p, place, key,
			way	  ? "unknown section; in a VM's file %s"
			: nearest ? "unknown section, did you mean '%s.%s'?"
				  : "unknown section",
			nearest, dot + 1);
		return;
	}
	old = conf_renamed_find(section, dot + 1);
	if (old) {
		conf_renamed_warn(old, place, key, p);
		if (!old->to_key)
			return;
		s = old->to_section ? conf_section_find(&conf_vm_schema, old->to_section) : s;
	}
	k = conf_key_find(s, old ? old->to_key : dot + 1);
	if (!k) {
		nearest = conf_key_nearest(s, dot + 1);
		conf_problem(p, place, key,
			nearest ? "unknown key, did you mean '%s.%s'?" : "unknown key", s->name,
			nearest);
	} else if (k->own) {
		conf_problem(p, place, key, "it is each VM's own and cannot be a default");
	} else if (c->n_defaults == CONF_LIST_MAX) {
		conf_problem(p, place, key, "more than %d defaults", CONF_LIST_MAX);
	} else if (!*value || default_value_ok(s, k, value, place, key, p)) {
		default_keep(c, s, k, value, place);
	}
}
