/* SPDX-License-Identifier: MIT */
/* May a new VM have this name? */
#include <dirent.h>
#include <stdio.h>
#include <strings.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/load.h"
#include "supervisor/control/peer.h"
#include "supervisor/verbs/create.h"
#include "supervisor/vm/vanished.h"

static struct create_claim *claims;

void create_name_claim(struct create_claim *c, const char *name)
{
	*c = (struct create_claim){ claims, name };
	claims = c;
}

void create_name_release(struct create_claim *c)
{
	struct create_claim **at = &claims;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
}

struct name_clash {
	const char *name;
	char dns[64], other[64]; /* other "": none */
};

static void name_on_vm(void *data, const char *name)
{
	struct name_clash *clash = data;
	char dns[64];

	if (strcasecmp(name, clash->name) == 0 || streq(conf_dns_name(name, dns), clash->dns))
		snprintf(clash->other, sizeof clash->other, "%s", name);
}

static int name_check_state(struct vms *vms, const char *name, struct err *e)
{
	json_t *vanished = vanished_names(vms), *one;
	const struct vm *vm = vms_find(vms, name); /* an orphan still runs */
	bool found = vm != NULL;
	size_t i;

	json_array_foreach (vanished, i, one)
		found = found || streq(json_string_value(one), name);
	json_decref(vanished);
	if (!found)
		return 0;
	if (vm && vm->file.throwaway)
		return err_set(e, ERR_CONFLICT, "a throw-away VM has the name '%s'", name);
	err_set(e, ERR_CONFLICT, "there is state of a VM '%s' whose file is gone", name);
	return err_hint(e, "vmkeep forget %s removes it; or choose another name", name);
}

/* Both files would be refused once they are there. */
static int name_check_claims(struct name_clash *clash, struct err *e)
{
	for (const struct create_claim *c = claims; c && !clash->other[0]; c = c->next)
		name_on_vm(clash, c->name);
	if (!clash->other[0])
		return 0;
	err_set(e, ERR_CONFLICT, "a VM '%s' is being made", clash->other);
	return err_hint(e, "vmkeep jobs shows its progress");
}

int create_name_may(struct daemon *d, const char *name, struct err *e)
{
	struct name_clash clash = { .name = name };
	struct conf_problems ignored = { 0 };

	conf_dns_name(name, clash.dns);
	vms_refresh(d->vms);
	conf_list_vms(d->dirs.config, name_on_vm, &clash, &ignored);
	conf_problems_release(&ignored);
	if (streq(clash.other, name)) {
		err_set(e, ERR_CONFLICT, "the VM exists: '%s/%s.vm' is there", d->dirs.config,
			name);
		return err_hint(e, "vmkeep edit %s changes it", name);
	}
	if (clash.other[0]) {
		err_set(e, ERR_CONFLICT, "the name is too similar to that of the VM '%s'",
			clash.other);
		return err_hint(
			e, "choose a name that differs in more than case, and as a DNS name");
	}
	if (name_check_claims(&clash, e) < 0)
		return e->number;
	return name_check_state(d->vms, name, e);
}

static bool name_is_in(const struct conf_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (streq(list->item[i], name))
			return true;
	return false;
}

int create_name_free_for(const struct daemon *d, const char *name, enum api_role role,
	const struct peer *peer, struct err *e)
{
	for (size_t i = 0; role < API_ROLE_OPERATOR && i < d->vms->n; i++) {
		const struct vm *vm = d->vms->vm[i];
		const char *key = name_is_in(&vm->file.conf.after, name)      ? "After"
				  : name_is_in(&vm->file.conf.requires, name) ? "Requires"
									      : NULL;

		if (key && !peer_owns(peer, &vm->file.conf.owner))
			return err_set(e, ERR_PERMISSION,
				"only an operator may give it this name: VM '%s' has %s=%s",
				vm->name, key, name);
	}
	return 0;
}

static bool name_is_own(const char *path, char *const *own, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(own[i], path))
			return true;
	return false;
}

int create_dropins_may(
	const struct daemon *d, const char *name, char *const *own, size_t n, struct err *e)
{
	_cleanup_(free_ptr) char *dir = xasprintf("%s/%s.vm.d", d->dirs.config, name);
	_cleanup_(close_dir) DIR *found = opendir(dir);

	for (const struct dirent *f; found && (f = readdir(found));) {
		const char *end = *f->d_name == '.' ? NULL : strrchr(f->d_name, '.');
		_cleanup_(free_ptr) char *path = xasprintf("%s/%s", dir, f->d_name), *safe = NULL;

		if (!streq(end, ".conf") || name_is_own(path, own, n))
			continue;
		safe = text_escape(path, strlen(path), false);
		err_set(e, ERR_CONFLICT, "'%s' is there, and would change the VM", safe);
		return err_hint(e, "choose another name");
	}
	return 0;
}
