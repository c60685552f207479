/* SPDX-License-Identifier: MIT */
/*
 * rename: a child writes a stopped VM's files under the new name, with its UUID=, and then removes the
 * old ones; its state follows the UUID (vm/renamed.h). While both files are there, because something
 * was killed, the new one is refused, and another rename goes on: what is written already is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/load.h"
#include "supervisor/check/change.h"
#include "supervisor/core/replace.h"
#include "supervisor/verbs/create.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/vm/bases.h"
#include "supervisor/vm/forget.h"
#include "supervisor/vm/renamed.h"

static const char RENAMING[] = "a rename";

enum { FILES_MAX = CONF_DROPINS_MAX + 1, DROPINS_MODE = 0755, TEXT_MAX = 16 << 20 };

struct rename {
	struct daemon *daemon;
	struct job *job;
	char *from, *to, *path; /* the main file's new path */
	char *old_dropins, *new_dropins;
	char uuid[37];
	bool never_ran;
	enum api_role role;
	struct create_claim name; /* to */

	struct conf_texts *texts;
	const struct conf_source *src; /* in texts */
	size_t n;
	struct buf text[FILES_MAX]; /* the new ones */
	char *place[FILES_MAX];
};

static void rename_free(struct rename *t)
{
	for (size_t i = 0; i < t->n; i++) {
		buf_release(&t->text[i]);
		free(t->place[i]);
	}
	create_name_release(&t->name);
	conf_texts_free(t->texts);
	free(t->old_dropins);
	free(t->new_dropins);
	free(t->path);
	free(t->to);
	free(t->from);
	free(t);
}

static bool rename_names(const struct conf_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (streq(list->item[i], name))
			return true;
	return false;
}

/* Their files would name a VM that does not exist. */
static int rename_check_others(const struct rename *t, struct err *e)
{
	const struct vms *vms = t->daemon->vms;

	for (size_t i = 0; i < vms->n; i++) {
		const struct vm *other = vms->vm[i];
		const struct conf_vm *c = &other->file.conf;
		const char *key = !other->file.have_conf		? NULL
				  : rename_names(&c->after, t->from)	? "After"
				  : rename_names(&c->requires, t->from) ? "Requires"
									: NULL;

		if (!key)
			continue;
		err_set(e, ERR_CONFLICT, "the VM '%s' names it: %s=%s", other->name, key, t->from);
		return err_hint(e,
			"vmkeep set %s Lifecycle.%s-=%s && vmkeep rename %s %s && "
			"vmkeep set %s Lifecycle.%s+=%s",
			other->name, key, t->from, t->from, t->to, other->name, key, t->to);
	}
	return 0;
}

static int rename_may(const struct vm *vm, const struct request *r, struct err *e)
{
	/* a restart that is due would go on with the old name */
	if (!vm_state_is_down(vm->st.state) || vm->st.state == VM_BACKOFF) {
		err_set(e, ERR_WRONG_STATE, "is %s", vm_state_name(vm->st.state));
		return err_hint(e, "vmkeep stop %s first", vm->name);
	}
	return request_bool(r, "force", false) ? 0 : edit_refuse(&vm->file.conf, e);
}

/* The texts under the new name: the same, and UUID= if it is not there. */
static int rename_compose(struct rename *t, const struct vm *vm, struct err *e)
{
	_cleanup_(free_ptr) char *word = xasprintf("VM.UUID=%s", t->uuid);
	const size_t old = strlen(t->old_dropins);
	struct conf_edit *ed;
	int r = 0;

	t->texts = conf_texts_new(t->daemon->dirs.config, t->from, e);
	if (!t->texts)
		return e->number;
	t->src = conf_texts_sources(t->texts, &t->n);
	ed = conf_edit_new(t->src, t->n, &t->daemon->conf);
	if (!vm->file.conf.uuid && *t->uuid)
		r = conf_edit_set(ed, word, e);
	for (size_t i = 0; r == 0 && i < t->n; i++) {
		if (!conf_edit_text(ed, i, &t->text[i]))
			buf_add(&t->text[i], t->src[i].text, t->src[i].len);
		t->place[i] = i == 0 ? xstrdup(t->path)
				     : xasprintf("%s%s", t->new_dropins, t->src[i].file + old);
	}
	conf_edit_free(ed);
	return r;
}

static const char *rename_text(const struct rename *t, size_t i)
{
	return t->text[i].data ? t->text[i].data : "";
}

/* A path with %n would lead to another image. */
static int rename_check_path(const struct rename *t, const struct conf_disk *disk, const char *was,
	const char *is, const char *key, struct err *e)
{
	if (streq(was, is))
		return 0;
	err_set(e, ERR_CONFLICT, "disk '%s': %s= contains %%n, and would become '%s'", disk->id,
		key, is);
	return err_hint(e, "vmkeep set %s Disk.%s.%s=%s", t->from, disk->id, key, was);
}

static int rename_check_disks(
	const struct rename *t, const struct conf_vm *from, const struct conf_vm *to, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < from->disks; i++) {
		const struct conf_disk *was = &from->disk[i], *is = &to->disk[i];

		/* there may be an image of that name, which another VM left behind */
		if (was->unnamed && t->never_ran && t->role < API_ROLE_OPERATOR)
			r = err_set(e, ERR_PERMISSION,
				"only an operator may use another image, '%s', for disk '%s'",
				is->path, was->id);
		if (!was->unnamed && !was->cdrom)
			r = rename_check_path(t, was, was->path, is->path, "Path", e);
		for (size_t k = 0; r == 0 && k < was->base.n; k++)
			r = rename_check_path(
				t, was, was->base.item[k], is->base.item[k], "Base", e);
	}
	return r;
}

/* Their Base= lines name images by their path. */
static int rename_check_overlays(
	const struct rename *t, struct conf_vm *from, struct conf_vm *to, struct err *e)
{
	const struct vm *vm = vms_find(t->daemon->vms, t->from);

	if (vm) { /* once it ran, disks without Path= keep their names */
		vm_keep_disk_names(vm, from);
		vm_keep_disk_names(vm, to);
	}
	if (vm_overlays_check(t->daemon->vms, t->from, from, to, e) == 0)
		return 0;
	for (size_t i = 0; i < from->disks; i++)
		if (from->disk[i].unnamed && !from->disk[i].cdrom)
			return err_hint(e,
				"vmkeep set %s Disk.%s.Path=%s, then the image keeps its name",
				t->from, from->disk[i].id, from->disk[i].path);
	return e->number;
}

/* By a rename that did not finish. */
static bool rename_is_written(const struct rename *t, size_t i)
{
	struct buf text = BUF_MAX(TEXT_MAX);
	bool same = file_read(AT_FDCWD, t->place[i], &text, NULL) == 0 &&
		    text.len == t->text[i].len &&
		    (!text.len || memcmp(text.data, t->text[i].data, text.len) == 0);

	buf_release(&text);
	return same;
}

/* Under the new name the files must be valid, and mean the same images. */
static int rename_check(const struct rename *t, struct err *e)
{
	const struct conf_context ctx = {
		.defaults = &t->daemon->conf,
		.uuid = t->uuid,
		.state_dir = t->daemon->dirs.state,
		.newer = t->daemon->newer_keys,
	};
	struct conf_problems unheard = { 0 }, problems = { 0 };
	struct conf_source fresh[FILES_MAX];
	struct conf_vm from = CONF_VM_INIT, to = CONF_VM_INIT;
	int r;

	for (size_t i = 0; i < t->n; i++)
		fresh[i] = (struct conf_source){ t->place[i], rename_text(t, i), t->text[i].len };
	conf_vm_parse(&from, t->from, t->src, t->n, &ctx, &unheard);
	conf_vm_parse(&to, t->to, fresh, t->n, &ctx, &problems);
	r = conf_problems_err(&problems, e);
	if (r == 0 && from.disks == to.disks)
		r = rename_check_disks(t, &from, &to, e);
	if (r == 0 && edit_may_keys(t->role, &from, &to, e) < 0) /* %n */
		r = err_wrap(e, e->number, "with the new name");
	/* if the new file is there, it has been checked */
	if (r == 0 && !rename_is_written(t, 0))
		r = change_check(t->daemon, t->role, &from, &to, e);
	if (r == 0)
		r = rename_check_overlays(t, &from, &to, e);
	conf_problems_release(&unheard);
	conf_problems_release(&problems);
	conf_vm_release(&from);
	conf_vm_release(&to);
	return r;
}

static void rename_finish(struct rename *t, const struct err *e)
{
	struct vm *vm = t->daemon->emit ? vms_find(t->daemon->vms, t->from) : NULL;

	if (vm && vm->busy == RENAMING) {
		vm->busy = NULL;
		vm_idle(vm);
	}
	job_finish(t->job, e ? NULL : json_pack("{s:s, s:s}", "new", t->to, "file", t->path), e);
	rename_free(t);
}

/* What was told of a VM that never ran stays with the old name; all of it is in the new file. */
static void rename_forget_draft(const struct rename *t)
{
	struct err e = ERR_INIT;
	json_t *disks = NULL;

	vm_forget(t->daemon->vms, t->from, t->job->who, &disks, &e);
	json_decref(disks);
}

/* Reads both names again: the state follows. */
static int rename_follow(struct rename *t, struct err *e)
{
	struct vm *vm = vms_find(t->daemon->vms, t->from);

	if (vm) {
		vm->busy = NULL;
		vm_idle(vm);
	}
	if (rmdir(t->old_dropins) < 0 && errno != ENOENT)
		return err_errno(e, "remove '%s'", t->old_dropins);
	vms_refresh(t->daemon->vms);
	vm = vms_get(t->daemon->vms, t->to, e);
	if (!vm)
		return e->number;
	vm_history(vm, "rename", t->job->who, t->from);
	if (t->never_ran)
		rename_forget_draft(t);
	else if (!streq(vm->identity.uuid, t->uuid))
		return err_set(e, ERR_FAILED, "renamed, but its state is not there: see the log");
	return 0;
}

static void rename_on_replaced(void *data, const struct err *failed)
{
	struct rename *t = data;
	struct err e = ERR_INIT;

	if (failed)
		(void)!rmdir(t->new_dropins);
	else if (!t->daemon->emit)
		err_set(&e, ERR_FAILED, "the daemon is ending");
	else
		rename_follow(t, &e);
	rename_finish(t, failed ? failed : e.number ? &e : NULL);
}

/* The drop-ins come before the main file, and go after it: a VM without them would be another one. */
static int rename_run(struct rename *t, struct err *e)
{
	struct replace_file file[2 * FILES_MAX];
	size_t files = 0;

	if (t->n > 1 && mkdir(t->new_dropins, DROPINS_MODE) < 0 && errno != EEXIST)
		return err_errno(e, "create '%s'", t->new_dropins);
	for (size_t i = t->n; i-- > 0;)
		if (!rename_is_written(t, i))
			file[files++] = (struct replace_file){ t->place[i], NULL, rename_text(t, i),
				t->src[i].file };
	for (size_t i = 0; i < t->n; i++)
		file[files++] = (struct replace_file){ t->src[i].file, t->src[i].text, NULL, NULL };
	return replace(t->daemon, file, files, rename_on_replaced, t, e);
}

static struct rename *rename_new(const struct vm *vm, const struct request *r)
{
	struct rename *t = xcalloc(1, sizeof *t);
	const char *dir = vm->daemon->dirs.config;

	t->daemon = vm->daemon;
	t->from = xstrdup(vm->name);
	t->to = xstrdup(request_string(r, "new"));
	t->path = xasprintf("%s/%s.vm", dir, t->to);
	t->old_dropins = xasprintf("%s/%s.vm.d", dir, t->from);
	t->new_dropins = xasprintf("%s/%s.vm.d", dir, t->to);
	snprintf(t->uuid, sizeof t->uuid, "%s", vm->identity.uuid);
	t->never_ran = !vm->identity.kept;
	t->role = request_role(r);
	return t;
}

static struct vm *rename_prepare(
	struct rename *t, const struct vm *vm, const struct request *r, struct err *e)
{
	if (rename_may(vm, r, e) < 0 || rename_compose(t, vm, e) < 0)
		return NULL;
	vms_refresh(t->daemon->vms); /* vm may be gone now */
	if (rename_check(t, e) < 0 || rename_check_others(t, e) < 0 ||
		create_name_free_for(t->daemon, t->to, t->role, request_peer(r), e) < 0 ||
		create_dropins_may(t->daemon, t->to, t->place, t->n, e) < 0 ||
		(!rename_is_written(t, 0) && create_name_may(t->daemon, t->to, e) < 0))
		return NULL;
	return vms_get(t->daemon->vms, t->from, e);
}

void verb_rename(struct vm *vm, struct request *r)
{
	struct rename *t = rename_new(vm, r);
	struct err e = ERR_INIT;

	vm = rename_prepare(t, vm, r, &e);
	if (!vm) {
		request_error(r, &e);
		rename_free(t);
		return;
	}
	t->job = verb_job(t->daemon, r, vm);
	vm->busy = RENAMING;
	create_name_claim(&t->name, t->to);
	if (rename_run(t, &e) < 0)
		rename_finish(t, &e);
}
