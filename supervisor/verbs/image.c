/* SPDX-License-Identifier: MIT */
/* Verbs about images. */
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/result.h"
#include "supervisor/make/catalogue.h"
#include "supervisor/make/fetch.h"
#include "supervisor/make/image.h"
#include "supervisor/verbs/verb.h"

struct listing { /* a request that waits for the stores */
	struct daemon *daemon;
	struct request *r;
	const char *image; /* of the request; NULL: all */
	json_t *rows;
	json_t *catalogue;    /* as of catalogue_ask(); NULL: it could not be read */
	struct listed *first; /* those that did not answer yet */
	struct err why;	      /* it would not be the whole list */
};

struct listed { /* one store; NULL: the catalogue */
	struct listed *next;
	struct listing *all;
	char *store;
	struct image_asked *asked;
};

enum { IMAGE_USER = 6, IMAGE_DESCRIPTION = 11 }; /* columns of api_image_row */

static bool image_is_base(const struct conf_disk *disk, const char *path)
{
	bool is = false;

	for (size_t i = 0; i < disk->base.n; i++)
		is = is || streq(disk->base.item[i], path);
	return is;
}

/* The VMs whose files name the image. */
static json_t *image_vms(const struct daemon *d, const char *store, const char *image)
{
	_cleanup_(free_ptr) char *path = xasprintf(IMAGE_DIR "/%s" IMAGE_END, image);
	json_t *names = json_array();

	for (size_t i = 0; i < d->vms->n; i++) {
		const struct vm *vm = d->vms->vm[i];
		bool has = false;

		for (size_t k = 0; vm->file.have_conf && k < vm->file.conf.disks; k++) {
			const struct conf_disk *disk = &vm->file.conf.disk[k];

			has = has ||
			      (streq(disk->store, store) &&
				      (streq(disk->path, path) || image_is_base(disk, path)));
		}
		if (has)
			json_array_append_new(names, json_string(vm->name));
	}
	return names;
}

/* --- the catalogue --- */

static json_t *image_cell(const json_t *entry, const char *key)
{
	json_t *v = json_object_get(entry, key);

	return v ? json_incref(v) : json_null();
}

/* What will say that it is the right image. */
static const char *image_proof(const json_t *entry)
{
	if (json_is_string(json_object_get(entry, "digest")))
		return "catalogue";
	return json_is_string(json_object_get(entry, "keyring")) ? "signature" : "https";
}

/* One that no store has. */
static json_t *image_available(const json_t *entry)
{
	const bool broken = json_is_string(json_object_get(entry, "problem"));

	return json_pack("[o, s, n, n, n, [], o, o, o, s?, n, o]", image_cell(entry, "name"),
		broken ? "unusable" : "available", image_cell(entry, "user"),
		image_cell(entry, "url"), image_cell(entry, "digest"),
		broken ? NULL : image_proof(entry),
		image_cell(entry, broken ? "problem" : "description"));
}

static void image_join(struct listing *l)
{
	const size_t there = json_array_size(l->rows);
	json_t *entry;
	size_t i;

	json_array_foreach (json_object_get(l->catalogue, "entries"), i, entry) {
		const char *name = json_string_value(json_object_get(entry, "name"));
		bool found = l->image && !streq(name, l->image);

		for (size_t k = 0; k < there; k++) {
			json_t *row = json_array_get(l->rows, k);

			if (!streq(json_string_value(json_array_get(row, 0)), name))
				continue;
			found = true;
			json_array_set_new(row, IMAGE_USER, image_cell(entry, "user"));
			json_array_set_new(
				row, IMAGE_DESCRIPTION, image_cell(entry, "description"));
		}
		if (!found)
			json_array_append_new(l->rows, image_available(entry));
	}
}

static void image_listing_free(struct listing *l)
{
	json_decref(l->rows);
	json_decref(l->catalogue);
	free(l);
}

static void image_listed_free(struct listed *one)
{
	struct listed **p = &one->all->first;

	while (*p != one)
		p = &(*p)->next;
	*p = one->next;
	free(one->store);
	free(one);
}

static void image_answered(struct listed *one)
{
	struct listing *l = one->all;

	image_listed_free(one);
	if (l->first)
		return;
	if (l->why.number) {
		request_error(l->r, &l->why);
	} else {
		image_join(l);
		request_return(l->r, api_table(api_image_row, json_incref(l->rows)));
	}
	image_listing_free(l);
}

static void image_on_catalogue(void *data, const json_t *answer, const struct err *e)
{
	struct listed *one = data;

	(void)e;
	if (answer)
		one->all->catalogue = json_deep_copy(answer);
	image_answered(one);
}

/* --- the stores --- */

/* [name, size, used, URL, digest, proof, time] as of the child, or NULL. */
static json_t *image_row(const struct listed *one, const json_t *seen)
{
	const char *name = json_string_value(json_array_get(seen, 0));
	enum { CELLS = 7 };
	json_t *cell[CELLS];

	for (size_t i = 0; i < CELLS; i++)
		cell[i] = json_array_get(seen, i);
	if (!name || !one->all->daemon->emit || json_array_size(seen) != CELLS)
		return NULL;
	return json_pack("[O, s, s, O, O, o, n, O, O, O, O, n]", cell[0], "ready", one->store,
		cell[1], cell[2], image_vms(one->all->daemon, one->store, name), cell[3], cell[4],
		cell[5], cell[6]);
}

/* A store that cannot be read has no rows: store list tells about it. One with too many images has. */
static void image_on_listed(void *data, const json_t *answer, const struct err *e)
{
	struct listed *one = data;
	size_t i;
	json_t *seen;

	if (e && e->class == ERR_NO_RESOURCES)
		err_copy(&one->all->why, e);
	json_array_foreach (json_object_get(answer, "rows"), i, seen) {
		json_t *row = image_row(one, seen);

		if (row)
			json_array_append_new(one->all->rows, row);
	}
	image_answered(one);
}

static void image_list_add(struct listing *l, const char *store)
{
	struct listed *one = xcalloc(1, sizeof *one);

	*one = (struct listed){ l->first, l, store ? xstrdup(store) : NULL, NULL };
	l->first = one;
}

static void image_on_gone(void *data)
{
	struct listing *l = data;

	while (l->first) {
		image_cancel(l->first->asked);
		image_listed_free(l->first);
	}
	image_listing_free(l);
}

/* The last answer ends it. */
static void image_list_ask(struct listing *l)
{
	for (struct listed *one = l->first, *next; one; one = next) {
		struct err ignored = ERR_INIT;
		json_t *request =
			one->store ? image_request(l->daemon, "list", one->store, &ignored) : NULL;

		next = one->next;
		if (request && l->image)
			json_object_set_new(request, "image", json_string(l->image));
		if (!one->store)
			one->asked = catalogue_ask(l->daemon, image_on_catalogue, one, &ignored);
		else if (request)
			one->asked = image_ask(l->daemon, request, image_on_listed, one, &ignored);
		if (!one->asked)
			image_on_listed(one, NULL, &ignored);
	}
}

void verb_image_list(struct daemon *d, struct request *r)
{
	struct listing *l = xcalloc(1, sizeof *l);

	daemon_look_conf(d);
	vms_refresh(d->vms);
	*l = (struct listing){
		.daemon = d, .r = r, .image = request_string(r, "image"), .rows = json_array()
	};
	request_on_gone(r, image_on_gone, l);
	for (size_t i = d->conf.stores; i-- > 0;)
		image_list_add(l, d->conf.store[i].id);
	image_list_add(l, CONF_STORE_DEFAULT);
	image_list_add(l, NULL);
	image_list_ask(l);
}

void verb_image_fetch(struct daemon *d, struct request *r)
{
	const char *store = request_string(r, "store");
	const struct fetch_what what = { .name = request_string(r, "image"),
		.store = store ? store : CONF_STORE_DEFAULT,
		.url = request_string(r, "url"),
		.digest = request_string(r, "digest") };
	struct err e = ERR_INIT;
	char hex[SUMS_HEX_MAX + 1];

	daemon_look_conf(d);
	if (fetch_check(&what, hex, &e) < 0)
		request_error(r, &e);
	else
		fetch(d, verb_job(d, r, NULL), &what, hex);
}
