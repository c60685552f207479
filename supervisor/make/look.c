/* SPDX-License-Identifier: MIT */
#include "supervisor/make/look.h"

#include "base/mem.h"
#include "supervisor/core/daemon.h"
#include "supervisor/host/uids.h"

static const double LOOK_SECONDS = 60;

static char *look_word(const char *path)
{
	json_auto_t *spec = json_pack("{s:s, s:n, s:{s:s, s:s}}", "driver", "qcow2", "backing",
		"file", "driver", "file", "filename", path);
	_cleanup_(free_ptr) char *text = json_dumps(spec, JSON_COMPACT);

	return xasprintf("json:%s", text ? text : "");
}

struct confined *look_run(
	struct daemon *d, const struct look_what *w, confined_fn *done, void *data, struct err *e)
{
	_cleanup_(free_ptr) char *word = look_word(w->path);
	const char *const argv[] = { "qemu-img", "info", "-U", word, NULL };
	const struct child_options o = { .timeout = LOOK_SECONDS, .while_idle = true };
	json_t *plan = confine_plan("tool", w->name, d->uids->probe, d->dirs.run, argv, e);

	if (!plan)
		return NULL;
	json_object_set_new(plan, "files",
		json_pack("[{s:s, s:o, s:s, s:s, s:s, s:s, s:b}]", "kind", "disk", "what",
			json_sprintf("image '%s'", w->name), "id", w->name, "path", w->path,
			"beneath", w->dir, "format", "qcow2", "format_written", true));
	return confine_run(d->loop.ev, d->jail, plan, NULL, 0, &o, done, data, e);
}
