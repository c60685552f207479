/* SPDX-License-Identifier: MIT */
/*
 * set, unset, enable and disable: one change after another, each made from the files as they are then, checked, and
 * written by a child.
 */
#include "supervisor/verbs/edit.h"

#include "base/log.h"
#include "base/mem.h"
#include "conf/load.h"
#include "conf/schema.h"
#include "supervisor/api/result.h"
#include "supervisor/core/replace.h"
#include "supervisor/verbs/verb.h"

enum { CHANGES_MAX = 64 };

struct edit {
	struct edit *next; /* in the queue */
	struct daemon *daemon;
	struct job *job; /* NULL: a dry run */
	char *name;
	json_t *words; /* of the request */
	bool unset, force;
	enum api_role role;

	struct conf_texts *texts;
	struct conf_edit *ed;
	struct buf text[CONF_DROPINS_MAX + 1]; /* of the files that change */
	bool changes[CONF_DROPINS_MAX + 1];
	struct conf_vm from, to;
};

static struct edit *first; /* the one in progress, then those that wait */

static void edit_free(struct edit *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->text); i++)
		buf_release(&t->text[i]);
	conf_vm_release(&t->from);
	conf_vm_release(&t->to);
	conf_edit_free(t->ed);
	conf_texts_free(t->texts);
	json_decref(t->words);
	free(t->name);
	free(t);
}

/* When it takes effect; NULL: there is nothing that would still run without it. */
static const char *edit_applies(const struct vm *vm, const struct conf_edit_row *row)
{
	enum conf_apply apply = row->new_section && row->known->size ? row->known->apply
				: row->row			     ? row->row->apply
								     : CONF_APPLY_LIVE;

	if (row->done == CONF_EDIT_NOTHING || !row->row)
		return NULL;
	return apply == CONF_APPLY_LIVE || apply == CONF_APPLY_ONCE ||
			       vm_state_has_process(vm->st.state)
		       ? conf_apply_name(apply)
		       : NULL;
}

json_t *edit_row(const struct vm *vm, const struct conf_edit_row *row, const char *file)
{
	static const char *const done[] = {
		[CONF_EDIT_NOTHING] = "unchanged",
		[CONF_EDIT_CHANGED] = "changed",
		[CONF_EDIT_ADDED] = "added",
		[CONF_EDIT_REMOVED] = "removed",
	};

	return json_pack("[s?, o, s, s?, s, s, s?, s?, b, s?]", row->line ? file : NULL,
		row->line ? json_integer(row->line) : json_null(), row->section, row->id, row->key,
		done[row->done], row->value, row->was, row->new_section, edit_applies(vm, row));
}

static json_t *edit_result(struct edit *t, const struct vm *vm)
{
	json_t *rows = json_array();
	const struct conf_source *src;
	const struct conf_edit_row *row;
	size_t n, sources;

	src = conf_texts_sources(t->texts, &sources);
	row = conf_edit_rows(t->ed, &n);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(rows, edit_row(vm, &row[i], src[row[i].file].file));
	return api_table(api_edit_row, rows);
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
	t->ed = conf_edit_new(src, n, &t->daemon->conf);
	json_array_foreach (t->words, i, word) {
		const char *text = json_string_value(word);

		if (r == 0)
			r = t->unset ? conf_edit_unset(t->ed, text, e)
				     : conf_edit_set(t->ed, text, e);
	}
	return r;
}

/* Reads the old texts and the new ones; what is wrong with the new ones refuses the change. */
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
		t->changes[i] = conf_edit_text(t->ed, i, &t->text[i]);
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

static int edit_refuse_managed(const struct edit *t, struct err *e)
{
	const char *by = t->force ? NULL : edit_managed(&t->from);

	if (!by)
		return 0;
	err_set(e, ERR_CONFLICT,
		"its file is managed by '%s' (X-Managed=), which may undo a change", by);
	return err_hint(e, "--force changes it all the same");
}

/* Everything but the writing. */
static int edit_prepare(struct edit *t, const struct vm *vm, struct err *e)
{
	int r = edit_change_texts(t, e);

	if (r == 0)
		r = edit_read_both(t, vm, e);
	if (r == 0)
		r = edit_may(t->daemon, t->role, &t->from, &t->to, e);
	return r < 0 ? r : edit_refuse_managed(t, e);
}

static void edit_record(const struct edit *t, struct vm *vm)
{
	const char *verb = t->job->verb + strlen("vm-");
	struct buf b = BUF_INIT;
	json_t *word;
	size_t i;

	if (streq(verb, "set") || streq(verb, "unset"))
		json_array_foreach (t->words, i, word)
			buf_printf(&b, "%s%s", i ? " " : "", json_string_value(word));
	vm_history(vm, verb, t->job->who, b.data);
	log_info(vm->name, "%s%s%s, requested by %s", verb, b.len ? " " : "",
		b.len ? b.data : "", t->job->who);
	buf_release(&b);
}

static void edit_begin_next(void);

/* The VM is read again: from here on the change counts. */
static void edit_finish(struct edit *t, const struct err *e)
{
	struct err own = ERR_INIT;
	struct vm *vm = e ? NULL : vms_get(t->daemon->vms, t->name, &own);

	if (vm)
		edit_record(t, vm);
	job_finish(t->job, vm ? edit_result(t, vm) : NULL, vm ? NULL : e ? e : &own);
	first = t->next;
	edit_free(t);
}

static void edit_on_replaced(void *data, const struct err *e)
{
	edit_finish(data, e);
	edit_begin_next();
}

/* 1: a child writes; 0: nothing to write. */
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
				t->text[i].data ? t->text[i].data : "" };
	if (!files)
		return 0;
	r = replace(t->daemon, file, files, edit_on_replaced, t, e);
	return r < 0 ? r : 1;
}

static void edit_begin_next(void)
{
	struct edit *t;

	while ((t = first)) {
		struct err e = ERR_INIT;
		const struct vm *vm = vms_get(t->daemon->vms, t->name, &e);
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
		request_return(r, edit_result(t, vm));
	edit_free(t);
}

static void edit_take(struct vm *vm, struct request *r, json_t *words /* stolen */, bool unset)
{
	struct edit *t, **end = &first;
	struct err e = ERR_INIT;

	if (json_array_size(words) > CHANGES_MAX) {
		err_set(&e, ERR_USAGE, "more than %d changes at once", CHANGES_MAX);
		request_error(r, &e);
		json_decref(words);
		return;
	}
	t = xcalloc(1, sizeof *t);
	*t = (struct edit){ .daemon = vm->daemon,
		.name = xstrdup(vm->name),
		.words = words,
		.unset = unset,
		.force = request_bool(r, "force", false),
		.role = request_role(r),
		.from = CONF_VM_INIT,
		.to = CONF_VM_INIT };
	if (request_bool(r, "dry-run", false)) {
		edit_dry(t, vm, r);
		return;
	}
	t->job = verb_job(vm->daemon, r, vm);
	while (*end)
		end = &(*end)->next;
	*end = t;
	if (first == t)
		edit_begin_next();
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
	edit_take(vm, r, json_pack("[s]", "VM.Enable=yes"), false);
}

void verb_disable(struct vm *vm, struct request *r)
{
	edit_take(vm, r, json_pack("[s]", "VM.Enable=no"), false);
}
