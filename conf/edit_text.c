/* SPDX-License-Identifier: MIT */
/* Values and lists, as lines. */
#include "conf/edit_private.h"

#include "conf/value.h"

struct edit_items { /* of a list; in the arena */
	const char **item;
	size_t n, cap;
};

static void edit_text_add_item(struct edit_items *l, const char *item)
{
	GROW(l->item, l->n, l->cap);
	l->item[l->n++] = item;
}

static bool edit_text_has(const struct edit_items *l, const char *item)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->item[i], item))
			return true;
	return false;
}

/* Splits as conf_value_set() does. */
static void edit_text_split(
	struct conf_edit *ed, const struct conf_key *k, const char *value, struct edit_items *l)
{
	const char *separators = conf_value_separators(k);

	if (!separators) {
		edit_text_add_item(l, value);
		return;
	}
	for (value += strspn(value, separators); *value; value += strspn(value, separators)) {
		size_t len = strcspn(value, separators);

		edit_text_add_item(l, arena_strndup(&ed->arena, value, len));
		value += len;
	}
}

static const char *edit_text_join(struct conf_edit *ed, const struct edit_items *l)
{
	const char *text = NULL;

	for (size_t i = 0; i < l->n; i++)
		text = text ? arena_printf(&ed->arena, "%s, %s", text, l->item[i]) : l->item[i];
	return text;
}

/* The items that [Defaults] puts into the list. */
static void edit_text_default_items(
	struct conf_edit *ed, const struct edit_key *t, struct edit_items *l)
{
	for (size_t i = 0; ed->defaults && i < ed->defaults->n_defaults; i++) {
		const struct conf_default *d = &ed->defaults->defaults[i];

		if (!streq(d->section, t->section) || !streq(d->key, t->key))
			continue;
		if (!*d->value)
			l->n = 0;
		else
			edit_text_split(ed, t->row, d->value, l);
	}
}

/* The value that applies if no line sets the key. */
static const char *edit_text_default(struct conf_edit *ed, const struct edit_key *t)
{
	const char *value = t->row ? t->row->preset : NULL;
	struct edit_items l = { 0 };

	if (t->row && t->row->list) {
		edit_text_default_items(ed, t, &l);
		value = edit_text_join(ed, &l);
		free(l.item);
		return value;
	}
	for (size_t i = 0; t->row && ed->defaults && i < ed->defaults->n_defaults; i++) {
		const struct conf_default *d = &ed->defaults->defaults[i];

		if (streq(d->section, t->section) && streq(d->key, t->key))
			value = *d->value ? arena_strdup(&ed->arena, d->value) : t->row->preset;
	}
	return value;
}

/* The list in force, with [Defaults]. */
static void edit_text_items(struct conf_edit *ed, const struct edit_key *t,
	const struct edit_found *found, struct edit_items *l)
{
	edit_text_default_items(ed, t, l);
	for (size_t i = 0; i < found->n; i++) {
		const char *value = edit_value_at(ed, found->at[i]);

		if (*value)
			edit_text_split(ed, t->row, value, l);
		else
			l->n = 0;
	}
}

static struct conf_edit_row *edit_text_row(
	struct conf_edit *ed, const struct edit_key *t, enum conf_edit_done done)
{
	GROW(ed->row, ed->rows, ed->cap);
	ed->row[ed->rows] = (struct conf_edit_row){
		.done = done,
		.section = t->section,
		.id = t->id,
		.key = t->key,
		.known = t->known,
		.row = t->row,
	};
	return &ed->row[ed->rows++];
}

/* Makes the row refer to this line. */
static void edit_text_place(
	struct conf_edit *ed, struct conf_edit_row *row, const struct edit_at *at)
{
	row->file = at->file;
	row->serial = ed->file[at->file].line[at->line].serial;
}

static void edit_text_insert(
	struct conf_edit *ed, const struct edit_key *t, const char *value, const char *was)
{
	struct conf_edit_row *row = edit_text_row(ed, t, CONF_EDIT_ADDED);
	struct edit_at at = edit_insert(ed, t, value, &row->new_section);

	edit_text_place(ed, row, &at);
	row->value = value;
	row->was = was;
}

/* applies: the value in force afterwards */
static void edit_text_delete(
	struct conf_edit *ed, const struct edit_key *t, struct edit_at at, const char *applies)
{
	struct conf_edit_row *row = edit_text_row(ed, t, CONF_EDIT_REMOVED);

	row->file = at.file;
	row->line = ed->file[at.file].line[at.line].was;
	row->was = edit_value_at(ed, at);
	row->value = applies;
	edit_delete(ed, at);
}

static void edit_text_nothing(struct conf_edit *ed, const struct edit_key *t,
	const struct edit_found *found, const char *value)
{
	struct conf_edit_row *row = edit_text_row(ed, t, CONF_EDIT_NOTHING);

	if (found->n)
		edit_text_place(ed, row, &found->at[found->n - 1]);
	row->value = row->was = value;
}

static void edit_text_change(struct conf_edit *ed, const struct edit_key *t, struct edit_at at,
	const char *value, const char *was)
{
	struct conf_edit_row *row = edit_text_row(ed, t, CONF_EDIT_CHANGED);

	edit_change(ed, at, value);
	edit_text_place(ed, row, &at);
	row->value = value;
	row->was = was;
}

void edit_set_value(struct conf_edit *ed, const struct edit_key *t, const char *value)
{
	struct edit_found found = { 0 };
	const char *was;

	edit_find(ed, t, &found);
	if (!found.n) {
		edit_text_insert(ed, t, value, edit_text_default(ed, t));
	} else {
		was = edit_value_at(ed, found.at[found.n - 1]);
		if (streq(was, value))
			edit_text_nothing(ed, t, &found, value);
		else
			edit_text_change(ed, t, found.at[found.n - 1], value, was);
	}
	edit_found_release(&found);
}

/* Tells whether earlier files or [Defaults] set items, which an empty assignment must reset. */
static bool edit_text_inherits(struct conf_edit *ed, const struct edit_key *t, size_t file)
{
	struct edit_found found = { 0 };
	struct edit_items l = { 0 };
	bool inherits;

	edit_find(ed, t, &found);
	while (found.n && found.at[found.n - 1].file >= file)
		found.n--;
	edit_text_items(ed, t, &found, &l);
	inherits = l.n > 0;
	free(l.item);
	edit_found_release(&found);
	return inherits;
}

static bool edit_text_same(const struct edit_items *a, const struct edit_items *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = streq(a->item[i], b->item[i]);
	return same;
}

/* In the last file that sets the list, all its lines become one; items from earlier files are
 * reset. */
static void edit_text_replace_list(struct conf_edit *ed, const struct edit_key *t,
	const struct edit_found *found, const char *value, const char *was)
{
	struct edit_at last = { 0 };
	size_t file = 0;

	if (found->n) {
		last = found->at[found->n - 1];
		file = last.file;
		for (size_t i = found->n - 1; i-- > 0 && found->at[i].file == file;) {
			edit_delete(ed, found->at[i]);
			last.line--;
		}
		edit_text_change(ed, t, last, value, was);
	} else {
		edit_text_insert(ed, t, value, was);
	}
	if (*value && edit_text_inherits(ed, t, file)) {
		struct edit_found now = { 0 };

		edit_find(ed, t, &now);
		edit_insert_beside(ed, now.at[now.n - 1], false, t->key, "");
		edit_found_release(&now);
	}
}

void edit_set_list(struct conf_edit *ed, const struct edit_key *t, const char *value)
{
	struct edit_found found = { 0 };
	struct edit_items is = { 0 }, wanted = { 0 };

	edit_find(ed, t, &found);
	edit_text_items(ed, t, &found, &is);
	if (*value)
		edit_text_split(ed, t->row, value, &wanted);
	if (edit_text_same(&is, &wanted))
		edit_text_nothing(ed, t, &found, value);
	else
		edit_text_replace_list(ed, t, &found, value, edit_text_join(ed, &is));
	free(is.item);
	free(wanted.item);
	edit_found_release(&found);
}

void edit_add_items(struct conf_edit *ed, const struct edit_key *t, const char *value)
{
	struct edit_found found = { 0 };
	struct edit_items is = { 0 }, wanted = { 0 }, more = { 0 };

	edit_find(ed, t, &found);
	edit_text_items(ed, t, &found, &is);
	edit_text_split(ed, t->row, value, &wanted);
	for (size_t i = 0; i < wanted.n; i++)
		if (!edit_text_has(&is, wanted.item[i]) && !edit_text_has(&more, wanted.item[i]))
			edit_text_add_item(&more, wanted.item[i]);
	if (!more.n) {
		edit_text_nothing(ed, t, &found, value);
	} else if (!found.n) {
		edit_text_insert(ed, t, edit_text_join(ed, &more), NULL);
	} else {
		struct conf_edit_row *row = edit_text_row(ed, t, CONF_EDIT_ADDED);
		struct edit_at at = edit_insert_beside(
			ed, found.at[found.n - 1], true, t->key, edit_text_join(ed, &more));

		edit_text_place(ed, row, &at);
		row->value = edit_text_join(ed, &more);
	}
	free(is.item);
	free(wanted.item);
	free(more.item);
	edit_found_release(&found);
}

/* Removes these items from the line, and the line if none is left. Returns whether it had any of
 * them. */
static bool edit_text_remove_from(struct conf_edit *ed, const struct edit_key *t, struct edit_at at,
	const struct edit_items *unwanted)
{
	const char *value = edit_value_at(ed, at);
	struct edit_items all = { 0 }, left = { 0 };
	bool had;

	edit_text_split(ed, t->row, value, &all);
	for (size_t i = 0; i < all.n; i++)
		if (!edit_text_has(unwanted, all.item[i]))
			edit_text_add_item(&left, all.item[i]);
	had = left.n < all.n;
	if (had && left.n)
		edit_text_change(ed, t, at, edit_text_join(ed, &left), value);
	else if (had)
		edit_text_delete(ed, t, at, NULL);
	free(all.item);
	free(left.item);
	return had;
}

int edit_remove_items(
	struct conf_edit *ed, const struct edit_key *t, const char *value, struct err *e)
{
	struct edit_found found = { 0 };
	struct edit_items unwanted = { 0 }, defaults = { 0 };
	size_t begin = 0;
	bool had = false;
	int r = 0;

	edit_find(ed, t, &found);
	edit_text_split(ed, t->row, value, &unwanted);
	edit_text_default_items(ed, t, &defaults);
	for (size_t i = 0; i < found.n; i++)
		if (!*edit_value_at(ed, found.at[i]))
			begin = i + 1;
	for (size_t i = 0; begin == 0 && i < unwanted.n && r == 0; i++)
		if (edit_text_has(&defaults, unwanted.item[i]))
			r = err_set(e, ERR_CONFLICT,
				"'%s' in %s comes from [Defaults] in vmkeep.conf", unwanted.item[i],
				t->key);
	/* from the end: removing a line moves those after it */
	for (size_t i = found.n; r == 0 && i-- > begin;)
		had = edit_text_remove_from(ed, t, found.at[i], &unwanted) || had;
	if (r == 0 && !had)
		edit_text_nothing(ed, t, &(struct edit_found){ 0 }, NULL);
	free(unwanted.item);
	free(defaults.item);
	edit_found_release(&found);
	return r;
}

void edit_unset(struct conf_edit *ed, const struct edit_key *t)
{
	const char *applies = edit_text_default(ed, t);
	struct edit_found found = { 0 };

	edit_find(ed, t, &found);
	if (!found.n)
		edit_text_nothing(ed, t, &found, applies);
	for (size_t i = found.n; i-- > 0;)
		edit_text_delete(ed, t, found.at[i], applies);
	edit_found_release(&found);
}

/* One row for each file that has it. */
void edit_unset_section(struct conf_edit *ed, const struct edit_key *t)
{
	for (size_t i = ed->files; i-- > 0;) {
		struct edit_at at = { i, 0 };
		struct conf_edit_row *row;
		size_t n = edit_section_at(ed, t, &at);

		if (!n)
			continue;
		row = edit_text_row(ed, t, CONF_EDIT_REMOVED);
		row->file = i;
		row->line = ed->file[i].line[at.line].was;
		while (n--)
			edit_delete(ed, at);
	}
}
