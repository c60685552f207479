/* SPDX-License-Identifier: MIT */
#include "conf/parse.h"

#include <strings.h>

#include "conf/default.h"
#include "conf/foreign.h"
#include "conf/known.h"
#include "conf/reader.h"
#include "conf/renamed.h"
#include "conf/word.h"

static struct arena *parse_root_arena(void *root)
{
	return root; /* conf/schema.c asserts that */
}

/* X-... belongs to other software: kept, never interpreted. */
static bool parse_is_ignored(const char *name)
{
	return strncmp(name, "X-", 2) == 0;
}

static struct conf_list *parse_ignored(struct conf_parse *p)
{
	return (struct conf_list *)(void *)((char *)p->root + p->schema->ignored);
}

/* Key=value in the current section, from a source or from [Defaults]. */
static void parse_assign(struct conf_parse *p, const struct conf_key *k, const char *value,
	const struct conf_place *place, bool by_default)
{
	struct conf_mark mark = { p->section, p->id, k, *place, by_default, true };
	char text[CONF_LINE_MAX + 1];
	const char *why;

	if (!*value) {
		conf_value_reset(k, p->object, p->arena);
		conf_mark_remove(&p->marks, p->section, p->id, k);
		return;
	}
	conf_mark_set(&p->marks, &mark);
	why = conf_expand(text, value, CONF_LINE_MAX - strlen(k->name) - 1, &p->spec);
	if (why) {
		conf_problem(p->problems, place, k->name, "%s", why);
		return;
	}
	switch (conf_value_set(k, p->object, text, p->arena)) {
	case CONF_SET_OK:
		mark.refused = false;
		conf_mark_set(&p->marks, &mark);
		break;
	case CONF_SET_BAD:
		conf_value_refuse(k, text, place, k->name, p->problems);
		break;
	case CONF_SET_FULL:
		conf_problem(p->problems, place, k->name, "more than %d of them", CONF_LIST_MAX);
		break;
	}
}

/* Presets and [Defaults] for the current section. */
static void parse_begin_object(struct conf_parse *p)
{
	const struct conf_section *s = p->section;

	for (size_t i = 0; i < s->keys; i++)
		conf_value_reset(&s->key[i], p->object, p->arena);
	for (size_t i = 0; p->defaults && i < p->defaults->n_defaults; i++) {
		const struct conf_default *d = &p->defaults->defaults[i];
		const struct conf_key *k;

		if (strcmp(d->section, s->name) != 0)
			continue;
		k = conf_key_find(s, d->key);
		if (k)
			parse_assign(p, k, d->value, &d->place, true);
	}
}

/* Inserts one element before those of later sections that share the array. */
static void *parse_insert(struct conf_parse *p, const struct conf_section *s)
{
	size_t n, at;
	char *array = conf_elements(s, p->root, &n);

	array = conf_grow(p->arena, array, n, s->size);
	memcpy((char *)p->root + s->array, &array, sizeof array);
	for (at = n; at > 0 && s->variant && !s->is; at--)
		if (conf_element_is(s, array + (at - 1) * s->size))
			break;
	memmove(array + (at + 1) * s->size, array + at * s->size, (n - at) * s->size);
	memset(array + at * s->size, 0, s->size);
	n++;
	memcpy((char *)p->root + s->count, &n, sizeof n);
	return array + at * s->size;
}

void conf_parse_add(struct conf_parse *p, const struct conf_section *s, const char *id,
	const struct conf_place *place)
{
	struct conf_element *e = parse_insert(p, s);

	e->id = arena_strdup(p->arena, id);
	e->place = *place;
	if (s->variant)
		*((bool *)(void *)e + s->variant) = s->is;
	p->section = s;
	p->id = e->id;
	p->object = e;
	parse_begin_object(p);
}

/* Enters the element with this id, creating it if possible. */
static void parse_enter_element(struct conf_parse *p, const struct conf_section *s, const char *id,
	const struct conf_place *place)
{
	size_t n;
	char *element = conf_elements(s, p->root, &n);

	if (s->users && !conf_word_owner(id)) {
		conf_problem(
			p->problems, place, p->header, "'%s' is not a user name or @group", id);
		return;
	}
	if (!s->users && !conf_id_ok(id)) {
		conf_problem(p->problems, place, p->header,
			"the id must be letters, digits, '.', '_' and '-', at most %d, and begin "
			"with a letter or digit",
			CONF_ID_MAX);
		return;
	}
	for (size_t i = 0; i < n; i++, element += s->size) {
		const struct conf_element *e = (const void *)element;

		if (strcasecmp(e->id, id) != 0)
			continue;
		if (strcmp(e->id, id) == 0 && conf_element_is(s, e)) {
			p->section = s;
			p->id = e->id;
			p->object = element;
			return;
		}
		conf_problem(p->problems, place, p->header, "its id is taken by '%s' (%s:%u)",
			e->id, e->place.file, e->place.line);
		return;
	}
	if (n == s->max) {
		conf_problem(p->problems, place, p->header, "at most %zu are possible", s->max);
		return;
	}
	conf_parse_add(p, s, id, place);
}

/* True if the header is new in this source. */
static bool parse_note_header(struct conf_parse *p, const struct conf_place *place)
{
	for (size_t i = 0; i < p->n_seen; i++)
		if (strcmp(p->seen[i].header, p->header) == 0) {
			conf_problem(p->problems, place, p->header,
				"this section already began on line %u", p->seen[i].line);
			return false;
		}
	if (p->n_seen == CONF_SECTIONS_MAX) {
		conf_problem(
			p->problems, place, p->header, "more than %d sections", CONF_SECTIONS_MAX);
		return false;
	}
	p->seen[p->n_seen++] = (struct conf_seen){ p->header, place->line };
	return true;
}

/* key NULL: the section. False: no newer version that ran here knows it. */
static bool parse_is_newer(struct conf_parse *p, const struct conf_place *place, const char *what,
	const char *section, const char *key)
{
	char version[CONF_VERSION_MAX];

	if (!p->newer || !conf_known_has(p->newer, section, key, version))
		return false;
	conf_problem(p->problems, place, what,
		"this is vmkeep " VMKEEP_VERSION
		", which does not know it; vmkeep %s, which ran here before, does",
		version);
	return true;
}

static void parse_unknown_section(
	struct conf_parse *p, const struct conf_place *place, const char *name)
{
	_cleanup_(free_ptr) char *header = xasprintf("[%s]", name);
	const char *nearest = conf_section_nearest(p->schema, name),
		   *way = conf_foreign_way(header);

	if (parse_is_newer(p, place, p->header, name, NULL))
		return;
	if (way)
		conf_problem(p->problems, place, p->header, "unknown section; %s", way);
	else
		conf_problem(p->problems, place, p->header,
			nearest ? "unknown section, did you mean [%s]?" : "unknown section",
			nearest);
}

static void parse_enter_section(
	struct conf_parse *p, const char *name, const char *id, const struct conf_place *place)
{
	const struct conf_section *s = conf_section_find(p->schema, name);

	if (!s) {
		parse_unknown_section(p, place, name);
	} else if (!s->size && *id) {
		conf_problem(p->problems, place, p->header, "[%s] takes no id", name);
	} else if (s->size && !*id) {
		conf_problem(p->problems, place, p->header, "needs an id, such as [%s a]", name);
	} else if (!s->size) {
		p->section = s;
		p->object = p->root;
	} else {
		parse_enter_element(p, s, id, place);
	}
}

static void parse_on_section(void *data, const struct conf_place *place, const char *header)
{
	struct conf_parse *p = data;
	const char *id;
	char *name;

	p->section = NULL;
	p->id = NULL;
	p->header = NULL;
	if (!header)
		return;
	name = arena_strndup(&p->scratch, header, strcspn(header, " "));
	id = header + strlen(name);
	id += strspn(id, " ");
	/* One spelling, for duplicates and messages. */
	p->header = *id ? arena_printf(&p->scratch, "[%s %s]", name, id)
			: arena_printf(&p->scratch, "[%s]", name);
	if (!parse_note_header(p, place)) {
		p->header = NULL;
	} else if (!parse_is_ignored(name)) {
		parse_enter_section(p, name, id, place);
		if (!p->section)
			p->header = NULL;
	}
}

/* False: it is not such a key. */
static bool parse_old_key(
	struct conf_parse *p, const struct conf_place *place, const char *key, const char *value)
{
	const struct conf_section *s = p->section, *to = s;
	const struct conf_renamed *r = conf_renamed_find(s->name, key);
	void *object = p->object;

	if (!r)
		return false;
	conf_renamed_warn(r, place, key, p->problems);
	if (!r->to_key)
		return true;
	if (r->to_section) {
		to = conf_section_find(p->schema, r->to_section);
		p->section = to;
		p->object = p->root;
	}
	parse_assign(p, conf_key_find(to, r->to_key), value, place, false);
	p->section = s;
	p->object = object;
	return true;
}

static void parse_unknown_key(struct conf_parse *p, const struct conf_place *place, const char *key)
{
	const struct conf_section *home = conf_key_home(p->schema, key);
	const char *nearest = conf_key_nearest(p->section, key), *way = conf_foreign_way(key);

	if (parse_is_newer(p, place, key, p->section->name, key))
		return;
	if (way && !home && (!nearest || strcasecmp(nearest, key) != 0))
		conf_problem(
			p->problems, place, key, "unknown key in [%s]; %s", p->section->name, way);
	else if (home)
		conf_problem(p->problems, place, key,
			"unknown key in [%s], did you mean it in [%s]?", p->section->name,
			home->name);
	else
		conf_problem(p->problems, place, key,
			nearest ? "unknown key in [%s], did you mean '%s'?" : "unknown key in [%s]",
			p->section->name, nearest);
}

static void parse_keep(
	struct conf_parse *p, const struct conf_place *place, const char *key, const char *value)
{
	const char *item = arena_printf(
		&p->scratch, "%.*s.%s=%s", (int)strlen(p->header) - 2, p->header + 1, key, value);

	if (strchr(key, '.'))
		conf_problem(p->problems, place, key, "a key cannot hold a '.'");
	else if (!conf_list_add(parse_ignored(p), p->arena, item))
		conf_problem(p->problems, place, key, "more than %d X- keys", CONF_LIST_MAX);
}

static void parse_on_key(
	void *data, const struct conf_place *place, const char *key, const char *value)
{
	struct conf_parse *p = data;
	const struct conf_key *k;

	if (!p->header)
		return;
	if (!p->section || parse_is_ignored(key)) {
		parse_keep(p, place, key, value);
		return;
	}
	if (p->section->defaults) {
		conf_default_add(p->root, key, value, place, p->problems);
		return;
	}
	k = conf_key_find(p->section, key);
	if (k)
		parse_assign(p, k, value, place, false);
	else if (!parse_old_key(p, place, key, value))
		parse_unknown_key(p, place, key);
}

void conf_parse_init(struct conf_parse *p, const struct conf_schema *schema, void *root,
	const struct conf_specifiers *spec, struct conf_problems *problems)
{
	*p = (struct conf_parse){
		.schema = schema,
		.root = root,
		.arena = parse_root_arena(root),
		.spec = *spec,
		.problems = problems,
	};
}

void conf_parse_release(struct conf_parse *p)
{
	conf_marks_release(&p->marks);
	arena_release(&p->scratch);
}

struct conf_place conf_parse_run(struct conf_parse *p, const struct conf_source *src, size_t n)
{
	static const struct conf_reader_calls calls = { parse_on_section, parse_on_key };
	struct conf_place first = { 0 };

	for (size_t i = 0; i < p->schema->sections; i++) {
		p->section = &p->schema->section[i];
		p->object = p->root;
		if (!p->section->size)
			parse_begin_object(p);
	}
	for (size_t i = 0; i < n; i++) {
		struct conf_source s = src[i];

		s.file = arena_strdup(p->arena, s.file);
		if (i == 0)
			first.file = s.file;
		p->n_seen = 0;
		p->header = NULL;
		conf_read(&s, &calls, p, p->problems);
	}
	return first;
}
