/* SPDX-License-Identifier: MIT */
#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "conf/edit.h"
#include "conf/word.h"
#include "supervisor/control/peer.h"
#include "supervisor/qemu/identity.h"
#include "supervisor/verbs/create.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/verbs/quota.h"

void create_text_init(struct create_text *t, struct daemon *d, const char *name, char *path,
	enum api_role role, struct peer *peer)
{
	*t = (struct create_text){ .daemon = d,
		.name = xstrdup(name),
		.path = path,
		.role = role,
		.peer = peer_ref(peer),
		.conf = CONF_VM_INIT };
	identity_random_uuid(t->uuid);
}

void create_text_release(struct create_text *t)
{
	json_decref(t->words);
	conf_vm_release(&t->conf);
	peer_unref(t->peer);
	buf_release(&t->text);
	free(t->granted);
	free(t->start);
	free(t->name);
	free(t->path);
}

int create_text_compose(struct create_text *t, const char *without, struct err *e)
{
	const char *start = t->start ? t->start : "";
	const struct conf_source src = { t->path, start, strlen(start) };
	struct conf_edit *ed = conf_edit_new(&src, 1, &t->daemon->conf);
	size_t i;
	json_t *word;
	int r = 0;

	json_array_foreach (t->words, i, word)
		if (r == 0 && !streq(json_string_value(word), without))
			r = conf_edit_set(ed, json_string_value(word), e);
	buf_clear(&t->text);
	if (r == 0)
		conf_edit_text(ed, 0, &t->text);
	conf_edit_free(ed);
	return r;
}

int create_text_check(struct create_text *t, struct err *e)
{
	const char *granted = t->granted && t->role < API_ROLE_OPERATOR ? t->granted : "";
	const struct conf_source src = { t->path, t->text.data, t->text.len },
				 base = { t->path, granted, strlen(granted) };
	const struct conf_context ctx = {
		.defaults = &t->daemon->conf,
		.uuid = t->uuid,
		.state_dir = t->daemon->dirs.state,
		.newer = t->daemon->newer_keys,
	};
	struct conf_problems problems = { 0 };
	struct conf_vm from = CONF_VM_INIT;
	int r;

	conf_vm_release(&t->conf);
	conf_vm_parse(&t->conf, t->name, &src, 1, &ctx, &problems);
	r = conf_problems_err(&problems, e);
	conf_problems_release(&problems);
	conf_vm_parse(&from, t->name, &base, 1, &ctx, &problems);
	conf_problems_release(&problems);
	if (r == 0)
		r = edit_may(t->daemon, t->role, &from, &t->conf, e);
	if (r == 0)
		r = quota_check(t->daemon, t->role, t->peer, t->name, NULL, &t->conf, e);
	conf_vm_release(&from);
	return r;
}

const char *create_owner(enum api_role role, const struct peer *peer, struct err *e)
{
	if (role >= API_ROLE_OPERATOR)
		return NULL;
	if (!conf_word_owner(peer->user))
		err_set(e, ERR_PERMISSION,
			"permission denied: %s is not a name for Owner=", peer->user);
	return peer->user;
}
