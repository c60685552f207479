/* SPDX-License-Identifier: MIT */
/* create: composes the file of a new VM with the editor of conf/edit.h, checks it, and writes it. */
#include "supervisor/verbs/create.h"

#include "base/mem.h"
#include "base/text.h"
#include "conf/load.h"
#include "conf/word.h"
#include "supervisor/control/peer.h"
#include "supervisor/core/replace.h"
#include "supervisor/make/image.h"
#include "supervisor/qemu/identity.h"
#include "supervisor/start/once.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/verbs/quota.h"
#include "supervisor/verbs/verb.h"

struct create {
	struct daemon *daemon;
	struct request *r;	   /* until there is a job */
	struct image_asked *asked; /* for the size of an image */
	struct job *job;
	char *name, *path;
	char uuid[37];
	json_t *words;
	char *iso; /* the CD of the first start, which is not in the file; NULL: none */
	struct buf text;
	bool start, dry;
	enum api_role role;
	struct peer *peer;
	struct quota_claim claim;
	struct conf_vm conf;
};

static void create_free(struct create *c)
{
	json_decref(c->words);
	quota_release(&c->claim);
	conf_vm_release(&c->conf);
	peer_unref(c->peer);
	buf_release(&c->text);
	free(c->iso);
	free(c->name);
	free(c->path);
	free(c);
}

static int create_compose(struct create *c, const char *without, struct err *e)
{
	const struct conf_source empty = { .file = c->path, .text = "" };
	struct conf_edit *ed = conf_edit_new(&empty, 1, &c->daemon->conf);
	size_t i;
	json_t *word;
	int r = 0;

	json_array_foreach (c->words, i, word)
		if (r == 0 && !streq(json_string_value(word), without))
			r = conf_edit_set(ed, json_string_value(word), e);
	buf_clear(&c->text);
	if (r == 0)
		conf_edit_text(ed, 0, &c->text);
	conf_edit_free(ed);
	return r;
}

/* What a user other than an operator gets without asking: the rest must be theirs to set. */
static char *create_granted(const struct create *c)
{
	return c->role < API_ROLE_OPERATOR
		       ? xasprintf("[VM]\nUUID=%s\nOwner=%s\n", c->uuid, c->peer->user)
		       : xstrdup("");
}

static int create_check_text(struct create *c, struct err *e)
{
	_cleanup_(free_ptr) char *granted = create_granted(c);
	const struct conf_source src = { c->path, c->text.data, c->text.len },
				 base = { c->path, granted, strlen(granted) };
	const struct conf_context ctx = {
		.defaults = &c->daemon->conf,
		.uuid = c->uuid,
		.state_dir = c->daemon->dirs.state,
		.newer = c->daemon->newer_keys,
	};
	struct conf_problems problems = { 0 };
	struct conf_vm from = CONF_VM_INIT;
	int r;

	conf_vm_release(&c->conf);
	conf_vm_parse(&c->conf, c->name, &src, 1, &ctx, &problems);
	r = conf_problems_err(&problems, e);
	conf_problems_release(&problems);
	conf_vm_parse(&from, c->name, &base, 1, &ctx, &problems);
	conf_problems_release(&problems);
	if (r == 0)
		r = edit_may(c->daemon, c->role, &from, &c->conf, e);
	if (r == 0)
		r = quota_check(c->daemon, c->role, c->peer, c->name, NULL, &c->conf, e);
	conf_vm_release(&from);
	return r;
}

static json_t *create_result(const struct create *c, const struct vm *vm)
{
	return json_pack("{s:s, s:s, s:s?}", "file", c->path, "text", c->text.data, "state",
		vm ? vm_state_name(vm->st.state) : NULL);
}

static void create_finish(struct create *c, const struct vm *vm, const struct err *e)
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

	create_finish(c, vms_find(c->daemon->vms, c->name), e);
}

static void create_on_written(void *data, const struct err *failed)
{
	struct create *c = data;
	struct err e = ERR_INIT;
	struct vm *vm = failed ? NULL : verb_vm_after(c->daemon, c->name, &e);

	quota_release(&c->claim);
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
	const struct replace_file file = { c->path, NULL, c->text.data, NULL };

	c->job = verb_job(c->daemon, c->r, NULL);
	snprintf(c->job->vm, sizeof c->job->vm, "%s", c->name);
	quota_claim(&c->claim, c->role, c->peer, c->name, &c->conf);
	return replace(c->daemon, &file, 1, create_on_written, c, e);
}

static void create_go_on(struct create *c)
{
	_cleanup_(free_ptr) char *cd = c->iso ? xasprintf(CREATE_CD "Path=%s", c->iso) : NULL;
	struct err e = ERR_INIT;
	int r = create_compose(c, NULL, &e);

	if (r == 0)
		r = create_check_text(c, &e);
	if (r == 0 && cd)
		r = create_compose(c, cd, &e);
	if (r == 0 && cd)
		r = create_check_text(c, &e);
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
	if (failed || e.number || create_words_size(c->words, (uint64_t)size, &e) < 0)
		create_finish(c, NULL, failed ? failed : &e);
	else
		create_go_on(c);
}

/* The new disk is as large as the image, if nothing else is said. */
static int create_look(struct create *c, const char *path, struct err *e)
{
	json_t *request = image_request(c->daemon, "size", create_words_store(c->words), e);

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

/* Owner= would name nobody. */
static int create_may(const struct create *c, struct err *e)
{
	if (c->role >= API_ROLE_OPERATOR || conf_word_owner(c->peer->user))
		return 0;
	return err_set(
		e, ERR_PERMISSION, "permission denied: %s is not a name for Owner=", c->peer->user);
}

static int create_prepare(struct create *c, struct err *e)
{
	const char *owner = c->role < API_ROLE_OPERATOR ? c->peer->user : NULL;
	struct identity id = IDENTITY_INIT;

	identity_make_uuid(&id);
	snprintf(c->uuid, sizeof c->uuid, "%s", id.uuid);
	identity_release(&id);
	if (create_may(c, e) < 0 || create_name_may(c->daemon, c->name, e) < 0 ||
		create_dropins_may(c->daemon, c->name, NULL, 0, e) < 0)
		return e->number;
	c->words = create_words(request_arguments(c->r), c->uuid, owner, e);
	if (create_words_installs(request_arguments(c->r)))
		c->iso = xstrdup(request_string(c->r, "iso"));
	return c->words ? 0 : e->number;
}

void verb_create(struct daemon *d, struct request *r)
{
	struct create *c = xcalloc(1, sizeof *c);
	const char *image;
	struct err e = ERR_INIT;

	*c = (struct create){ .daemon = d,
		.r = r,
		.name = xstrdup(request_string(r, "name")),
		.path = xasprintf("%s/%s.vm", d->dirs.config, request_string(r, "name")),
		.start = request_bool(r, "start", false),
		.dry = request_bool(r, "dry-run", false),
		.role = request_role(r),
		.peer = peer_ref(request_peer(r)),
		.conf = CONF_VM_INIT };
	request_on_gone(r, create_on_gone, c);
	if (create_prepare(c, &e) < 0) {
		create_finish(c, NULL, &e);
		return;
	}
	image = request_string(r, "image") ? create_words_base(c->words) : NULL;
	if (!image)
		create_go_on(c);
	else if (create_look(c, image, &e) < 0)
		create_finish(c, NULL, &e);
}
