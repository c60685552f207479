/* SPDX-License-Identifier: MIT */
/* Stores: what relative paths of disks and CDs are in. */
#include <strings.h>

#include "base/text.h"
#include "conf/check.h"

enum { STORES_NAMED = 64 };

const struct conf_store *conf_daemon_store(const struct conf_daemon *c, const char *name)
{
	for (size_t i = 0; i < c->stores; i++)
		if (streq(c->store[i].id, name))
			return &c->store[i];
	return NULL;
}

const char *conf_daemon_store_nearest(const struct conf_daemon *c, const char *name)
{
	const char *names[STORES_NAMED + 1] = { CONF_STORE_DEFAULT };
	size_t n = 1;

	for (size_t i = 0; i < c->stores && n < ARRAY_SIZE(names); i++)
		names[n++] = c->store[i].id;
	return text_nearest(name, names, n);
}

void conf_vm_place(struct conf_vm *c, const struct conf_daemon *d)
{
	for (size_t i = 0; i < c->disks; i++) {
		struct conf_disk *disk = &c->disk[i];
		const struct conf_store *s = conf_daemon_store(d, disk->store);
		const bool volume =
			s && s->type == CONF_STORE_PROGRAM && disk->path && *disk->path != '/';

		disk->dir = s && s->path ? arena_strdup(&c->arena, s->path) : NULL;
		disk->dir_mounted = s && s->require_mount;
		disk->volume = volume ? CONF_VOLUME : CONF_VOLUME_NONE;
		if (volume && disk->unnamed) /* it is no qcow2 image */
			disk->path = arena_printf(&c->arena, "%s-%s", c->name, disk->id);
	}
}

/* Keys of the other type would have no effect. */
static void store_check_type(
	const struct conf_store *s, const struct conf_marks *m, bool whole, struct conf_problems *p)
{
	const bool program = s->type == CONF_STORE_PROGRAM;
	const char *key = program      ? (s->require_mount ? "RequireMount" : NULL)
			  : s->program ? "Program"
			  : s->pool    ? "Pool"
				       : NULL;
	const struct conf_mark *mark = key ? conf_mark_find(m, "Store", s->id, key) : NULL;

	if (key)
		conf_problem(p, mark ? &mark->place : &s->place, key,
			program ? "has no effect with Type=program" : "needs Type=program");
	if (program && !s->program && whole)
		conf_problem(p, &s->place, "Program", "missing in [Store %s]", s->id);
}

static void store_check(const struct conf_daemon *c, const struct conf_store *s,
	const struct conf_marks *m, bool whole, struct conf_problems *p)
{
	const struct conf_mark *mark = conf_mark_find(m, "Store", s->id, "Path");
	const struct conf_place *place = mark ? &mark->place : &s->place;

	if (strcasecmp(s->id, CONF_STORE_DEFAULT) == 0)
		conf_problem(p, &s->place, NULL,
			"store '%s' is the image directory: write ImageDir= in [Daemon]", s->id);
	if (!s->path && whole)
		conf_problem(p, place, "Path", "missing in [Store %s]", s->id);
	if (s->path && streq(s->path, c->image_dir))
		conf_problem(p, place, "Path", "ImageDir= is the same");
	for (const struct conf_store *o = c->store; s->path && o < s; o++)
		if (streq(o->path, s->path))
			conf_problem(p, place, "Path", "store '%s' has the same", o->id);
}

void conf_daemon_check(const struct conf_daemon *c, const struct conf_marks *m, bool whole,
	struct conf_problems *p)
{
	static const char *const reads[] = { "Store.", NULL };

	for (size_t i = 0; i < c->stores; i++) {
		if (conf_marks_refused(m, c->store[i].id, reads))
			continue;
		store_check(c, &c->store[i], m, whole, p);
		store_check_type(&c->store[i], m, whole, p);
	}
}
