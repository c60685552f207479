/* SPDX-License-Identifier: MIT */
/* create: composes the file of a new VM with the editor of conf/edit.h, checks it, and writes it. */
#include "supervisor/verbs/create.h"

#include "base/mem.h"
#include "base/text.h"
#include "conf/load.h"
#include "supervisor/check/change.h"
#include "supervisor/core/replace.h"
#include "supervisor/make/image.h"
#include "supervisor/make/used.h"
#include "supervisor/start/once.h"
#include "supervisor/verbs/clone.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/verbs/quota.h"
#include "supervisor/verbs/verb.h"

struct create {
	struct daemon *daemon;
	struct request *r;	   /* until there is a job */
	struct image_asked *asked; /* for the size of an image */
	struct job *job;
	struct create_text t;
	char *iso;	   /* the CD of the first start, which is not in the file; NULL: none */
	json_t *conflicts; /* with other VMs */
	bool start, dry;
	struct quota_claim claim;
	struct create_claim name;
	struct used_image image;
};

static void create_free(struct create *c)
{
	quota_release(&c->claim);
	create_name_release(&c->name);
	used_end(&c->image);
	create_text_release(&c->t);
	json_decref(c->conflicts);
	free(c->iso);
	free(c);
}

/* What its start did, and what another VM has as well. */
static json_t *create_notes(const struct create *c, struct vm *vm)
{
	json_t *taken = vm ? vm_take_notes(vm) : NULL, *notes = taken ? taken : json_array(), *one;
	size_t i;

	json_array_foreach (c->conflicts, i, one)
		json_array_append_new(
			notes, json_sprintf("warning: %s",
				       json_string_value(json_object_get(one, "text"))));
	return notes;
}

static json_t *create_result(const struct create *c, struct vm *vm)
{
	return json_pack("{s:s, s:s, s:s?, s:o}", "file", c->t.path, "text", c->t.text.data,
		"state", vm ? vm_state_name(vm->st.state) : NULL, "notes", create_notes(c, vm));
}

static void create_finish(struct create *c, struct vm *vm, const struct err *e)
{
	if (c->job)
		job_finish(c->job, e ? NULL : create_result(c, vm), e);
	else if (c->r && e)
		request_error(c->r, e);
	else if (c->r)
		request_return(c->r, create_result(c, NULL));
	create_free(c);
}

static void create_on_started(void *data, const struct err *e)
{
	struct create *c = data;

	create_finish(c, vms_find(c->daemon->vms, c->t.name), e);
}

static void create_on_written(void *data, const struct err *failed)
{
	struct create *c = data;
	struct err e = ERR_INIT;
	struct vm *vm = failed ? NULL : verb_vm_after(c->daemon, c->t.name, &e);

	quota_release(&c->claim);
	create_name_release(&c->name);
	used_end(&c->image);
	if (vm)
		vm_history(vm, "create", c->job->who, NULL);
	if (vm && c->start && once_set(vm, c->iso, true, &e) == 0 &&
		vm_start(vm, false, c->job->who, &e) == 0)
		vm_wait(vm, VM_GOAL_UP, 0, create_on_started, c);
	else
		create_finish(c, vm, failed ? failed : e.number ? &e : NULL);
}

static int create_write(struct create *c, struct err *e)
{
	const struct replace_file file = { c->t.path, NULL, c->t.text.data, NULL };

	c->job = verb_job(c->daemon, c->r, NULL);
	c->image.job = c->job;
	snprintf(c->job->vm, sizeof c->job->vm, "%s", c->t.name);
	quota_claim(&c->claim, c->t.role, c->t.peer, c->t.name, &c->t.conf);
	return replace(c->daemon, &file, 1, create_on_written, c, e);
}

static int create_check_others(struct create *c, struct err *e)
{
	vms_refresh(c->daemon->vms);
	if (change_check(c->daemon, c->t.role, NULL, &c->t.conf, e) == 0)
		c->conflicts = change_conflicts(c->daemon, c->t.role, NULL, &c->t.conf);
	return e->number;
}

static void create_go_on(struct create *c)
{
	_cleanup_(free_ptr) char *cd = c->iso ? xasprintf(CREATE_CD "Path=%s", c->iso) : NULL;
	struct err e = ERR_INIT;
	int r = create_text_compose(&c->t, NULL, &e);

	if (r == 0)
		r = create_text_check(&c->t, &e);
	if (r == 0 && cd)
		r = create_text_compose(&c->t, cd, &e);
	if (r == 0 && cd)
		r = create_text_check(&c->t, &e);
	if (r == 0)
		r = create_check_others(c, &e);
	if (r == 0 && c->r && !c->dry)
		r = create_write(c, &e);
	if (r < 0 || !c->job)
		create_finish(c, NULL, r < 0 ? &e : NULL);
}

static void create_on_sized(void *data, const json_t *answer, const struct err *failed)
{
	struct create *c = data;
	json_int_t size = json_integer_value(json_object_get(answer, "size"));
	struct err e = ERR_INIT;

	c->asked = NULL;
	if (!failed && !c->daemon->emit)
		err_set(&e, ERR_FAILED, "the daemon is ending");
	if (failed || e.number || create_words_size(c->t.words, (uint64_t)size, &e) < 0)
		create_finish(c, NULL, failed ? failed : &e);
	else
		create_go_on(c);
}

/* The new disk is as large as the image, if nothing else is said. */
static int create_look(struct create *c, const char *path, struct err *e)
{
	const char *store = create_words_store(c->t.words);
	json_t *request;

	if (!c->dry && used_begin(&c->image, c->daemon, store, path, c->t.name, e) < 0)
		return e->number;
	request = image_request(c->daemon, "size", store, e);
	if (!request)
		return e->number;
	json_object_set_new(request, "path", json_string(path));
	c->asked = image_ask(c->daemon, request, create_on_sized, c, e);
	return c->asked ? 0 : e->number;
}

/* Before there is a job, which goes on alone. */
static void create_on_gone(void *data)
{
	struct create *c = data;

	image_cancel(c->asked);
	create_free(c);
}

static int create_prepare(struct create *c, struct err *e)
{
	struct create_text *t = &c->t;
	const char *owner = create_owner(t->role, t->peer, e);

	if (e->number || create_name_may(c->daemon, t->name, e) < 0 ||
		create_name_free_for(c->daemon, t->name, t->role, t->peer, e) < 0 ||
		create_dropins_may(c->daemon, t->name, NULL, 0, e) < 0)
		return e->number;
	if (!c->dry)
		create_name_claim(&c->name, t->name);
	if (owner)
		t->granted = xasprintf("[VM]\nUUID=%s\nOwner=%s\n", t->uuid, owner);
	t->words = create_words(request_arguments(c->r), t->uuid, owner, e);
	if (create_words_installs(request_arguments(c->r)))
		c->iso = xstrdup(request_string(c->r, "iso"));
	return t->words ? 0 : e->number;
}

void verb_create(struct daemon *d, struct request *r)
{
	struct create *c = xcalloc(1, sizeof *c);
	const char *image, *template;
	struct err e = ERR_INIT;

	*c = (struct create){ .daemon = d,
		.r = r,
		.start = request_bool(r, "start", false),
		.dry = request_bool(r, "dry-run", false) };
	create_text_init(&c->t, d, request_string(r, "name"),
		xasprintf("%s/%s.vm", d->dirs.config, request_string(r, "name")), request_role(r),
		request_peer(r));
	request_on_gone(r, create_on_gone, c);
	if (create_prepare(c, &e) < 0) {
		create_finish(c, NULL, &e);
		return;
	}
	template = request_string(r, "template");
	if (template) {
		clone_create(d, r, template, json_incref(c->t.words), c->t.uuid);
		create_free(c);
		return;
	}
	image = request_string(r, "image") ? create_words_base(c->t.words) : NULL;
	if (!image)
		create_go_on(c);
	else if (create_look(c, image, &e) < 0)
		create_finish(c, NULL, &e);
}
