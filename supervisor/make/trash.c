/* SPDX-License-Identifier: MIT */
#include "supervisor/make/trash_private.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/core/volume.h"
#include "supervisor/make/used.h"
#include "supervisor/qemu/device.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/vanished.h"

static const double TRASH_SECONDS = 120;

enum { ANSWER_MAX = 1 << 20 };

struct trash_running {
	struct child *child;
	struct daemon *daemon;
	bool move;
	json_t *images; /* of the request; then the answer is made of it */
	json_t *answer;
	size_t at; /* in the answer */
	struct used_moving moving;
	struct volume_call *call;
	trash_fn *done;
	void *data;
};

/* --- which images --- */

/* The store that has this image, from its directory on; NULL: none. */
static const char *trash_within(const char *path, const char *store)
{
	size_t len = strlen(store);

	return strncmp(path, store, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

static const char *trash_store_of(const struct daemon *d, const char *path)
{
	const char *store = trash_within(path, d->image_dir) ? d->image_dir : NULL;

	for (size_t i = 0; !store && i < d->conf.stores; i++)
		if (trash_is_dir(&d->conf.store[i]) && trash_within(path, d->conf.store[i].path))
			store = d->conf.store[i].path;
	return store;
}

/* Why the image is not even looked at; NULL: it may be moved. */
static const char *trash_stays(
	const struct vm *vm, const struct conf_disk *disk, const char *path, const char *store)
{
	const struct identity_disk *known = identity_disk(&vm->identity, disk->id);

	if (!store && !disk->volume)
		return "it is in no store";
	if (disk->read_only)
		return "this VM only reads it";
	if (!vm->identity.kept || !known || !streq(known->path, path))
		return "this VM never ran with it";
	return NULL;
}

/* The first start would have created it. */
static bool trash_is_uncreated(const struct vm *vm, const struct conf_disk *disk)
{
	return disk->size && (!vm->identity.kept || !identity_disk(&vm->identity, disk->id));
}

json_t *trash_images(const struct vm *vm)
{
	json_t *images = json_array();

	for (size_t i = 0; vm->file.have_conf && i < vm->file.conf.disks; i++) {
		const struct conf_disk *disk = &vm->file.conf.disk[i];
		const char *store, *why;
		char path[PATH_MAX];

		if (!disk->path || disk->cdrom || trash_is_uncreated(vm, disk))
			continue;
		device_disk_path(disk, disk->path, vm->daemon->image_dir, path);
		store = trash_store_of(vm->daemon, path);
		why = trash_stays(vm, disk, path, store);
		json_array_append_new(
			images, json_pack("{s:o, s:I, s:s?, s:s?, s:b, s:s?}", "path",
					api_text(path), "size", (json_int_t)disk->size, "store",
					why	       ? NULL
					: disk->volume ? disk->store
						       : store,
					"name",
					why	       ? NULL
					: disk->volume ? disk->path
						       : trash_within(path, store),
					"volume", disk->volume, "why", why));
	}
	return images;
}

/* --- what others need --- */

static void trash_need(json_t *others, const char *path, const char *vm)
{
	json_array_append_new(others,
		json_pack("{s:o, s:o}", "path", api_text(path), "of", json_sprintf("VM '%s'", vm)));
}

static void trash_need_conf(json_t *others, const struct vm *vm, const struct conf_vm *c)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < c->disks; i++) {
		const struct conf_disk *disk = &c->disk[i];

		if (disk->path)
			trash_need(others,
				device_disk_path(disk, disk->path, vm->daemon->image_dir, path),
				vm->name);
		for (size_t k = 0; k < disk->base.n; k++)
			trash_need(others,
				device_disk_path(
					disk, disk->base.item[k], vm->daemon->image_dir, path),
				vm->name);
	}
}

static void trash_need_identity(json_t *others, const char *vm, const struct identity *id)
{
	for (size_t i = 0; i < id->disks; i++)
		if (id->disk[i].path)
			trash_need(others, id->disk[i].path, vm);
	for (size_t i = 0; i < id->bases; i++)
		trash_need(others, id->base[i].path, vm);
}

static int trash_need_vm(json_t *others, const struct vm *vm, struct err *e)
{
	if (vm->identity_problem || vm->identity.damaged[0]) {
		err_set(e, ERR_CONFLICT,
			"the identity of VM '%s' cannot be read, which may name them", vm->name);
		return err_hint(e, "vmkeep check %s", vm->name);
	}
	if (!vm->file.orphan && (!vm->file.have_conf || vm->file.problems)) {
		err_set(e, ERR_CONFLICT, "the file of VM '%s' has errors, and may name them",
			vm->name);
		return err_hint(e, "vmkeep check %s", vm->name);
	}
	if (vm->file.have_conf)
		trash_need_conf(others, vm, &vm->file.conf);
	if (vm_state_has_process(vm->st.state))
		trash_need_conf(others, vm, &vm->proc.conf);
	trash_need_identity(others, vm->name, &vm->identity);
	return 0;
}

/* A VM whose file is gone may come back. */
static int trash_need_vanished(
	json_t *others, const struct daemon *d, const char *name, struct err *e)
{
	_cleanup_(identity_release) struct identity id = IDENTITY_INIT;
	_cleanup_(close_fd) int fd = vm_state_open(d, name);
	struct err unread = ERR_INIT;

	if (fd >= 0 && (identity_look(&id, fd, &unread) < 0 || id.damaged[0])) {
		err_set(e, ERR_CONFLICT,
			"the identity of VM '%s', whose file is gone, cannot be read, which may name them",
			name);
		return err_hint(e, "vmkeep forget %s", name);
	}
	trash_need_identity(others, name, &id);
	return 0;
}

static json_t *trash_others(struct daemon *d, const char *own, struct err *e)
{
	_cleanup_(close_dir) DIR *dir = file_open_dir(d->dirs.state_fd, "vms", 0);
	json_t *others = json_array();
	const char *name;
	int r = 0;

	vms_refresh(d->vms);
	for (size_t i = 0; r == 0 && i < d->vms->n; i++)
		if (!streq(d->vms->vm[i]->name, own))
			r = trash_need_vm(others, d->vms->vm[i], e);
	while (r == 0 && (name = vanished_next(dir, d->vms, false)))
		if (!streq(name, own))
			r = trash_need_vanished(others, d, name, e);
	if (r < 0)
		json_decref(others);
	else
		used_tell(others);
	return r < 0 ? NULL : others;
}

static json_t *trash_stores(const struct daemon *d)
{
	json_t *stores = json_array();

	json_array_append_new(
		stores, json_pack("{s:o, s:b}", "path", api_text(d->image_dir), "mounted", false));
	for (size_t i = 0; i < d->conf.stores; i++)
		if (trash_is_dir(&d->conf.store[i]))
			json_array_append_new(stores,
				json_pack("{s:o, s:b}", "path", api_text(d->conf.store[i].path),
					"mounted", d->conf.store[i].require_mount));
	return stores;
}

/* --- the child --- */

static void trash_finish(struct trash_running *t, const json_t *images, const struct err *e)
{
	if (t->move && t->daemon->emit) /* else the pruner is gone */
		trash_prune(t->daemon->trash);
	used_moving_end(&t->moving);
	t->done(t->data, images, e);
	json_decref(t->images);
	json_decref(t->answer);
	free(t);
}

static void trash_remove_volumes(struct trash_running *t);

static void trash_on_removed(
	void *data, enum volume_answer answer, const char *said, const struct err *e)
{
	struct trash_running *t = data;
	json_t *row = json_array_get(t->answer, t->at++);

	t->call = NULL;
	if (answer == VOLUME_DONE)
		json_object_set_new(row, "removed", json_true());
	else
		json_object_set_new(row, "why", api_text(e->text));
	trash_remove_volumes(t);
}

static void trash_remove_volume(struct trash_running *t, const json_t *image, json_t *row)
{
	const struct conf_daemon *c = &t->daemon->conf;
	const struct volume_request r = {
		.store = conf_daemon_store(c, json_string_value(json_object_get(image, "store"))),
		.verb = "delete",
		.name = json_string_value(json_object_get(image, "name"))
	};
	struct err e = ERR_INIT;

	if (!t->daemon->emit)
		err_set(&e, ERR_FAILED, "the daemon is ending");
	else if (!r.store || !r.store->program)
		err_set(&e, ERR_FAILED, "vmkeep.conf has no program for its store");
	else
		t->call = volume_ask(t->daemon, &r, trash_on_removed, t, &e);
	if (!t->call)
		json_object_set_new(row, "why", api_text(e.text));
}

/* Those that the child leaves to us, one after the other. There is no trash for volumes: programs do
 * not rename. */
static void trash_remove_volumes(struct trash_running *t)
{
	for (; t->at < json_array_size(t->answer); t->at++) {
		json_t *row = json_array_get(t->answer, t->at);

		json_object_set_new(row, "removed", json_false());
		if (!json_is_null(json_object_get(row, "why")) ||
			!json_is_null(json_object_get(row, "to")))
			continue;
		if (!t->move)
			json_object_set_new(row, "removed", json_true());
		else
			trash_remove_volume(t, json_array_get(t->images, t->at), row);
		if (t->call)
			return;
	}
	trash_finish(t, t->answer, NULL);
}

static void trash_on_done(void *data, const struct child_result *c)
{
	struct trash_running *t = data;
	_cleanup_(free_ptr) char *said = text_escape(c->err, strcspn(c->err, "\n"), false);
	json_t *answer = c->status ? NULL : json_loadb(c->out, c->out_len, 0, NULL);
	const json_t *images = json_object_get(answer, "images");
	struct err e = ERR_INIT;
	char late[CHILD_LATE];

	t->child = NULL;
	if (*said)
		log_warning(NULL, "%s", said);
	if (c->status == -ETIMEDOUT)
		err_set(&e, ERR_TIMEOUT,
			"a file system does not respond: the child that looks there %s",
			child_late(c, late));
	else if (json_object_get(answer, "error"))
		confine_error(json_object_get(answer, "error"), &e);
	else if (!images || json_array_size(images) != json_array_size(t->images))
		err_set(&e, ERR_FAILED, "the child that moves images was killed");
	if (e.number) {
		trash_finish(t, NULL, &e);
	} else {
		t->answer = json_deep_copy(images);
		trash_remove_volumes(t);
	}
	json_decref(answer);
}

struct trash_running *trash_run(struct daemon *d, const char *name, const char *uuid,
	const json_t *images, bool move, trash_fn *done, void *data, struct err *e)
{
	static const char *const argv[] = { "/proc/self/exe", "--trash", NULL };
	struct trash_running *t;
	struct child_options o = { .argv = argv,
		.out_max = ANSWER_MAX,
		.timeout = TRASH_SECONDS,
		.while_idle = true,
		.done = trash_on_done };
	json_t *others = trash_others(d, name, e), *request;
	char *text;

	if (!others)
		return NULL;
	request = json_pack("{s:b, s:I, s:s, s:o, s:o, s:O}", "move", move, "time",
		(json_int_t)trash_now(d->trash), "uuid", uuid ? uuid : "", "stores",
		trash_stores(d), "others", others, "images", images);
	text = json_dumps(request, JSON_COMPACT);
	t = xcalloc(1, sizeof *t);
	*t = (struct trash_running){ .daemon = d,
		.move = move,
		.images = json_deep_copy(images),
		.done = done,
		.data = data };
	o.input = text;
	o.data = t;
	t->child = child_run(d->loop.ev, &o, e);
	if (!t->child) {
		json_decref(t->images);
		free_ptr(&t);
	} else if (move) {
		used_moving_begin(&t->moving, t->images);
	}
	json_decref(request);
	free(text);
	return t;
}

void trash_cancel(struct trash_running *t)
{
	if (!t)
		return;
	child_cancel(t->child);
	volume_cancel(t->call);
	json_decref(t->images);
	json_decref(t->answer);
	free(t);
}
