/* SPDX-License-Identifier: MIT */
#include "supervisor/make/image.h"

#include <errno.h>

#include "base/child.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/core/daemon.h"

static const double IMAGE_SECONDS = 20;

enum { ANSWER_MAX = 1 << 20 };

struct image_asked {
	struct child *child;
	image_fn *done;
	void *data;
};

json_t *image_request(const struct daemon *d, const char *what, const char *store, struct err *e)
{
	const struct conf_store *s = conf_daemon_store(&d->conf, store);
	const char *path = s ? s->path : streq(store, CONF_STORE_DEFAULT) ? d->image_dir : NULL;

	if (!path)
		err_set(e, ERR_NOT_FOUND, "vmkeep.conf has no store '%s'", store);
	else if (s && s->type != CONF_STORE_DIR)
		err_set(e, ERR_CONFLICT, "store '%s' has volumes, not files", store);
	if (e->number)
		return NULL;
	return json_pack("{s:s, s:s, s:o, s:b, s:b}", "do", what, "name", store, "store",
		api_text(path), "mounted", s && s->require_mount, "read_only", s && s->read_only);
}

static void image_on_done(void *data, const struct child_result *c)
{
	struct image_asked *a = data;
	json_t *answer = c->status ? NULL : json_loadb(c->out, c->out_len, 0, NULL);
	const json_t *error = json_object_get(answer, "error");
	struct err e = ERR_INIT;
	char late[CHILD_LATE];

	if (c->status == -ETIMEDOUT)
		err_set(&e, ERR_TIMEOUT,
			"a file system does not respond: the child that looks there %s",
			child_late(c, late));
	else if (error)
		confine_error(error, &e);
	else if (!answer)
		err_set(&e, ERR_FAILED, "the child that looks at images was killed");
	a->done(a->data, e.number ? NULL : answer, e.number ? &e : NULL);
	json_decref(answer);
	free(a);
}

struct image_asked *image_ask(
	struct daemon *d, json_t *request, image_fn *done, void *data, struct err *e)
{
	static const char *const argv[] = { "/proc/self/exe", "--image", NULL };
	struct image_asked *a = xcalloc(1, sizeof *a);
	char *text = json_dumps(request, JSON_COMPACT);
	const struct child_options o = { .argv = argv,
		.input = text,
		.out_max = ANSWER_MAX,
		.timeout = IMAGE_SECONDS,
		.while_idle = true,
		.done = image_on_done,
		.data = a };

	*a = (struct image_asked){ .done = done, .data = data };
	a->child = child_run(d->loop.ev, &o, e);
	if (!a->child)
		free_ptr(&a);
	json_decref(request);
	free(text);
	return a;
}

void image_cancel(struct image_asked *a)
{
	if (!a)
		return;
	child_cancel(a->child);
	free(a);
}
