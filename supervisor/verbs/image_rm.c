/* SPDX-License-Identifier: MIT */
/* image rm and image prune: what goes to the trash, and what is removed for good. */
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/result.h"
#include "supervisor/make/fetch.h"
#include "supervisor/make/image.h"
#include "supervisor/make/trash.h"
#include "supervisor/verbs/verb.h"

/* --- rm --- */

struct removal {
	struct daemon *daemon;
	struct job *job;
	char *image, *store, *dir, *path;
};

static void image_rm_end(struct removal *m, json_t *result, const struct err *e)
{
	job_finish(m->job, result, e);
	free(m->image);
	free(m->store);
	free(m->dir);
	free(m->path);
	free(m);
}

static void image_on_moved(void *data, const json_t *images, const struct err *failed)
{
	struct removal *m = data;
	const json_t *one = json_array_get(images, 0);
	const char *to = json_string_value(json_object_get(one, "to")),
		   *why = json_string_value(json_object_get(one, "why"));
	struct err e = ERR_INIT;

	if (failed)
		err_copy(&e, failed);
	else if (!to)
		err_set(&e, ERR_CONFLICT, "image '%s' of store '%s' stays: %s", m->image, m->store,
			why ? why : "");
	image_rm_end(m,
		e.number ? NULL
			 : json_pack("{s:s, s:s, s:o, s:s}", "image", m->image, "store", m->store,
				   "path", api_text(m->path), "to", to),
		e.number ? &e : NULL);
}

/* One that cannot be read can be removed. */
static void image_on_found(void *data, const json_t *answer, const struct err *failed)
{
	struct removal *m = data;
	json_t *images;
	struct err e = ERR_INIT;

	if (!m->daemon->emit)
		err_set(&e, ERR_FAILED, "the daemon is ending");
	else if (failed && failed->class != ERR_FAILED)
		err_copy(&e, failed);
	if (e.class == ERR_NOT_FOUND)
		err_hint(&e, "vmkeep image list shows which images there are");
	if (!e.number) {
		images = json_pack("[{s:o, s:o, s:o}]", "path", api_text(m->path), "store",
			api_text(m->dir), "name",
			json_sprintf(IMAGE_DIR "/%s" IMAGE_END, m->image));
		trash_run(m->daemon, "", NULL, images, true, image_on_moved, m, &e);
		json_decref(images);
	}
	if (e.number)
		image_rm_end(m, NULL, &e);
}

static json_t *image_rm_request(struct removal *m, struct err *e)
{
	json_t *request = image_request(m->daemon, "size", m->store, e);

	if (!request)
		return NULL;
	json_object_set_new(request, "path", json_sprintf(IMAGE_DIR "/%s" IMAGE_END, m->image));
	m->dir = xstrdup(json_string_value(json_object_get(request, "store")));
	m->path = xasprintf("%s/" IMAGE_DIR "/%s" IMAGE_END, m->dir, m->image);
	if (!json_is_true(json_object_get(request, "read_only")))
		return request;
	err_set(e, ERR_CONFLICT, "store '%s' is read-only", m->store);
	json_decref(request);
	return NULL;
}

void verb_image_rm(struct daemon *d, struct request *r)
{
	const char *store = request_string(r, "store");
	struct removal *m = xcalloc(1, sizeof *m);
	json_t *request;
	struct err e = ERR_INIT;

	daemon_look_conf(d);
	*m = (struct removal){ .daemon = d,
		.image = xstrdup(request_string(r, "image")),
		.store = xstrdup(store ? store : CONF_STORE_DEFAULT) };
	m->job = verb_job(d, r, NULL);
	request = image_rm_request(m, &e);
	if (!request || !image_ask(d, request, image_on_found, m, &e))
		image_rm_end(m, NULL, &e);
}

/* --- prune --- */

struct pruning { /* of all stores */
	struct daemon *daemon;
	struct job *job;
	struct request *r; /* of a dry run; else NULL */
	json_t *rows;
	struct pruned *first; /* those that did not answer yet */
	bool begun;	      /* all were asked */
};

struct pruned { /* one store */
	struct pruned *next;
	struct pruning *all;
	struct image_asked *asked;
	char *store;
};

static void image_pruned_free(struct pruned *one)
{
	struct pruned **at = &one->all->first;

	while (*at != one)
		at = &(*at)->next;
	*at = one->next;
	free(one->store);
	free(one);
}

static void image_prune_end(struct pruning *p)
{
	json_t *table;

	if (p->first || !p->begun)
		return;
	table = api_table(api_pruned_row, p->rows);
	if (p->job)
		job_finish(p->job, table, NULL);
	else
		request_return(p->r, table);
	free(p);
}

static void image_on_pruned(void *data, const json_t *answer, const struct err *e)
{
	struct pruned *one = data;
	struct pruning *p = one->all;

	if (e)
		json_array_append_new(p->rows,
			json_pack("[o, n, s]", json_sprintf("store '%s'", one->store), e->text));
	else
		json_array_extend(p->rows, json_object_get(answer, "rows"));
	image_pruned_free(one);
	image_prune_end(p);
}

static void image_prune_store(struct pruning *p, const char *store, bool all, bool dry)
{
	struct pruned *one = xcalloc(1, sizeof *one);
	struct err e = ERR_INIT;
	json_t *request = image_request(p->daemon, "prune", store, &e);

	*one = (struct pruned){ p->first, p, NULL, xstrdup(store) };
	p->first = one;
	if (request) {
		json_object_set_new(request, "dry", json_boolean(dry));
		json_object_set_new(request, "busy", fetch_running(store));
		json_object_set_new(request, "before",
			json_integer(all ? INT64_MAX : trash_old(p->daemon->trash)));
	}
	if (request)
		one->asked = image_ask(p->daemon, request, image_on_pruned, one, &e);
	if (!one->asked)
		image_on_pruned(one, NULL, &e);
}

/* Of a dry run: nobody is told, and nothing is removed. */
static void image_prune_on_gone(void *data)
{
	struct pruning *p = data;

	while (p->first) {
		image_cancel(p->first->asked);
		image_pruned_free(p->first);
	}
	json_decref(p->rows);
	free(p);
}

void verb_image_prune(struct daemon *d, struct request *r)
{
	const bool all = request_bool(r, "all", false), dry = request_bool(r, "dry-run", false);
	struct pruning *p = xcalloc(1, sizeof *p);

	daemon_look_conf(d);
	*p = (struct pruning){ .daemon = d, .rows = json_array() };
	if (dry) {
		p->r = r;
		request_on_gone(r, image_prune_on_gone, p);
	} else {
		p->job = verb_job(d, r, NULL);
	}
	image_prune_store(p, CONF_STORE_DEFAULT, all, dry);
	for (size_t i = 0; i < d->conf.stores; i++)
		if (d->conf.store[i].type == CONF_STORE_DIR)
			image_prune_store(p, d->conf.store[i].id, all, dry);
	p->begun = true;
	image_prune_end(p);
}
