/* SPDX-License-Identifier: MIT */
/*
 * clone: copies the images of a stopped VM, which is busy meanwhile so that nothing starts it, and then
 * writes the file of the new VM. The file comes last: it never names an image that is not complete.
 */
#include "supervisor/verbs/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/load.h"
#include "supervisor/core/replace.h"
#include "supervisor/make/copies.h"
#include "supervisor/qemu/device.h"
#include "supervisor/start/start.h"
#include "supervisor/verbs/create.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/revert.h"

static const char CLONING[] = "a clone";

struct clone {
	struct daemon *daemon;
	struct job *job;
	char *from, *to, *path, *like; /* path, like: files */
	char uuid[37];
	struct buf text;
	struct clone_image *image;
	size_t images;
	struct copies *copies;
	bool has_dir; /* STATE/vms/TO */
};

static void clone_free(struct clone *t)
{
	copies_free(t->copies);
	clone_images_release(t->image, t->images);
	buf_release(&t->text);
	free(t->like);
	free(t->path);
	free(t->to);
	free(t->from);
	free(t);
}

static int clone_may(struct vm *vm, struct err *e)
{
	if (!vm_state_is_down(vm->st.state)) {
		err_set(e, ERR_WRONG_STATE, "is %s", vm_state_name(vm->st.state));
		return err_hint(e, "vmkeep stop %s first", vm->name);
	}
	if (vm->file.problems)
		return err_set(e, ERR_INVALID_CONFIG, "%s", vm->file.problems);
	if (vm_revert_check(vm, e) < 0)
		return e->number;
	/* one that was never started has no uid yet, which reads the images */
	return vm_complete_identity(vm, &vm->file.conf, e) < 0 ? e->number
							       : vm_draft_identity(vm, e);
}

static void clone_make_uuid(struct clone *t)
{
	struct identity id = IDENTITY_INIT;

	identity_make_uuid(&id);
	snprintf(t->uuid, sizeof t->uuid, "%s", id.uuid);
	identity_release(&id);
}

static int clone_check_text(struct clone *t, const struct conf_vm *from,
	const struct conf_context *ctx, enum api_role role, struct err *e)
{
	const struct conf_source src = { t->path, t->text.data, t->text.len };
	struct conf_problems problems = { 0 };
	struct conf_vm to = CONF_VM_INIT;
	int r;

	conf_vm_parse(&to, t->to, &src, 1, ctx, &problems);
	r = conf_problems_err(&problems, e);
	conf_problems_release(&problems);
	if (r == 0)
		r = edit_may(t->daemon, role, from, &to, e);
	conf_vm_release(&to);
	return r;
}

static int clone_compose_text(
	struct clone *t, const struct vm *vm, enum api_role role, struct err *e)
{
	const struct daemon *d = t->daemon;
	const struct conf_context ctx = {
		.defaults = &d->conf,
		.uuid = t->uuid,
		.state_dir = d->dirs.state,
		.newer = d->newer_keys,
	};
	struct conf_texts *texts = conf_texts_new(d->dirs.config, t->from, e);
	const struct conf_source *src;
	size_t n;

	if (!texts)
		return e->number;
	src = conf_texts_sources(texts, &n);
	t->like = xstrdup(src->file);
	t->images = vm->file.conf.disks;
	t->image = xcalloc(t->images + 1, sizeof *t->image);
	clone_compose(&t->text, t->image, src, n, &vm->file.conf, t->to, t->path, &ctx, e);
	if (e->number == 0)
		clone_check_text(t, &vm->file.conf, &ctx, role, e);
	conf_texts_free(texts);
	return e->number;
}

static bool clone_has_nvram(struct vm *vm)
{
	int dir = vm_state_dir(vm, NULL);

	return dir >= 0 && faccessat(dir, VM_NVRAM, F_OK, 0) == 0;
}

static int clone_add_nvram(struct clone *t, struct err *e)
{
	const char *state = t->daemon->dirs.state;
	_cleanup_(free_ptr) char *own = vm_path(t->to, NULL), *dir = xasprintf("%s/%s", state, own),
				 *path = xasprintf("%s/%s", dir, VM_NVRAM);

	if (mkdirat(t->daemon->dirs.state_fd, own, 0700) < 0)
		return err_errno(e, "create directory '%s'", dir);
	t->has_dir = true;
	copies_add(t->copies, NULL, path, dir);
	return 0;
}

static int clone_add_images(struct clone *t, struct vm *vm, struct err *e)
{
	const struct conf_vm *c = &vm->file.conf;
	const char *dir = t->daemon->image_dir;

	for (size_t i = 0; i < c->disks; i++) {
		const struct conf_disk *d = &c->disk[i];
		const char *store = *d->path == '/' || d->volume ? dir : device_disk_dir(d, dir);
		_cleanup_(free_ptr) char *path = NULL;

		if (!t->image[i].path)
			continue;
		path = xasprintf("%s/%s", store, t->image[i].path);
		copies_add(t->copies, d, path, store);
	}
	return clone_has_nvram(vm) ? clone_add_nvram(t, e) : 0;
}

/* --- the end --- */

static void clone_let_go(struct clone *t)
{
	struct vm *vm = t->daemon->emit ? vms_find(t->daemon->vms, t->from) : NULL;

	if (vm && vm->busy == CLONING) {
		vm->busy = NULL;
		vm_idle(vm);
	}
}

static void clone_fail(struct clone *t, const struct err *e)
{
	_cleanup_(free_ptr) char *own = vm_path(t->to, NULL);

	if (t->has_dir) /* empty again */
		unlinkat(t->daemon->dirs.state_fd, own, AT_REMOVEDIR);
	clone_let_go(t);
	job_finish(t->job, NULL, e);
	clone_free(t);
}

static void clone_finish(struct clone *t)
{
	struct err e = ERR_INIT;
	struct vm *vm = t->daemon->emit ? vms_get(t->daemon->vms, t->to, &e) : NULL;

	if (vm)
		vm_history(vm, "clone", t->job->who, t->from);
	clone_let_go(t);
	job_finish(t->job,
		json_pack("{s:s, s:s, s:s, s:o}", "new", t->to, "file", t->path, "uuid", t->uuid,
			"disks", copies_made(t->copies)),
		NULL);
	clone_free(t);
}

static void clone_on_written(void *data, const struct err *e)
{
	struct clone *t = data;

	if (e)
		copies_drop(t->copies, e);
	else
		clone_finish(t);
}

static void clone_on_copied(void *data, const struct err *failed)
{
	struct clone *t = data;
	const struct replace_file file = { t->path, NULL, t->text.data, t->like };
	struct err e = ERR_INIT;

	if (failed)
		clone_fail(t, failed);
	else if (replace(t->daemon, &file, 1, clone_on_written, t, &e) < 0)
		copies_drop(t->copies, &e);
}

static struct clone *clone_new(const struct vm *vm, const struct request *r)
{
	struct clone *t = xcalloc(1, sizeof *t);

	t->daemon = vm->daemon;
	t->from = xstrdup(vm->name);
	t->to = xstrdup(request_string(r, "new"));
	t->path = xasprintf("%s/%s.vm", t->daemon->dirs.config, t->to);
	clone_make_uuid(t);
	return t;
}

/* vm may be gone after the names were looked at. */
static struct vm *clone_prepare(struct clone *t, struct vm *vm, enum api_role role, struct err *e)
{
	if (create_name_may(t->daemon, t->to, e) < 0 ||
		create_dropins_may(t->daemon, t->to, NULL, 0, e) < 0)
		return NULL;
	vm = vms_get(t->daemon->vms, t->from, e);
	return vm && clone_may(vm, e) == 0 && clone_compose_text(t, vm, role, e) == 0 ? vm : NULL;
}

void verb_clone(struct vm *vm, struct request *r)
{
	struct clone *t = clone_new(vm, r);
	const enum api_role role = request_role(r);
	struct err e = ERR_INIT;

	vm = clone_prepare(t, vm, role, &e);
	if (!vm) {
		request_error(r, &e);
		clone_free(t);
		return;
	}
	t->job = verb_job(t->daemon, r, vm);
	vm->busy = CLONING;
	t->copies = copies_new(vm, t->job, clone_on_copied, t);
	if (clone_add_images(t, vm, &e) < 0)
		copies_drop(t->copies, &e);
	else
		copies_run(t->copies);
}
