/* SPDX-License-Identifier: MIT */
/* cd: what is in a drive, and who may change it; guest/medium.c does the rest. */
#include <string.h>

#include "base/mem.h"
#include "supervisor/guest/medium.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/verbs/verb.h"

enum { CD_SECONDS = 10 };

struct cd {
	struct daemon *daemon;
	char *vm, *id;
	struct job *job;
	json_t *words; /* for the file; NULL: not persistent */
	struct edit_by by;
};

static void cd_free(struct cd *c)
{
	json_decref(c->words);
	edit_by_release(&c->by);
	free(c->vm);
	free(c->id);
	free(c);
}

/* --- the drive --- */

static const struct conf_disk *cd_find(const struct conf_vm *c, const char *id)
{
	for (size_t i = 0; i < c->disks; i++)
		if (c->disk[i].cdrom && (!id || streq(c->disk[i].id, id)))
			return &c->disk[i];
	return NULL;
}

static int cd_count(const struct conf_vm *c, struct buf *names)
{
	int n = 0;

	for (size_t i = 0; i < c->disks; i++)
		if (c->disk[i].cdrom)
			buf_printf(names, "%s%s", n++ ? ", " : "", c->disk[i].id);
	return n;
}

static const struct conf_disk *cd_choose(const struct vm *vm, const char *id, struct err *e)
{
	_cleanup_(buf_release) struct buf names = BUF_INIT;
	const int n = cd_count(&vm->proc.conf, &names);
	const struct conf_disk *d = cd_find(&vm->proc.conf, id);

	if (n == 0) {
		err_set(e, ERR_NOT_FOUND, "it was started without a CD drive");
		err_hint(e, "vmkeep set %s CDROM.cd.Bus=auto adds one at the next start", vm->name);
	} else if (!d) {
		err_set(e, ERR_NOT_FOUND, "it has no CD drive '%s'", id);
		err_hint(e, "its drives: %s", names.data);
	} else if (!id && n > 1) {
		err_set(e, ERR_USAGE, "it has several CD drives: %s", names.data);
		err_hint(e, "--id %s", d->id);
	} else {
		return d;
	}
	return NULL;
}

/* --- the medium --- */

/* "STORE:FILE" */
static const char *cd_store(const struct daemon *d, const char *file, char store[64], struct err *e)
{
	const char *colon = *file == '/' ? NULL : strchr(file, ':'), *nearest;

	store[0] = '\0';
	if (!colon)
		return file;
	snprintf(store, 64, "%.*s", (int)(colon - file), file);
	if (streq(store, CONF_STORE_DEFAULT) || conf_daemon_store(&d->conf, store))
		return colon + 1;
	nearest = conf_daemon_store_nearest(&d->conf, store);
	err_set(e, ERR_NOT_FOUND, "no store '%s'", store);
	if (nearest)
		err_hint(e, "did you mean '%s:%s'?", nearest, colon + 1);
	else
		err_hint(e, "vmkeep store list lists them");
	return NULL;
}

static char *cd_escaped(const char *path)
{
	struct buf b = BUF_INIT;

	for (const char *s = path; *s; s++)
		buf_printf(&b, *s == '%' ? "%%%%" : "%c", *s);
	return b.data ? b.data : xstrdup("");
}

/* The keys of the drive, as for set. was: the drive that is to get them; NULL: it may have any. */
static json_t *cd_words(
	const char *id, const char *path, const char *store, const struct conf_disk *was)
{
	_cleanup_(free_ptr) char *escaped = cd_escaped(path ? path : "");
	const bool named =
		!path || conf_disk_format(&(struct conf_disk){ .path = path }) != CONF_FORMAT_AUTO;
	json_t *words = json_array();

	json_array_append_new(words, json_sprintf("CDROM.%s.Path=%s", id, escaped));
	if (!named || !was || was->format != CONF_FORMAT_AUTO)
		json_array_append_new(
			words, json_sprintf("CDROM.%s.Format=%s", id, named ? "" : "raw"));
	/* what is in no store must not name one */
	if (*store || (path && *path == '/' && (!was || !streq(was->store, CONF_STORE_DEFAULT))))
		json_array_append_new(words, json_sprintf("CDROM.%s.Store=%s", id, store));
	return words;
}

/* The configuration of the process, with these keys. */
static int cd_compose(
	const struct vm *vm, const char *id, const json_t *words, struct conf_vm *to, struct err *e)
{
	_cleanup_(buf_release) struct buf b = BUF_INIT;
	struct conf_source dropin = { .file = "cd" };
	const json_t *word;
	size_t i;
	int r;

	buf_printf(&b, "[CDROM %s]\n", id);
	json_array_foreach (words, i, word)
		buf_printf(&b, "%s\n", strchr(strchr(json_string_value(word), '.') + 1, '.') + 1);
	dropin.text = b.data;
	dropin.len = b.len;
	r = conf_vm_copy_with(to, &vm->proc.conf, &dropin, e);
	if (r == 0)
		conf_vm_place(to, &vm->daemon->conf);
	return r;
}

static int cd_may(const struct vm *vm, const struct cd *c, const struct conf_vm *to, struct err *e)
{
	if (edit_may(vm->daemon, c->by.role, &vm->proc.conf, to, e) < 0 || !c->words)
		return e->number;
	if (!cd_find(&vm->file.conf, c->id))
		return err_set(e, ERR_USAGE, "drive '%s' is not in the VM's file", c->id);
	return edit_may_set(vm, json_incref(c->words), &c->by, e);
}

/* --- the end --- */

static json_t *cd_result(const struct cd *c)
{
	const struct vm *vm = vms_find(c->daemon->vms, c->vm);
	const struct conf_disk *d = vm ? cd_find(&vm->proc.conf, c->id) : NULL;

	return json_pack("{s:s, s:s?, s:s?, s:b}", "drive", c->id, "medium", d ? d->path : NULL,
		"store", d && d->path && d->path[0] != '/' ? d->store : NULL, "persistent",
		c->words != NULL);
}

static void cd_on_written(void *data, const struct err *e)
{
	struct cd *c = data;
	struct err own = ERR_INIT;

	if (e) {
		err_copy(&own, e);
		err_wrap(&own, 0, "the drive has it, but the VM's file does not");
	}
	job_finish(c->job, e ? NULL : cd_result(c), e ? &own : NULL);
	cd_free(c);
}

static void cd_on_changed(void *data, const struct err *e)
{
	struct cd *c = data;
	struct err gone = ERR_INIT;
	struct vm *vm;

	if (e || !c->words) {
		job_finish(c->job, e ? NULL : cd_result(c), e);
		cd_free(c);
		return;
	}
	vm = verb_vm_after(c->daemon, c->vm, &gone);
	if (vm)
		edit_set(vm, json_incref(c->words), &c->by, cd_on_written, c);
	else
		cd_on_written(c, &gone);
}

/* --- the verb --- */

static int cd_parse(
	struct vm *vm, const struct request *r, struct cd *c, struct conf_vm *to, struct err *e)
{
	const char *file = request_string(r, "file");
	const bool insert = streq(request_string(r, "action"), "insert");
	const struct conf_disk *d;
	json_auto_t *words = NULL;
	char store[64] = "";

	if (insert != (file && *file))
		return err_set(e, ERR_USAGE,
			insert ? "insert needs a FILE" : "eject takes no FILE: --id names a drive");
	d = cd_choose(vm, request_string(r, "id"), e);
	if (!d)
		return e->number;
	c->id = xstrdup(d->id);
	daemon_look_conf(vm->daemon);
	if (insert)
		file = cd_store(vm->daemon, file, store, e);
	if (insert && !file)
		return e->number;
	words = cd_words(c->id, insert ? file : NULL, store, NULL);
	if (cd_compose(vm, c->id, words, to, e) < 0)
		return e->number;
	if (request_bool(r, "persistent", false))
		c->words = cd_words(
			c->id, insert ? file : NULL, store, cd_find(&vm->file.conf, c->id));
	return cd_may(vm, c, to, e);
}

void verb_cd(struct vm *vm, struct request *r)
{
	struct medium_change change = { .force = request_bool(r, "force", false),
		.timeout = request_time(r, "timeout", CD_SECONDS) };
	struct cd *c = xcalloc(1, sizeof *c);
	struct conf_vm to = CONF_VM_INIT;
	struct err e = ERR_INIT;

	*c = (struct cd){ .daemon = vm->daemon, .vm = xstrdup(vm->name) };
	edit_by_init(&c->by, r);
	c->by.force = false; /* --force is for the tray */
	if (cd_parse(vm, r, c, &to, &e) < 0) {
		request_error(r, &e);
		cd_free(c);
	} else {
		c->job = verb_job(vm->daemon, r, vm);
		change.to = cd_find(&to, c->id);
		medium_begin(vm, &change, c->job, cd_on_changed, c);
	}
	conf_vm_release(&to);
}
