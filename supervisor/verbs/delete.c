/* SPDX-License-Identifier: MIT */
/*
 * delete: a child copies a stopped VM's files to STATE/deleted/NAME.TIME and removes them, then, with
 * --disks, another one moves its images to the trash, then the VM is forgotten. Until then the VM is
 * busy, so that nothing starts it. Whether the images can be moved is found out before the first step.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/load.h"
#include "supervisor/control/peer.h"
#include "supervisor/core/replace.h"
#include "supervisor/make/trash.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/verbs/quota.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/vm/bases.h"
#include "supervisor/vm/forget.h"

static const char DELETING[] = "a deletion";

enum { FILES_MAX = CONF_DROPINS_MAX + 1, KEPT_MODE = 0700, KEPT_MAX = 64 /* of an owner */ };

struct deletion {
	struct daemon *daemon;
	struct job *job;
	struct request *r; /* of a dry run, else NULL */
	struct trash_running *looking;
	bool dry, with_disks;
	uid_t user; /* an owner without another role, else 0 */
	char *name, *kept, *dropins, *uuid;
	json_t *owner;	/* Owner=, users only */
	json_t *images; /* of trash_images(); later: what became of them */
};

static void delete_free(struct deletion *t)
{
	json_decref(t->images);
	json_decref(t->owner);
	free(t->uuid);
	free(t->dropins);
	free(t->kept);
	free(t->name);
	free(t);
}

/* "disks": those that stay. */
static json_t *delete_result(const struct deletion *t)
{
	json_t *disks = json_array(), *image;
	size_t i;

	json_array_foreach (t->images, i, image)
		if (!t->with_disks || !(json_is_string(json_object_get(image, "to")) ||
					      json_is_true(json_object_get(image, "removed"))))
			json_array_append(disks, json_object_get(image, "path"));
	return json_pack("{s:s, s:s?, s:o, s:O*}", "kept", t->kept, "uuid", t->uuid, "disks", disks,
		"images", t->with_disks ? t->images : NULL);
}

/* Ends the deletion: with an error, or done. */
static void delete_finish(struct deletion *t, const struct err *e)
{
	struct vm *vm = t->daemon->emit ? vms_find(t->daemon->vms, t->name) : NULL;

	if (!t->dry && vm && vm->busy == DELETING) {
		vm->busy = NULL;
		vm_idle(vm);
	}
	if (t->job)
		job_finish(t->job, e ? NULL : delete_result(t), e);
	else if (t->r && e)
		request_error(t->r, e);
	else if (t->r)
		request_return(t->r, delete_result(t));
	delete_free(t);
}

/* The directory must be empty afterwards. */
static int delete_check_dropins(const struct deletion *t, struct err *e)
{
	_cleanup_(close_dir) DIR *d = opendir(t->dropins);

	for (const struct dirent *f; d && (f = readdir(d));) {
		size_t len = strlen(f->d_name);

		if (*f->d_name != '.' && (len < 5 || !streq(f->d_name + len - 5, ".conf")))
			return err_set(
				e, ERR_CONFLICT, "'%s/%s' is not a drop-in", t->dropins, f->d_name);
	}
	return 0;
}

/* An image that stays would count no longer, and nobody would remove it. */
static int delete_check_quota(const struct vm *vm, const struct request *r, struct err *e)
{
	const struct conf_vm *c = &vm->file.conf;

	if (request_bool(r, "disks", false) ||
		!quota_bounds_disk(vm->daemon, request_role(r), request_peer(r)))
		return 0;
	for (size_t i = 0; i < c->disks; i++)
		if (c->disk[i].size && identity_disk(&vm->identity, c->disk[i].id)) {
			err_set(e, ERR_NO_RESOURCES,
				"the quota does not allow it: Disk= counts what its disk '%s' would leave behind",
				c->disk[i].id);
			return err_hint(e, "vmkeep delete --disks %s moves its disks to the trash",
				vm->name);
		}
	return 0;
}

static int delete_may(const struct vm *vm, const struct request *r, struct err *e)
{
	if (verb_may_lose(vm, e) < 0)
		return e->number;
	if (!vm_state_is_down(vm->st.state)) {
		err_set(e, ERR_WRONG_STATE, "is %s", vm_state_name(vm->st.state));
		return err_hint(e, "vmkeep kill %s", vm->name);
	}
	if (delete_check_quota(vm, r, e) < 0)
		return e->number;
	if (vm->file.have_conf && vm->file.conf.template &&
		vm_overlays_check(vm->daemon->vms, vm->name, &vm->file.conf, NULL, e) < 0)
		return e->number;
	return request_bool(r, "force", false) ? 0 : edit_refuse(&vm->file.conf, e);
}

/* Whoever creates and deletes again and again gets old copies of his own removed. Whose they are is
 * told by the directory's owner, who cannot reach it. */
static void delete_limit_kept(const char *deleted, uid_t user)
{
	_cleanup_(close_dir) DIR *d = opendir(deleted);
	char oldest[NAME_MAX + 1];
	struct err ignored = ERR_INIT;
	struct stat st;
	time_t since = 0;
	unsigned n = 0;

	for (const struct dirent *f; d && (f = readdir(d));) {
		if (*f->d_name == '.' ||
			fstatat(dirfd(d), f->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			st.st_uid != user)
			continue;
		if (n++ && st.st_mtime >= since)
			continue;
		since = st.st_mtime;
		snprintf(oldest, sizeof oldest, "%s", f->d_name);
	}
	if (n >= KEPT_MAX)
		file_remove_tree(dirfd(d), oldest, &ignored);
}

static int delete_make_dirs(struct deletion *t, bool dropins, struct err *e)
{
	_cleanup_(free_ptr) char *deleted = xasprintf("%s/deleted", t->daemon->dirs.state),
				 *inner = xasprintf("%s/%s.vm.d", t->kept, t->name);

	if (t->user)
		delete_limit_kept(deleted, t->user);
	if ((mkdir(deleted, KEPT_MODE) < 0 && errno != EEXIST) || mkdir(t->kept, KEPT_MODE) < 0 ||
		(dropins && mkdir(inner, KEPT_MODE) < 0))
		return err_errno(e, "create '%s'", t->kept);
	return 0;
}

static void delete_remove_dirs(const struct deletion *t)
{
	_cleanup_(free_ptr) char *inner = xasprintf("%s/%s.vm.d", t->kept, t->name);

	(void)!rmdir(inner);
	(void)!rmdir(t->kept);
}

/* Forgets the VM, which may never have been started: then nothing is stored for it. */
static int delete_forget(struct deletion *t, struct err *e)
{
	json_t *disks = NULL;

	if (rmdir(t->dropins) < 0 && errno != ENOENT)
		return err_errno(e, "remove '%s'", t->dropins);
	if (vm_forget(t->daemon->vms, t->name, t->job->who, &disks, e) < 0) {
		if (e->class != ERR_NOT_FOUND)
			return e->number;
		err_clear(e);
	}
	json_decref(disks);
	if (t->user && chown(t->kept, t->user, (gid_t)-1) < 0) /* for delete_limit_kept() */
		log_warning(t->name, "chown '%s': %s", t->kept, strerror(errno));
	log_info(t->name, "deleted by %s; its files are in '%s'", t->job->who, t->kept);
	return 0;
}

static int delete_is_ending(const struct deletion *t, struct err *e)
{
	return t->daemon->emit ? 0 : err_set(e, ERR_FAILED, "the daemon is ending");
}

/* Bytes, by the file. */
static uint64_t delete_moved(const json_t *images, const json_t *moved)
{
	json_int_t sum = 0;
	const json_t *image;
	size_t i;

	json_array_foreach (images, i, image)
		if (json_is_string(json_object_get(json_array_get(moved, i), "to")))
			sum += json_integer_value(json_object_get(image, "size"));
	return (uint64_t)sum;
}

/* Its files are gone: what fails from here on does not bring them back. */
static void delete_on_moved(void *data, const json_t *images, const struct err *failed)
{
	struct deletion *t = data;
	struct vm *vm = t->daemon->emit ? vms_find(t->daemon->vms, t->name) : NULL;
	struct err e = ERR_INIT;

	if (vm) {
		vm->busy = NULL;
		vm_idle(vm);
	}
	if (images) {
		if (t->daemon->emit)
			quota_trash_add(t->daemon, t->owner, delete_moved(t->images, images),
				trash_now(t->daemon->trash));
		json_decref(t->images);
		t->images = json_deep_copy(images);
	}
	if (delete_is_ending(t, &e) == 0 && delete_forget(t, &e) == 0 && failed) {
		err_copy(&e, failed);
		err_wrap(&e, e.number, "deleted; its files are kept in '%s', but its disks",
			t->kept);
	}
	delete_finish(t, e.number ? &e : NULL);
}

static void delete_on_replaced(void *data, const struct err *failed)
{
	struct deletion *t = data;
	struct err e = ERR_INIT;

	if (failed) {
		delete_remove_dirs(t);
		delete_finish(t, failed);
	} else if (delete_is_ending(t, &e) < 0) {
		delete_finish(t, &e);
	} else if (!t->with_disks) {
		delete_on_moved(t, NULL, NULL);
	} else if (!trash_run(
			   t->daemon, t->name, t->uuid, t->images, true, delete_on_moved, t, &e)) {
		delete_on_moved(t, NULL, &e);
	}
}

/* The copies come first: they are on disk before a file is removed. Then the main file: a VM
 * without its drop-ins would be another one. */
static int delete_run(struct deletion *t, struct err *e)
{
	struct conf_texts *texts = conf_texts_new(t->daemon->dirs.config, t->name, e);
	struct replace_file file[2 * FILES_MAX];
	char *copy[FILES_MAX] = { NULL };
	const struct conf_source *src;
	size_t n = 0, dir = strlen(t->daemon->dirs.config);
	int r;

	if (!texts)
		return e->number;
	src = conf_texts_sources(texts, &n);
	for (size_t i = 0; i < n; i++) {
		copy[i] = xasprintf("%s%s", t->kept, src[i].file + dir);
		file[i] = (struct replace_file){ copy[i], NULL, src[i].text, NULL };
		file[n + i] = (struct replace_file){ src[i].file, src[i].text, NULL, NULL };
	}
	r = delete_make_dirs(t, n > 1, e);
	if (r == 0) {
		r = replace(t->daemon, file, 2 * n, delete_on_replaced, t, e);
		if (r < 0)
			delete_remove_dirs(t);
	}
	for (size_t i = 0; i < n; i++)
		free(copy[i]);
	conf_texts_free(texts);
	return r;
}

static void delete_on_looked(void *data, const json_t *images, const struct err *failed)
{
	struct deletion *t = data;
	struct err e = ERR_INIT;

	t->looking = NULL;
	if (failed) {
		err_copy(&e, failed);
		err_wrap(&e, e.number,
			"nothing was deleted: its disks cannot be moved to the trash");
	} else if (delete_is_ending(t, &e) == 0 && !t->dry && delete_run(t, &e) == 0) {
		return;
	}
	if (images && t->dry) {
		json_decref(t->images);
		t->images = json_deep_copy(images);
	}
	delete_finish(t, e.number ? &e : NULL);
}

static void delete_on_gone(void *data)
{
	struct deletion *t = data;

	trash_cancel(t->looking);
	delete_free(t);
}

/* A name may have been deleted a moment ago. */
static char *delete_kept(const struct daemon *d, const char *name)
{
	long long time = (long long)clock_wall();
	char *path = NULL;

	do {
		free(path);
		path = xasprintf("%s/deleted/%s.%lld", d->dirs.state, name, time++);
	} while (access(path, F_OK) == 0);
	return path;
}

static struct deletion *delete_new(const struct vm *vm, struct request *r)
{
	const struct conf_list *owner = &vm->file.conf.owner;
	struct daemon *d = vm->daemon;
	struct deletion *t = xcalloc(1, sizeof *t);

	*t = (struct deletion){ .daemon = d,
		.dry = request_bool(r, "dry-run", false),
		.with_disks = request_bool(r, "disks", false),
		.user = request_role(r) < API_ROLE_OPERATOR ? request_peer(r)->uid : 0,
		.name = xstrdup(vm->name),
		.kept = delete_kept(d, vm->name),
		.dropins = xasprintf("%s/%s.vm.d", d->dirs.config, vm->name),
		.uuid = *vm->identity.uuid ? xstrdup(vm->identity.uuid) : NULL,
		.owner = json_array(),
		.images = trash_images(vm) };
	for (size_t i = 0; i < owner->n; i++)
		if (*owner->item[i] != '@')
			json_array_append_new(t->owner, api_text(owner->item[i]));
	return t;
}

void verb_delete(struct vm *vm, struct request *r)
{
	struct daemon *d = vm->daemon;
	struct deletion *t;
	struct err e = ERR_INIT;

	vms_refresh(d->vms); /* vm may be gone now */
	vm = verb_vm(d, r);
	if (!vm)
		return;
	if (delete_may(vm, r, &e) < 0) {
		request_error(r, &e);
		return;
	}
	t = delete_new(vm, r);
	if (t->dry) {
		t->r = r;
		request_on_gone(r, delete_on_gone, t);
	} else {
		t->job = verb_job(vm->daemon, r, vm);
		vm->busy = DELETING;
	}
	if (delete_check_dropins(t, &e) < 0) {
		delete_finish(t, &e);
		return;
	}
	if (!t->with_disks) {
		delete_on_looked(t, NULL, NULL);
		return;
	}
	t->looking =
		trash_run(t->daemon, t->name, t->uuid, t->images, false, delete_on_looked, t, &e);
	if (!t->looking)
		delete_on_looked(t, NULL, &e);
}
