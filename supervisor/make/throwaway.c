/* SPDX-License-Identifier: MIT */
#include "supervisor/make/throwaway.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/keep.h"
#include "supervisor/make/image.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/forget.h"

enum { MARK_VERSION = 1, MARK_MAX = 4096, NAME_DIGITS = 8 };

static const char mark_file[] = "throwaway.json"; /* {"version": 1, "store": "default"} */
static const char name_start[] = "run-";

char *throwaway_name(const char *uuid)
{
	return xasprintf("%s%.*s", name_start, NAME_DIGITS, uuid);
}

static bool throwaway_is_name(const char *name)
{
	const char *digits = name + strlen(name_start);

	return strncmp(name, name_start, strlen(name_start)) == 0 &&
	       strlen(digits) == NAME_DIGITS && strspn(digits, "0123456789abcdef") == NAME_DIGITS;
}

char *throwaway_overlay(const char *name)
{
	return xasprintf(IMAGE_OVERLAYS "/%s" IMAGE_END, name);
}

static char *throwaway_file(const char *name)
{
	return xasprintf("run/%s.vm", name);
}

/* --- making --- */

struct making {
	struct daemon *daemon;
	char *name, *text;
	throwaway_fn *done;
	void *data;
};

static void throwaway_making_free(struct making *m)
{
	free(m->text);
	free(m->name);
	free(m);
}

static int throwaway_write_file(const struct making *m, struct err *e)
{
	_cleanup_(free_ptr) char *file = throwaway_file(m->name);
	struct daemon *d = m->daemon;

	if (!d->emit)
		return err_set(e, ERR_FAILED, "the daemon is ending");
	if (file_replace(d->dirs.run_fd, file, 0600, m->text, strlen(m->text), false, e) < 0)
		return e->number;
	vms_add(d->vms, m->name)->file.throwaway = true;
	return vms_get(d->vms, m->name, e) ? 0 : e->number;
}

static void throwaway_on_marked(void *data, const struct err *failed)
{
	struct making *m = data;
	struct err e = ERR_INIT;

	if (!failed)
		throwaway_write_file(m, &e);
	m->done(m->data, failed ? failed : e.number ? &e : NULL);
	throwaway_making_free(m);
}

static char *throwaway_mark(const char *store)
{
	json_auto_t *doc = json_pack("{s:i, s:s}", "version", MARK_VERSION, "store", store);

	return json_dumps(doc, JSON_COMPACT);
}

int throwaway_make(
	struct daemon *d, const struct throwaway *t, throwaway_fn *done, void *data, struct err *e)
{
	_cleanup_(free_ptr) char *dir = vm_path(t->name, NULL), *mark = vm_path(t->name, mark_file);
	_cleanup_(free_ptr) char *text = throwaway_mark(t->store);
	struct making *m;

	if (mkdirat(d->dirs.state_fd, dir, 0700) < 0)
		return err_errno(e, "create directory '%s/%s'", d->dirs.state, dir);
	m = xcalloc(1, sizeof *m);
	*m = (struct making){ d, xstrdup(t->name), xstrdup(t->text), done, data };
	if (keep(d, mark, text, throwaway_on_marked, m, e) == 0)
		return 0;
	unlinkat(d->dirs.state_fd, dir, AT_REMOVEDIR);
	throwaway_making_free(m);
	return e->number;
}

/* --- removing --- */

struct removal {
	struct daemon *daemon;
	char *name;
	throwaway_fn *done; /* NULL: nobody waits */
	void *data;
};

static void throwaway_finish(struct removal *m, const struct err *e)
{
	if (e)
		log_error(m->name,
			"not all of it could be removed, the next daemon tries again: %s", e->text);
	if (m->done)
		m->done(m->data, e);
	free(m->name);
	free(m);
}

/* NULL: there is no mark, or it was damaged. */
static char *throwaway_store(const struct daemon *d, const char *name)
{
	_cleanup_(free_ptr) char *path = vm_path(name, mark_file);
	_cleanup_(buf_release) struct buf text = BUF_MAX(MARK_MAX);
	json_auto_t *doc = NULL;
	const char *store;

	if (file_read(d->dirs.state_fd, path, &text, NULL) == 0 && text.data)
		doc = json_loadb(text.data, text.len, 0, NULL);
	store = json_string_value(json_object_get(doc, "store"));
	return store ? xstrdup(store) : NULL;
}

/* Another VM's file of this name counts from now on. */
static void throwaway_forget(struct removal *m, const struct err *failed)
{
	_cleanup_(free_ptr) char *file = throwaway_file(m->name), *half = xasprintf("%s.tmp", file);
	struct daemon *d = m->daemon;
	struct err e = ERR_INIT;
	struct vm *vm;

	unlinkat(d->dirs.run_fd, file, 0);
	unlinkat(d->dirs.run_fd, half, 0); /* a daemon was killed while it wrote it */
	if (!failed)
		vm_discard(d->vms, m->name, &e);
	vm = vms_find(d->vms, m->name);
	if (vm && vm_state_is_down(vm->st.state))
		vms_forget(d->vms, vm);
	d->vms->changed = true;
	throwaway_finish(m, failed ? failed : e.number ? &e : NULL);
}

static void throwaway_on_discarded(void *data, const json_t *answer, const struct err *failed)
{
	struct removal *m = data;
	struct err e = ERR_INIT;

	if (m->daemon->emit) {
		throwaway_forget(m, failed);
		return;
	}
	err_set(&e, ERR_FAILED, "the daemon is ending");
	throwaway_finish(m, &e);
}

void throwaway_remove(struct daemon *d, const char *name, throwaway_fn *done, void *data)
{
	_cleanup_(free_ptr) char *store = throwaway_store(d, name),
				 *overlay = throwaway_overlay(name);
	struct removal *m = xcalloc(1, sizeof *m);
	struct err e = ERR_INIT;
	json_t *request;

	*m = (struct removal){ d, xstrdup(name), done, data };
	if (!store) {
		throwaway_forget(m, NULL);
		return;
	}
	request = image_request(d, "discard", store, &e);
	if (request)
		json_object_set_new(request, "overlay", json_string(overlay));
	if (!request || !image_ask(d, request, throwaway_on_discarded, m, &e))
		throwaway_forget(m, &e);
}

/* --- what a previous daemon left --- */

struct left {
	struct daemon *daemon;
	char name[];
};

static void throwaway_on_down(void *data, const struct err *e)
{
	struct left *l = data;

	if (l->daemon->emit)
		throwaway_remove(l->daemon, l->name, NULL, NULL);
	free(l);
}

static void throwaway_end(struct daemon *d, const char *name)
{
	struct vm *vm = vms_find(d->vms, name);
	struct err e = ERR_INIT;
	struct left *l;

	log_warning(name, "the daemon that ran a command in it ended: removing it");
	if (!vm) {
		throwaway_remove(d, name, NULL, NULL);
		return;
	}
	vm->file.throwaway = true;
	if (!vm_state_is_down(vm->st.state) && vm->st.state != VM_QUITTING)
		vm_kill(vm, "vmkeepd", &e);
	l = xcalloc(1, sizeof *l + strlen(name) + 1);
	l->daemon = d;
	memcpy(l->name, name, strlen(name));
	vm_wait(vm, VM_GOAL_STOPPED, 0, throwaway_on_down, l);
}

static bool throwaway_has(const struct daemon *d, const char *name, const char *file)
{
	_cleanup_(free_ptr) char *path = vm_path(name, file);

	return faccessat(d->dirs.state_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A daemon that was killed before its child had written the mark left a directory without anything that
 * a VM has. The child may still write: into a directory that is gone, it cannot. */
static bool throwaway_is_unmarked(const struct daemon *d, const char *name)
{
	return throwaway_is_name(name) && !vms_find(d->vms, name) &&
	       !throwaway_has(d, name, "identity.json");
}

void throwaways_end(struct daemon *d)
{
	_cleanup_(close_dir) DIR *dir = file_open_dir(d->dirs.state_fd, "vms", 0);

	for (const struct dirent *f; dir && (f = readdir(dir));)
		if (conf_name_ok(f->d_name) && (throwaway_has(d, f->d_name, mark_file) ||
						       throwaway_is_unmarked(d, f->d_name)))
			throwaway_end(d, f->d_name);
}
