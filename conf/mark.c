/* SPDX-License-Identifier: MIT */
#include "conf/check_private.h"

struct conf_mark *conf_mark_find(
	const struct conf_marks *m, const char *section, const char *id, const char *key)
{
	for (size_t i = 0; i < m->n; i++)
		if (streq(m->mark[i].key->name, key) && streq(m->mark[i].section->name, section) &&
			streq(m->mark[i].id, id))
			return &m->mark[i];
	return NULL;
}

void conf_mark_set(struct conf_marks *m, const struct conf_mark *mark)
{
	struct conf_mark *old = conf_mark_find(m, mark->section->name, mark->id, mark->key->name);

	if (old) {
		*old = *mark;
		return;
	}
	GROW(m->mark, m->n, m->cap);
	m->mark[m->n++] = *mark;
}

void conf_mark_remove(struct conf_marks *m, const struct conf_section *section, const char *id,
	const struct conf_key *key)
{
	struct conf_mark *old = conf_mark_find(m, section->name, id, key->name);

	if (old)
		*old = m->mark[--m->n];
}

static bool mark_is_read(const struct conf_mark *m, const char *name)
{
	const char *section = m->section->name;
	size_t len = strlen(section);

	return strncmp(name, section, len) == 0 && name[len] == '.' &&
	       (!name[len + 1] || streq(name + len + 1, m->key->name));
}

bool conf_marks_refused(const struct conf_marks *m, const char *id, const char *const *reads)
{
	for (size_t i = 0; i < m->n; i++)
		for (const char *const *name = reads; m->mark[i].refused && *name; name++)
			if (streq(m->mark[i].id, id) && mark_is_read(&m->mark[i], *name))
				return true;
	return false;
}

void conf_marks_release(struct conf_marks *m)
{
	free(m->mark);
	*m = (struct conf_marks){ 0 };
}

struct conf_place conf_marks_place(const struct conf_marks *m, const char *section, const char *key)
{
	const struct conf_mark *mark = conf_mark_find(m, section, NULL, key);

	return mark ? mark->place : (struct conf_place){ 0 };
}

const struct conf_place *conf_check_place(const struct check *k, const char *section,
	const char *id, const char *key, const struct conf_place *begin)
{
	const struct conf_mark *m = conf_mark_find(k->marks, section, id, key);

	if (m)
		return &m->place;
	return begin && begin->file ? begin : &k->c->place;
}

static void mark_note_lines(const struct conf_marks *m, struct conf_vm *c)
{
	c->line = arena_alloc(&c->arena, (m->n + 1) * sizeof *c->line);
	for (size_t i = 0; i < m->n; i++)
		if (!m->mark[i].by_default)
			c->line[c->lines++] = (struct conf_line){ m->mark[i].section->name,
				m->mark[i].id, m->mark[i].key->name, m->mark[i].place };
}

static const char *mark_id_at(const struct conf_vm *c, const struct conf_place *at)
{
	const struct {
		const void *begin;
		size_t n, size;
	} lists[] = { { c->disk, c->disks, sizeof *c->disk }, { c->nic, c->nics, sizeof *c->nic },
		{ c->serial, c->serials, sizeof *c->serial } };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (size_t n = 0; n < lists[i].n; n++) {
			const struct conf_element *e =
				(const void *)((const char *)lists[i].begin + n * lists[i].size);

			if (e->place.line == at->line && streq(e->place.file, at->file))
				return e->id;
		}
	return NULL;
}

const struct conf_place *conf_vm_line(
	const struct conf_vm *c, const struct conf_place *at, const char *key)
{
	const char *id = at->line ? mark_id_at(c, at) : NULL;
	const struct conf_place *found = NULL;

	for (size_t i = 0; key && i < c->lines; i++) {
		const struct conf_line *l = &c->line[i];

		if (!streq(l->key, key) || !streq(l->id, id) || (at->line && !id))
			continue;
		if (found) /* in several sections */
			return at;
		found = &l->place;
	}
	return found ? found : at;
}

void conf_marks_note(const struct conf_marks *m, struct conf_vm *c)
{
	mark_note_lines(m, c);
	const struct conf_mark *stop = conf_mark_find(m, "Lifecycle", NULL, "TimeoutStopSec");
	const struct conf_mark *order =
		conf_mark_find(m, "Lifecycle", NULL, c->after.n ? "After" : "Requires");

	c->stop_place = stop ? stop->place : c->place;
	c->stop_written = stop && !stop->by_default;
	c->order_place = order ? order->place : (struct conf_place){ 0 };
	/* the file names of [Defaults] have another lifetime */
	if (c->stop_place.file)
		c->stop_place.file = arena_strdup(&c->arena, c->stop_place.file);
	if (c->order_place.file)
		c->order_place.file = arena_strdup(&c->arena, c->order_place.file);
}
