/* SPDX-License-Identifier: MIT */
/*
 * set, unset, enable, disable and edit: changes are made one after another, each from the current
 * files, checked, and written by a child.
 */
#include "supervisor/verbs/edit.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/load.h"
#include "conf/schema.h"
#include "supervisor/api/result.h"
#include "supervisor/check/change.h"
#include "supervisor/control/peer.h"
#include "supervisor/core/replace.h"
#include "supervisor/verbs/quota.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/vm/bases.h"
#include "supervisor/vm/renamed.h"

enum { CHANGES_MAX = 64 };

struct edit {
	struct edit *next; /* in the queue */
	struct daemon *daemon;
	struct job *job;    /* NULL: a dry run, or a step of another verb */
	edit_done_fn *done; /* of that */
	void *data;
	char *name;
	json_t *words;	  /* of the request */
	struct buf whole; /* edit: the new text of the main file, in place of words */
	char *version;	  /* edit: of the text that was edited; NULL for the others */
	bool unset;
	struct edit_by by;
	struct quota_claim claim;

	struct conf_texts *texts;
	struct conf_edit *ed;
	struct buf text[CONF_DROPINS_MAX + 1]; /* of the files that change */
	bool changes[CONF_DROPINS_MAX + 1];
	struct conf_vm from, to;
};

static struct edit *first; /* the change in progress, then those that wait */

static void edit_free(struct edit *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->text); i++)
		buf_release(&t->text[i]);
	buf_release(&t->whole);
	free(t->version);
	conf_vm_release(&t->from);
	conf_vm_release(&t->to);
	conf_edit_free(t->ed);
	conf_texts_free(t->texts);
	quota_release(&t->claim);
	edit_by_release(&t->by);
	json_decref(t->words);
	free(t->name);
	free(t);
}

static json_t *edit_result_rows(const struct edit *t, const struct vm *vm)
{
	const struct conf_source *src;
	const struct conf_edit_row *row;
	json_t *rows;
	size_t n, sources;

	if (t->version)
		return edit_differences(vm, &t->from, &t->to);
	src = conf_texts_sources(t->texts, &sources);
	row = conf_edit_rows(t->ed, &n);
	rows = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(rows, edit_row(vm, &row[i], src[row[i].file].file));
	return rows;
}

static json_t *edit_result(const struct edit *t, const struct vm *vm)
{
	json_t *rows = edit_result_rows(t, vm);

	edit_add_conflicts(rows, change_conflicts(t->daemon, t->by.role, &t->from, &t->to));
	return api_table(api_edit_row, rows);
}

static int edit_check_version(const struct edit *t, const struct conf_source *src, struct err *e)
{
	char version[17];

	edit_version(src, version);
	return streq(version, t->version)
		       ? 0
		       : err_set(e, ERR_CONFLICT, "'%s' was changed in the meantime", src->file);
}

static int edit_change_texts(struct edit *t, struct err *e)
{
	const struct conf_source *src;
	size_t n, i;
	json_t *word;
	int r = 0;

	t->texts = conf_texts_new(t->daemon->dirs.config, t->name, e);
	if (!t->texts)
		return e->number;
	src = conf_texts_sources(t->texts, &n);
	if (t->version)
		return edit_check_version(t, src, e);
	t->ed = conf_edit_new(src, n, &t->daemon->conf);
	json_array_foreach (t->words, i, word) {
		const char *text = json_string_value(word);

		if (r == 0)
			r = t->unset ? conf_edit_unset(t->ed, text, e)
				     : conf_edit_set(t->ed, text, e);
	}
	return r;
}

/* For edit: the new text is that of the main file. */
static bool edit_whole(struct edit *t, const struct conf_source *src, size_t i)
{
	if (i > 0 || (src->len == t->whole.len &&
			     memcmp(src->text, t->whole.data ? t->whole.data : "", src->len) == 0))
		return false;
	buf_add(&t->text[0], t->whole.data ? t->whole.data : "", t->whole.len);
	return true;
}

/* Parses the old texts and the new ones; an error in the new ones refuses the change. */
static int edit_read_both(struct edit *t, const struct vm *vm, struct err *e)
{
	const struct daemon *d = t->daemon;
	const struct conf_context ctx = {
		.defaults = &d->conf,
		.uuid = vm->identity.uuid,
		.state_dir = d->dirs.state,
		.newer = d->newer_keys,
	};
	struct conf_problems unheard = { 0 }, problems = { 0 };
	struct conf_source fresh[CONF_DROPINS_MAX + 1];
	const struct conf_source *src;
	size_t n;
	int r;

	src = conf_texts_sources(t->texts, &n);
	for (size_t i = 0; i < n; i++) {
		fresh[i] = src[i];
		t->changes[i] =
			t->version ? edit_whole(t, src, i) : conf_edit_text(t->ed, i, &t->text[i]);
		if (!t->changes[i])
			continue;
		fresh[i].text = t->text[i].data ? t->text[i].data : "";
		fresh[i].len = t->text[i].len;
	}
	conf_vm_parse(&t->from, t->name, src, n, &ctx, &unheard);
	conf_vm_parse(&t->to, t->name, fresh, n, &ctx, &problems);
	r = conf_problems_err(&problems, e);
	conf_problems_release(&unheard);
	conf_problems_release(&problems);
	return r;
}

/* A template stays one, with its disks, while other VMs are based on them. */
static int edit_check_template(const struct edit *t, struct err *e)
{
	return t->from.template ? vm_overlays_check(t->daemon->vms, t->name, &t->from,
					  t->to.template ? &t->to : NULL, e)
				: 0;
}

/* What the change means to others, whose files are read again. */
static int edit_check_others(struct edit *t, struct err *e)
{
	const struct vm *vm;
	int r;

	vms_refresh(t->daemon->vms);
	vm = verb_vm_after(t->daemon, t->name, e); /* it may be gone now */
	if (!vm)
		return e->number;
	vm_keep_disk_names(vm, &t->from);
	vm_keep_disk_names(vm, &t->to);
	r = edit_check_template(t, e);
	return r < 0 ? r : change_check(t->daemon, t->by.role, &t->from, &t->to, e);
}

/* Everything except the write. The VM may be gone afterwards, or another one. */
static int edit_prepare(struct edit *t, const struct vm *vm, struct err *e)
{
	int r = edit_change_texts(t, e);

	if (r == 0)
		r = edit_read_both(t, vm, e);
	if (r == 0)
		r = edit_may(t->daemon, t->by.role, &t->from, &t->to, e);
	if (r == 0)
		r = edit_check_others(t, e);
	if (r == 0)
		r = quota_check(t->daemon, t->by.role, t->by.peer, t->name, &t->from, &t->to, e);
	return r < 0 || t->by.force ? r : edit_refuse(&t->from, e);
}

static void edit_record(const struct edit *t, struct vm *vm)
{
	const char *verb = t->job ? t->job->verb + strlen("vm-") : t->unset ? "unset" : "set";
	struct buf b = BUF_INIT;
	json_t *word;
	size_t i;

	if (streq(verb, "set") || streq(verb, "unset"))
		json_array_foreach (t->words, i, word)
			buf_printf(&b, "%s%s", i ? " " : "", json_string_value(word));
	vm_history(vm, verb, t->by.who, b.data);
	buf_release(&b);
}

static void edit_begin_next(void);

/* Reads the VM again: from here on the change is in effect. */
static void edit_finish(struct edit *t, const struct err *e)
{
	struct err own = ERR_INIT;
	struct vm *vm = e ? NULL : verb_vm_after(t->daemon, t->name, &own);

	if (vm)
		edit_record(t, vm);
	first = t->next;
	if (t->done)
		t->done(t->data, vm ? NULL : e ? e : &own);
	else
		job_finish(t->job, vm ? edit_result(t, vm) : NULL, vm ? NULL : e ? e : &own);
	edit_free(t);
}

static void edit_on_replaced(void *data, const struct err *e)
{
	edit_finish(data, e);
	edit_begin_next();
}

/* Returns 1 if a child writes, 0 if there is nothing to write. */
static int edit_write(struct edit *t, struct err *e)
{
	struct replace_file file[CONF_DROPINS_MAX + 1];
	const struct conf_source *src;
	size_t n, files = 0;
	int r;

	src = conf_texts_sources(t->texts, &n);
	for (size_t i = 0; i < n; i++)
		if (t->changes[i])
			file[files++] = (struct replace_file){ src[i].file, src[i].text,
				t->text[i].data ? t->text[i].data : "", NULL };
	if (!files)
		return 0;
	quota_claim(&t->claim, t->by.role, t->by.peer, t->name, &t->to);
	r = replace(t->daemon, file, files, edit_on_replaced, t, e);
	return r < 0 ? r : 1;
}

bool edit_is_writing(const char *vm)
{
	return first && streq(first->name, vm);
}

static void edit_begin_next(void)
{
	struct edit *t;

	while ((t = first)) {
		struct err e = ERR_INIT;
		const struct vm *vm = verb_vm_after(t->daemon, t->name, &e);
		int r = vm ? edit_prepare(t, vm, &e) : e.number;

		if (r == 0)
			r = edit_write(t, &e);
		if (r > 0)
			return;
		edit_finish(t, r < 0 ? &e : NULL);
	}
}

static void edit_dry(struct edit *t, const struct vm *vm, struct request *r)
{
	struct err e = ERR_INIT;

	if (edit_prepare(t, vm, &e) < 0)
		request_error(r, &e);
	else
		request_return(r, edit_result(t, vms_find(t->daemon->vms, t->name)));
	edit_free(t);
}

static struct edit *edit_new(const struct vm *vm, const struct edit_by *by)
{
	struct edit *t = xcalloc(1, sizeof *t);

	*t = (struct edit){ .daemon = vm->daemon,
		.name = xstrdup(vm->name),
		.by = *by,
		.unset = by->unset,
		.from = CONF_VM_INIT,
		.to = CONF_VM_INIT };
	t->by.peer = peer_ref(by->peer);
	t->by.who = xstrdup(by->who);
	return t;
}

static struct edit *edit_new_for(const struct vm *vm, const struct request *r)
{
	struct edit_by by;
	struct edit *t;

	edit_by_init(&by, r);
	t = edit_new(vm, &by);
	edit_by_release(&by);
	return t;
}

static void edit_queue(struct edit *t)
{
	struct edit **end = &first;

	while (*end)
		end = &(*end)->next;
	*end = t;
	if (first == t)
		edit_begin_next();
}

static void edit_queue_job(struct edit *t, struct vm *vm, struct request *r)
{
	t->job = verb_job(vm->daemon, r, vm);
	edit_queue(t);
}

int edit_may_set(const struct vm *vm, json_t *words, const struct edit_by *by, struct err *e)
{
	struct edit *t = edit_new(vm, by);

	t->words = words;
	edit_prepare(t, vm, e);
	edit_free(t);
	return e->number;
}

void edit_set(
	struct vm *vm, json_t *words, const struct edit_by *by, edit_done_fn *done, void *data)
{
	struct edit *t = edit_new(vm, by);

	t->words = words;
	t->done = done;
	t->data = data;
	edit_queue(t);
}

static void edit_take(struct vm *vm, struct request *r, json_t *words /* stolen */, bool unset)
{
	struct err e = ERR_INIT;
	struct edit *t;

	if (json_array_size(words) > CHANGES_MAX) {
		err_set(&e, ERR_USAGE, "more than %d changes at once", CHANGES_MAX);
		request_error(r, &e);
		json_decref(words);
		return;
	}
	t = edit_new_for(vm, r);
	t->words = words;
	t->unset = unset;
	if (request_bool(r, "dry-run", false))
		edit_dry(t, vm, r);
	else
		edit_queue_job(t, vm, r);
}

void verb_set(struct vm *vm, struct request *r)
{
	edit_take(vm, r, json_deep_copy(json_object_get(request_arguments(r), "changes")), false);
}

void verb_unset(struct vm *vm, struct request *r)
{
	edit_take(vm, r, json_deep_copy(json_object_get(request_arguments(r), "keys")), true);
}

void verb_enable(struct vm *vm, struct request *r)
{
	const bool last = request_bool(r, "last", false);

	edit_take(vm, r, json_pack("[s]", last ? "VM.Enable=last" : "VM.Enable=yes"), false);
}

void verb_disable(struct vm *vm, struct request *r)
{
	edit_take(vm, r, json_pack("[s]", "VM.Enable=no"), false);
}

void verb_edit(struct vm *vm, struct request *r)
{
	const char *text = request_string(r, "text"), *version = request_string(r, "version");
	struct err e = ERR_INIT;
	struct edit *t;

	if (!text || !version || !base64_is(text)) {
		err_set(&e, ERR_USAGE, "vm-edit: needs 'version' and 'text' as vm-file gives them");
		request_error(r, &e);
		return;
	}
	t = edit_new_for(vm, r);
	t->version = xstrdup(version);
	base64_decode(text, &t->whole);
	edit_queue_job(t, vm, r);
}
