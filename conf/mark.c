/* SPDX-License-Identifier: MIT */
#include "conf/check.h"

static struct conf_mark *find(const struct conf_marks *m, const struct conf_section *section,
	const char *id, const struct conf_key *key)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->mark[i].key == key && m->mark[i].section == section &&
			streq(m->mark[i].id, id))
			return &m->mark[i];
	return NULL;
}

const struct conf_mark *conf_mark_find(
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
	struct conf_mark *old = find(m, mark->section, mark->id, mark->key);

	if (old) {
		*old = *mark;
		return;
	}
	if (m->n == m->room) {
		m->room = m->room ? m->room * 2 : 16;
		m->mark = xrealloc(m->mark, m->room, sizeof *m->mark);
	}
	m->mark[m->n++] = *mark;
}

void conf_mark_remove(struct conf_marks *m, const struct conf_section *section, const char *id,
	const struct conf_key *key)
{
	struct conf_mark *old = find(m, section, id, key);

	if (old)
		*old = m->mark[--m->n];
}

void conf_marks_release(struct conf_marks *m)
{
	free(m->mark);
	*m = (struct conf_marks){ 0 };
}
