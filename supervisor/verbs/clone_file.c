/* SPDX-License-Identifier: MIT */
/* The file of a clone: composed from those of the VM, with the words of create, and checked. */
#include "supervisor/verbs/clone_private.h"

#include "base/mem.h"
#include "base/text.h"
#include "conf/edit.h"
#include "conf/load.h"
#include "supervisor/check/change.h"
#include "supervisor/core/daemon.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/vm/vm.h"

/* Of two keys that exclude each other, the last word is meant. */
static void clone_drop_other(struct conf_edit *ed, const char *word)
{
	static const char *const others[][2] = { { ".Network", "Bridge" },
		{ ".Bridge", "Network" } };
	const size_t len = strcspn(word, "=");
	struct err ignored = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		const size_t end = strlen(others[i][0]);
		_cleanup_(free_ptr) char *other = NULL;

		if (strncmp(word, "NIC.", 4) != 0 || len < end ||
			strncmp(word + len - end, others[i][0], end) != 0)
			continue;
		other = xasprintf("%.*s.%s", (int)(len - end), word, others[i][1]);
		conf_edit_unset(ed, other, &ignored);
	}
}

static int clone_set_words(struct clone *t, struct err *e)
{
	const struct conf_source src = { t->path, t->text.data, t->text.len };
	struct conf_edit *ed = conf_edit_new(&src, 1, &t->daemon->conf);
	struct buf text = BUF_INIT;
	size_t i;
	json_t *word;
	int r = 0;

	json_array_foreach (t->words, i, word) {
		if (r < 0)
			break;
		r = conf_edit_set(ed, json_string_value(word), e);
		if (r == 0)
			clone_drop_other(ed, json_string_value(word));
	}
	if (r == 0 && conf_edit_text(ed, 0, &text)) {
		buf_release(&t->text);
		t->text = text;
	}
	conf_edit_free(ed);
	return r;
}

/* The text before its words, then with them: the rest must be the user's to set. */
static int clone_check_text(
	struct clone *t, const struct conf_vm *from, const struct conf_context *ctx, struct err *e)
{
	struct conf_source src = { t->path, t->text.data, t->text.len };
	struct conf_vm plain = CONF_VM_INIT, granted = CONF_VM_INIT, to = CONF_VM_INIT;
	struct conf_problems unheard = { 0 }, problems = { 0 };
	_cleanup_(free_ptr) char *text = NULL;
	int r;

	conf_vm_parse(&plain, t->to, &src, 1, ctx, &unheard);
	text = edit_granted(&plain);
	src = (struct conf_source){ t->path, text, strlen(text) };
	conf_vm_parse(&granted, t->to, &src, 1, ctx, &unheard);
	r = t->words ? clone_set_words(t, e) : 0;
	src = (struct conf_source){ t->path, t->text.data, t->text.len };
	conf_vm_parse(&to, t->to, &src, 1, ctx, &problems);
	if (r == 0)
		r = conf_problems_err(&problems, e);
	if (r == 0)
		r = edit_may(t->daemon, t->role, t->owner ? &granted : from, &to, e);
	if (r == 0)
		r = change_check(t->daemon, t->role, NULL, &to, e);
	if (r == 0)
		r = quota_check(t->daemon, t->role, t->peer, t->to, NULL, &to, e);
	if (r == 0 && !t->dry)
		quota_claim(&t->claim, t->role, t->peer, t->to, &to);
	conf_problems_release(&unheard);
	conf_problems_release(&problems);
	conf_vm_release(&plain);
	conf_vm_release(&granted);
	conf_vm_release(&to);
	return r;
}

/* What was checked, asked for and measured is what is written. */
static int clone_check_version(
	struct clone *t, const struct conf_source *src, size_t n, struct err *e)
{
	uint64_t version = n;

	for (size_t i = 0; i < n; i++)
		version = version * 31 + (text_hash64(src[i].text, src[i].len) ^
						 text_hash64(src[i].file, strlen(src[i].file)));
	if (t->version && (t->version != version || edit_is_writing(t->from)))
		return err_set(e, ERR_CONFLICT, "'%s' was changed in the meantime", t->from);
	t->version = version;
	return 0;
}

int clone_make_text(
	struct clone *t, const struct vm *vm, const uint64_t *size, bool whole, struct err *e)
{
	const struct daemon *d = t->daemon;
	const struct conf_context ctx = {
		.defaults = &d->conf,
		.uuid = t->uuid,
		.state_dir = d->dirs.state,
		.newer = d->newer_keys,
	};
	const struct clone_how how = {
		.name = t->to, .file = t->path, .linked = t->linked, .size = size, .owner = t->owner
	};
	struct conf_texts *texts = conf_texts_new(d->dirs.config, t->from, e);
	const struct conf_source *src;
	size_t n;

	if (!texts)
		return e->number;
	src = conf_texts_sources(texts, &n);
	if (clone_check_version(t, src, n, e) < 0) {
		conf_texts_free(texts);
		return e->number;
	}
	free(t->like);
	t->like = xstrdup(src->file);
	clone_images_release(t->image, t->images);
	t->images = vm->file.conf.disks;
	t->image = xcalloc(t->images + 1, sizeof *t->image);
	buf_clear(&t->text);
	clone_compose(&t->text, t->image, src, n, &vm->file.conf, &ctx, &how, e);
	if (whole && e->number == 0)
		clone_check_text(t, &vm->file.conf, &ctx, e);
	conf_texts_free(texts);
	return e->number;
}
