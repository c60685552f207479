/* SPDX-License-Identifier: MIT */
/* Verbs about images. */
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/result.h"
#include "supervisor/make/fetch.h"
#include "supervisor/make/image.h"
#include "supervisor/verbs/verb.h"

struct listing { /* a request that waits for the stores */
	struct daemon *daemon;
	struct request *r;
	json_t *rows;
	struct listed *first; /* those that did not answer yet */
};

struct listed { /* one store */
	struct listed *next;
	struct listing *all;
	char *store;
	struct image_asked *asked;
};

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

static void image_listing_free(struct listing *l)
{
	json_decref(l->rows);
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

/* A store that cannot be read has no rows: store list tells about it. */
static void image_on_listed(void *data, const json_t *answer, const struct err *e)
{
	struct listed *one = data;
	struct listing *l = one->all;
	size_t i;
	json_t *row;

	(void)e;
	json_array_foreach (json_object_get(answer, "rows"), i, row) {
		const char *name = json_string_value(json_array_get(row, 0));

		if (!name || !l->daemon->emit)
			continue;
		json_array_insert_new(row, 1, json_string(one->store));
		json_array_insert_new(row, 4, image_vms(l->daemon, one->store, name));
		json_array_append(l->rows, row);
	}
	image_listed_free(one);
	if (l->first)
		return;
	request_return(l->r, api_table(api_image_row, json_incref(l->rows)));
	image_listing_free(l);
}

static void image_list_add(struct listing *l, const char *store)
{
	struct listed *one = xcalloc(1, sizeof *one);

	*one = (struct listed){ l->first, l, xstrdup(store), NULL };
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
		json_t *request = image_request(l->daemon, "list", one->store, &ignored);

		next = one->next;
		if (request)
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
	*l = (struct listing){ .daemon = d, .r = r, .rows = json_array() };
	request_on_gone(r, image_on_gone, l);
	for (size_t i = d->conf.stores; i-- > 0;)
		image_list_add(l, d->conf.store[i].id);
	image_list_add(l, CONF_STORE_DEFAULT);
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
	char hex[65];

	daemon_look_conf(d);
	if (fetch_check(&what, hex, &e) < 0)
		request_error(r, &e);
	else
		fetch(d, verb_job(d, r, NULL), &what, hex);
}
