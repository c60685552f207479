/* SPDX-License-Identifier: MIT */
#include "supervisor/make/used.h"

#include "base/mem.h"
#include "supervisor/api/api.h"
#include "supervisor/core/daemon.h"
#include "supervisor/core/job.h"

static struct used_image *used;
static struct used_moving *moving;

static bool used_is_moving(const char *path)
{
	const json_t *one;
	size_t i;

	for (const struct used_moving *m = moving; m; m = m->next)
		json_array_foreach (m->images, i, one)
			if (streq(json_string_value(json_object_get(one, "path")), path))
				return true;
	return false;
}

int used_begin(struct used_image *u, const struct daemon *d, const char *store, const char *path,
	const char *vm, struct err *e)
{
	const struct conf_store *s = conf_daemon_store(&d->conf, store);
	char *whole =
		*path == '/' ? xstrdup(path) : xasprintf("%s/%s", s ? s->path : d->image_dir, path);

	if (used_is_moving(whole)) {
		err_set(e, ERR_CONFLICT, "image '%s' is on its way to the trash", whole);
		free(whole);
		return err_hint(e, "vmkeep jobs shows its progress");
	}
	*u = (struct used_image){ used, whole, vm, u->job };
	used = u;
	return 0;
}

void used_end(struct used_image *u)
{
	struct used_image **at = &used;

	while (*at && *at != u)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = u->next;
	free(u->path);
	u->path = NULL;
}

void used_tell(json_t *others)
{
	for (const struct used_image *u = used; u; u = u->next)
		json_array_append_new(others,
			json_pack("{s:o, s:o}", "path", api_text(u->path), "of",
				u->job ? json_sprintf(
						 "VM '%s', which job %u makes,", u->vm, u->job->id)
				       : json_sprintf("VM '%s', which is being made,", u->vm)));
}

void used_moving_begin(struct used_moving *m, const json_t *images)
{
	*m = (struct used_moving){ moving, images };
	moving = m;
}

void used_moving_end(struct used_moving *m)
{
	struct used_moving **at = &moving;

	while (*at && *at != m)
		at = &(*at)->next;
	if (*at)
		*at = m->next;
}
