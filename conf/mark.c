/* SPDX-License-Identifier: MIT */
#include "conf/check.h"

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

void conf_marks_note(const struct conf_marks *m, struct conf_vm *c)
{
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
