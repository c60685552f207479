/* SPDX-License-Identifier: MIT */
/* Parses words into changes; edit_text.c makes them. */
#include "conf/edit_private.h"

#include <strings.h>

#include "conf/reader.h"
#include "conf/value.h"

static bool edit_is_foreign(const char *name)
{
	return strncmp(name, "X-", 2) == 0;
}

static bool edit_is_name(const char *s)
{
	static const char chars[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";

	return *s && strlen(s) <= CONF_KEY_MAX && !s[strspn(s, chars)];
}

/* Section.Key or Section.ID.Key; an id may contain dots. */
static int edit_split(struct arena *a, char *name, struct edit_key *t, struct err *e)
{
	char *first = strchr(name, '.'), *last = strrchr(name, '.');

	if (!first || first == name || !last[1])
		return err_set(e, ERR_USAGE, "'%s' is not Section.Key, nor Section.ID.Key", name);
	*first = '\0';
	t->section = name;
	t->key = last + 1;
	t->id = first == last ? NULL : arena_strndup(a, first + 1, (size_t)(last - first - 1));
	return 0;
}

static int edit_mean(struct err *e, const char *section, const char *id, const char *key)
{
	return err_hint(e, "did you mean '%s%s%s.%s'?", section, id ? "." : "", id ? id : "", key);
}

static int edit_no_section(const struct edit_key *t, struct err *e)
{
	const char *near = conf_section_nearest(&conf_vm_schema, t->section);

	err_set(e, ERR_USAGE, "unknown section '%s'", t->section);
	return near ? edit_mean(e, near, t->id, t->key) : e->number;
}

static int edit_no_key(const struct edit_key *t, struct err *e)
{
	const struct conf_section *home = conf_key_home(&conf_vm_schema, t->key);
	const char *near = conf_key_nearest(t->known, t->key);

	err_set(e, ERR_USAGE, "unknown key '%s' in [%s]", t->key, t->section);
	if (near && (!home || strcasecmp(near, t->key) == 0))
		return edit_mean(e, t->section, t->id, near);
	return home ? edit_mean(e, home->name, home->size ? "ID" : NULL, t->key) : e->number;
}

/* Looks up section and key. */
static int edit_resolve(struct edit_key *t, struct err *e)
{
	if (t->id && !conf_id_ok(t->id))
		return err_set(e, ERR_USAGE, "'%s' cannot be the id of a section", t->id);
	if (edit_is_foreign(t->section))
		return edit_is_name(t->section) && edit_is_name(t->key)
			       ? 0
			       : err_set(e, ERR_USAGE, "'%s.%s' cannot be a key", t->section,
					 t->key);
	t->known = conf_section_find(&conf_vm_schema, t->section);
	if (!t->known)
		return edit_no_section(t, e);
	if (t->known->size && !t->id) {
		err_set(e, ERR_USAGE, "[%s] needs an id", t->section);
		return edit_mean(e, t->section, "ID", t->key);
	}
	if (!t->known->size && t->id) {
		err_set(e, ERR_USAGE, "[%s] takes no id", t->section);
		return edit_mean(e, t->section, NULL, t->key);
	}
	if (edit_is_foreign(t->key))
		return edit_is_name(t->key) ? 0
					    : err_set(e, ERR_USAGE, "'%s' cannot be a key", t->key);
	t->row = conf_key_find(t->known, t->key);
	return t->row ? 0 : edit_no_key(t, e);
}

/* A key without its section is the most common mistake. */
static int edit_key_of(
	struct conf_edit *ed, const char *text, size_t len, struct edit_key *t, struct err *e)
{
	char *name = arena_strndup(&ed->arena, text, len);
	const struct conf_section *home = conf_key_home(&conf_vm_schema, name);
	int r;

	if (home) {
		err_set(e, ERR_USAGE, "'%s' is without its section", name);
		return edit_mean(e, home->name, home->size ? "ID" : NULL, name);
	}
	r = edit_split(&ed->arena, name, t, e);
	return r < 0 ? r : edit_resolve(t, e);
}

static int edit_not_a_list(const struct edit_key *t, struct err *e)
{
	err_set(e, ERR_USAGE, "%s in [%s] is one value, not a list", t->key, t->section);
	return err_hint(e, "write = in place of += and -=");
}

static char *edit_trimmed(struct arena *a, const char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	return arena_strndup(a, text, len);
}

int conf_edit_set(struct conf_edit *ed, const char *word, struct err *e)
{
	const char *equals = strchr(word, '='), *value;
	struct edit_key t = { .section = "", .key = "" };
	size_t len;
	char how;
	int r;

	if (!conf_is_printable(word))
		return err_set(e, ERR_USAGE, "control character or bad UTF-8 in a change");
	if (!equals || equals == word) {
		err_set(e, ERR_USAGE, "'%s' is not a change", word);
		return err_hint(e, "write Section.Key=value, such as VM.Memory=2G");
	}
	how = equals[-1] == '+' || equals[-1] == '-' ? equals[-1] : '=';
	len = (size_t)(equals - word) - (how != '=');
	value = edit_trimmed(&ed->arena, equals + 1);
	r = edit_key_of(ed, word, len, &t, e);
	if (r < 0)
		return r;
	if (how != '=' && !(t.row && t.row->list))
		return edit_not_a_list(&t, e);
	if (how != '=' && !*value)
		return err_set(e, ERR_USAGE, "'%s' names no item of the list", word);
	if (how == '-')
		return edit_remove_items(ed, &t, value, e);
	if (how == '+')
		edit_add_items(ed, &t, value);
	else if (t.row && t.row->list)
		edit_set_list(ed, &t, value);
	else
		edit_set_value(ed, &t, value);
	return 0;
}

/* Section, or Section.ID: is it in one of the files? */
static bool edit_is_section(struct conf_edit *ed, const char *word, struct edit_key *t)
{
	char *name = arena_strdup(&ed->arena, word), *id = strchr(name, '.');
	bool is = false;

	if (id)
		*id++ = '\0';
	*t = (struct edit_key){ .section = name,
		.id = id,
		.key = "",
		.known = conf_section_find(&conf_vm_schema, name) };
	for (size_t i = 0; i < ed->files; i++)
		is = is || edit_section_at(ed, t, &(struct edit_at){ i, 0 });
	return is;
}

int conf_edit_unset(struct conf_edit *ed, const char *word, struct err *e)
{
	struct edit_key t = { .section = "", .key = "" };
	int r;

	if (!conf_is_printable(word))
		return err_set(e, ERR_USAGE, "control character or bad UTF-8 in a key");
	if (strchr(word, '=')) {
		err_set(e, ERR_USAGE, "'%s': unset takes keys without values", word);
		return err_hint(e, "write %.*s", (int)strcspn(word, "="), word);
	}
	r = edit_key_of(ed, word, strlen(word), &t, e);
	if (r == 0) {
		edit_unset(ed, &t);
	} else if (edit_is_section(ed, word, &t)) {
		err_clear(e);
		edit_unset_section(ed, &t);
		r = 0;
	}
	return r;
}
