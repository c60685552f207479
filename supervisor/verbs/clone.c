/* SPDX-License-Identifier: MIT */
/*
 * clone, and create --template: writes the file of a new VM from that of another one, which is off.
 *
 * A full copy copies the images first; the VM is busy meanwhile, so that nothing starts it. With linked,
 * only the UEFI variables are copied: disks based on a template's are made by the first start. The file
 * comes last: it never names a copy that is not complete.
 */
#include "supervisor/verbs/clone_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "supervisor/control/peer.h"
#include "supervisor/core/replace.h"
#include "supervisor/make/copies.h"
#include "supervisor/make/template.h"
#include "supervisor/qemu/device.h"
#include "supervisor/start/start.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/revert.h"

static const char CLONING[] = "a clone";

static void clone_free(struct clone *t)
{
	copies_free(t->copies);
	quota_release(&t->claim);
	create_name_release(&t->name);
	clone_images_release(t->image, t->images);
	buf_release(&t->text);
	peer_unref(t->peer);
	json_decref(t->words);
	free(t->like);
	free(t->path);
	free(t->to);
	free(t->from);
	free(t);
}

/* --- may it be cloned? --- */

/* What a copy shows of a VM's disks is for its owner; a template is meant to be copied. */
static int clone_may_read(const struct clone *t, const struct vm *vm, struct err *e)
{
	if (!t->owner || (vm->file.have_conf && vm->file.conf.template) ||
		peer_owns(t->peer, &vm->file.conf.owner))
		return 0;
	return err_set(e, ERR_PERMISSION,
		"permission denied: %s may only clone templates and VMs that are %s's own",
		t->peer->user, t->peer->user);
}

static int clone_may(const struct clone *t, struct vm *vm, struct err *e)
{
	if (clone_may_read(t, vm, e) < 0 || (t->linked && template_may(vm, e) < 0))
		return e->number;
	if (!vm_state_is_down(vm->st.state)) {
		err_set(e, ERR_WRONG_STATE, "is %s", vm_state_name(vm->st.state));
		return err_hint(e, "vmkeep stop %s first", vm->name);
	}
	if (vm->file.problems)
		return err_set(e, ERR_INVALID_CONFIG, "%s", vm->file.problems);
	if (vm->busy && !t->held) {
		err_set(e, ERR_CONFLICT, "%s is under way", vm->busy);
		return err_hint(e, "vmkeep jobs shows its progress");
	}
	if (vm_revert_check(vm, e) < 0)
		return e->number;
	/* one that was never started has no uid yet, which reads the images */
	return vm_complete_identity(vm, &vm->file.conf, e) < 0 ? e->number
							       : vm_draft_identity(vm, e);
}

/* Nothing writes to its disks or deletes it until clone_let_go(). Of a template, several clones can be
 * made at once. */
static void clone_hold(struct clone *t, struct vm *vm)
{
	t->held = true;
	if (vm->file.conf.template)
		vm->lent++;
	else
		vm->busy = CLONING;
}

static void clone_let_go(struct clone *t)
{
	struct vm *vm = t->held && t->daemon->emit ? vms_find(t->daemon->vms, t->from) : NULL;

	t->held = false;
	if (vm && vm->busy == CLONING) {
		vm->busy = NULL;
		vm_idle(vm);
	} else if (vm && vm->lent) { /* else it is another one of that name */
		vm->lent--;
	}
}

/* --- the copies --- */

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

	for (size_t i = 0; !t->linked && i < c->disks; i++) {
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

static json_t *clone_result(const struct clone *t)
{
	const struct vm *vm = t->job && t->daemon->emit ? vms_find(t->daemon->vms, t->to) : NULL;

	return t->words ? json_pack("{s:s, s:s, s:s?}", "file", t->path, "text", t->text.data,
				  "state", vm ? vm_state_name(vm->st.state) : NULL)
			: json_pack("{s:s, s:s, s:s, s:o}", "new", t->to, "file", t->path, "uuid",
				  t->uuid, "disks", copies_made(t->copies));
}

static void clone_finish(struct clone *t, const struct err *e)
{
	if (t->job)
		job_finish(t->job, e ? NULL : clone_result(t), e);
	else if (t->r && e)
		request_error(t->r, e);
	else if (t->r)
		request_return(t->r, clone_result(t));
	clone_free(t);
}

static void clone_fail(struct clone *t, const struct err *e)
{
	_cleanup_(free_ptr) char *own = vm_path(t->to, NULL);

	if (t->has_dir) /* empty again */
		unlinkat(t->daemon->dirs.state_fd, own, AT_REMOVEDIR);
	clone_let_go(t);
	clone_finish(t, e);
}

static void clone_on_started(void *data, const struct err *e)
{
	clone_finish(data, e);
}

static void clone_on_written(void *data, const struct err *failed)
{
	struct clone *t = data;
	struct err e = ERR_INIT;
	struct vm *vm;

	if (failed) {
		copies_drop(t->copies, failed);
		return;
	}
	vm = t->daemon->emit ? vms_get(t->daemon->vms, t->to, &e) : NULL;
	quota_release(&t->claim);
	create_name_release(&t->name);
	if (vm)
		vm_history(vm, t->words ? "create" : "clone", t->job->who, t->from);
	clone_let_go(t);
	if (vm && t->start && vm_start(vm, false, t->job->who, &e) == 0)
		vm_wait(vm, VM_GOAL_UP, 0, clone_on_started, t);
	else
		clone_finish(t, t->start && e.number ? &e : NULL);
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

/* --- the beginning --- */

static void clone_begin_job(struct clone *t, struct vm *vm)
{
	t->job = verb_job(t->daemon, t->r, vm);
	if (t->words)
		snprintf(t->job->vm, sizeof t->job->vm, "%s", t->to);
}

static void clone_copy(struct clone *t, struct vm *vm)
{
	struct err e = ERR_INIT;

	t->copies = copies_new(vm, t->job, clone_on_copied, t);
	if (clone_add_images(t, vm, &e) < 0)
		copies_drop(t->copies, &e);
	else
		copies_run(t->copies);
}

static void clone_on_sized(void *data, const uint64_t *size, const struct err *failed)
{
	struct clone *t = data;
	struct err e = ERR_INIT;
	struct vm *vm = failed ? NULL : verb_vm_after(t->daemon, t->from, &e);

	if (failed)
		err_copy(&e, failed);
	else if (vm && clone_may(t, vm, &e) == 0)
		clone_make_text(t, vm, size, true, &e);
	if (!vm || e.number)
		clone_fail(t, &e);
	else if (t->dry)
		clone_finish(t, NULL);
	else
		clone_copy(t, vm);
}

/* A user's quota counts what the file says: full copies get their size written, too. */
static void clone_begin(struct clone *t, struct vm *vm)
{
	const bool ask = t->linked || t->owner, linked = t->linked;
	struct err e = ERR_INIT;
	size_t n;
	char **path;

	if (clone_make_text(t, vm, NULL, !ask, &e) < 0) {
		clone_fail(t, &e);
		return;
	}
	if (!t->dry)
		clone_begin_job(t, vm);
	if (!t->dry) {
		clone_hold(t, vm);
		create_name_claim(&t->name, t->to);
	}
	if (!ask) {
		clone_copy(t, vm);
		return;
	}
	n = t->images;
	path = xcalloc(n + 1, sizeof *path);
	for (size_t i = 0; linked && i < n; i++)
		path[i] = t->image[i].path ? xstrdup(t->image[i].path) : NULL;
	if (template_ask(vm, path, clone_on_sized, t, &e) < 0)
		clone_fail(t, &e);
	for (size_t i = 0; i < n; i++)
		free(path[i]);
	free(path);
}

static void clone_on_gone(void *data)
{
	struct clone *t = data;

	t->r = NULL;
}

/* e: it is nobody's to make. */
static struct clone *clone_new(
	struct daemon *d, const char *from, const char *to, struct request *r, struct err *e)
{
	struct clone *t = xcalloc(1, sizeof *t);

	t->daemon = d;
	t->r = r;
	t->role = request_role(r);
	t->peer = peer_ref(request_peer(r));
	t->owner = create_owner(t->role, t->peer, e);
	t->from = xstrdup(from);
	t->to = xstrdup(to);
	t->path = xasprintf("%s/%s.vm", d->dirs.config, to);
	request_on_gone(r, clone_on_gone, t);
	return t;
}

void verb_clone(struct vm *vm, struct request *r)
{
	struct err e = ERR_INIT;
	struct clone *t = clone_new(vm->daemon, vm->name, request_string(r, "new"), r, &e);

	t->linked = request_bool(r, "linked", false);
	identity_random_uuid(t->uuid);
	/* vm may be gone after the names were looked at */
	vm = e.number || create_name_may(t->daemon, t->to, &e) < 0 ||
			     create_name_free_for(t->daemon, t->to, t->role, t->peer, &e) < 0 ||
			     create_dropins_may(t->daemon, t->to, NULL, 0, &e) < 0
		     ? NULL
		     : vms_get(t->daemon->vms, t->from, &e);
	if (vm && clone_may(t, vm, &e) == 0)
		clone_begin(t, vm);
	else
		clone_fail(t, &e);
}

void clone_create(
	struct daemon *d, struct request *r, const char *template, json_t *words, const char *uuid)
{
	struct err e = ERR_INIT;
	struct clone *t = clone_new(d, template, request_string(r, "name"), r, &e);
	struct vm *vm = e.number ? NULL : vms_get(d->vms, template, &e);

	t->linked = true;
	t->words = words;
	t->start = request_bool(r, "start", false);
	t->dry = request_bool(r, "dry-run", false);
	snprintf(t->uuid, sizeof t->uuid, "%s", uuid);
	if (vm && clone_may(t, vm, &e) == 0) {
		clone_begin(t, vm);
		return;
	}
	if (vm)
		err_wrap(&e, e.number, "VM '%s'", template);
	clone_fail(t, &e);
}
