/* SPDX-License-Identifier: MIT */
/* disk attach, disk detach: the keys, and who may give a guest which disk; guest/plug.c does the rest. */
#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "supervisor/guest/plug.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/verbs/verb.h"

enum { DISK_SECONDS = 30, DISK_KEYS_MAX = 64 };

struct disk_change {
	struct daemon *daemon;
	char *vm, *id;
	struct job *job;
	json_t *words; /* for the file; NULL: not persistent */
	struct edit_by by;
};

static void disk_free(struct disk_change *c)
{
	json_decref(c->words);
	edit_by_release(&c->by);
	free(c->vm);
	free(c->id);
	free(c);
}

static struct disk_change *disk_new(struct vm *vm, struct request *r, bool unset)
{
	struct disk_change *c = xcalloc(1, sizeof *c);

	*c = (struct disk_change){ .daemon = vm->daemon,
		.vm = xstrdup(vm->name),
		.id = xstrdup(request_string(r, "id")) };
	edit_by_init(&c->by, r);
	c->by.unset = unset;
	return c;
}

/* --- the end --- */

static void disk_finish(struct disk_change *c, const struct err *e)
{
	json_t *result =
		e ? NULL : json_pack("{s:s, s:b}", "disk", c->id, "persistent", c->words != NULL);

	job_finish(c->job, result, e);
	disk_free(c);
}

static void disk_on_written(void *data, const struct err *e)
{
	struct disk_change *c = data;
	struct err own = ERR_INIT;

	if (e) {
		err_copy(&own, e);
		err_wrap(&own, 0, "the guest %s, but the VM's file has not changed",
			c->by.unset ? "has released the disk" : "has the disk");
	}
	disk_finish(c, e ? &own : NULL);
}

static void disk_on_changed(void *data, const struct err *e)
{
	struct disk_change *c = data;
	struct err gone = ERR_INIT;
	struct vm *vm;

	if (e || !c->words) {
		disk_finish(c, e);
		return;
	}
	vm = verb_vm_after(c->daemon, c->vm, &gone);
	if (vm)
		edit_set(vm, json_incref(c->words), &c->by, disk_on_written, c);
	else
		disk_on_written(c, &gone);
}

/* --- attach --- */

/* "Path=x": a line of the section. */
static int disk_check_word(const char *word, struct err *e)
{
	const size_t len = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-");

	if (len == 0 || word[len] != '=')
		return err_set(e, ERR_USAGE, "'%s' is not KEY=VALUE, as in Path=data.qcow2", word);
	for (const char *s = word; *s; s++)
		if (iscntrl((unsigned char)*s))
			return err_set(
				e, ERR_USAGE, "the value of %.*s is not a text", (int)len, word);
	return 0;
}

/* The section, after what vmkeep.conf says of all disks. */
static char *disk_text(const struct daemon *d, const char *id, const json_t *keys)
{
	struct buf b = BUF_INIT;
	const json_t *word;
	size_t i;

	buf_printf(&b, "[Disk %s]\n", id);
	for (i = 0; i < d->conf.n_defaults; i++)
		if (streq(d->conf.defaults[i].section, "Disk"))
			buf_printf(
				&b, "%s=%s\n", d->conf.defaults[i].key, d->conf.defaults[i].value);
	json_array_foreach (keys, i, word)
		buf_printf(&b, "%s\n", json_string_value(word));
	return b.data;
}

static json_t *disk_words(const char *id, const json_t *keys)
{
	json_t *words = json_array();
	const json_t *word;
	size_t i;

	json_array_foreach (keys, i, word)
		json_array_append_new(
			words, json_sprintf("Disk.%s.%s", id, json_string_value(word)));
	return words;
}

static int disk_check_keys(const json_t *keys, struct err *e)
{
	const json_t *word;
	size_t i;

	if (json_array_size(keys) > DISK_KEYS_MAX)
		return err_set(e, ERR_USAGE, "more than %d keys", DISK_KEYS_MAX);
	json_array_foreach (keys, i, word)
		if (disk_check_word(json_string_value(word), e) < 0)
			return e->number;
	return 0;
}

static int disk_may_attach(
	const struct vm *vm, struct disk_change *c, const char *text, struct err *e)
{
	struct conf_vm to = CONF_VM_INIT;
	int r = change_compose(vm, text, &to, e);

	if (r == 0)
		r = edit_may(vm->daemon, c->by.role, &vm->proc.conf, &to, e);
	conf_vm_release(&to);
	return r == 0 && c->words ? edit_may_set(vm, json_incref(c->words), &c->by, e) : r;
}

void verb_disk_attach(struct vm *vm, struct request *r)
{
	const json_t *keys = json_object_get(request_arguments(r), "keys");
	struct disk_change *c = disk_new(vm, r, false);
	_cleanup_(free_ptr) char *text = NULL;
	struct err e = ERR_INIT;

	daemon_look_conf(vm->daemon);
	if (disk_check_keys(keys, &e) == 0) {
		text = disk_text(vm->daemon, c->id, keys);
		if (request_bool(r, "persistent", false))
			c->words = disk_words(c->id, keys);
		disk_may_attach(vm, c, text, &e);
	}
	vm = e.number ? NULL : verb_vm_after(c->daemon, c->vm, &e);
	if (!vm) {
		request_error(r, &e);
		disk_free(c);
		return;
	}
	c->job = verb_job(vm->daemon, r, vm);
	plug_attach(vm, &(struct plug_disk){ c->id, text }, c->job, disk_on_changed, c);
}

/* --- detach --- */

static int disk_may_detach(const struct vm *vm, struct disk_change *c, struct err *e)
{
	if (plug_check_detach(vm, c->id, e) < 0 || !c->words)
		return e->number;
	return edit_may_set(vm, json_incref(c->words), &c->by, e);
}

void verb_disk_detach(struct vm *vm, struct request *r)
{
	struct disk_change *c = disk_new(vm, r, true);
	struct err e = ERR_INIT;

	if (request_bool(r, "persistent", false))
		c->words = json_pack("[o]", json_sprintf("Disk.%s", c->id));
	disk_may_detach(vm, c, &e);
	vm = e.number ? NULL : verb_vm_after(c->daemon, c->vm, &e);
	if (!vm) {
		request_error(r, &e);
		disk_free(c);
		return;
	}
	c->job = verb_job(vm->daemon, r, vm);
	plug_detach(
		vm, c->id, request_time(r, "timeout", DISK_SECONDS), c->job, disk_on_changed, c);
}
