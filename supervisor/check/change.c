/* SPDX-License-Identifier: MIT */
#include "supervisor/check/change.h"

#include "base/mem.h"
#include "conf/load.h"
#include "supervisor/boot/boot.h"
#include "supervisor/check/duplicates.h"
#include "supervisor/vm/uuid.h"
#include "supervisor/vm/vms.h"

int change_check(struct daemon *d, enum api_role role, const struct conf_vm *from,
	const struct conf_vm *to, struct err *e)
{
	struct conf_problems problems = { 0 };
	const struct vm *vm;
	int r;

	boot_check_change(d->vms, from, to, role >= API_ROLE_OPERATOR, &problems);
	r = conf_problems_err(&problems, e);
	conf_problems_release(&problems);
	vm = vms_find(d->vms, to->name);
	if (r == 0 && vm && to->uuid && !(from && streq(from->uuid, to->uuid)))
		r = vm_identity_check(vm, to, e);
	return r;
}

struct change {
	const char *name;
	json_t *known; /* texts: what was so before */
	json_t *found;
};

static void change_found(void *data, const char *vm, const char *other,
	const struct conf_place *place, const char *key, const char *text, const char *hint)
{
	const struct change *c = data;

	if (!streq(vm, c->name))
		return;
	if (!c->found)
		json_object_set_new(c->known, text, json_true());
	else if (!json_object_get(c->known, text))
		json_array_append_new(c->found, json_pack("{s:s, s:o}", "key", key, "text",
							json_sprintf("%s: %s", text, hint)));
}

/* All VMs, and c in place of the one of its name. */
static void change_find(const struct daemon *d, const struct conf_vm *c, struct change *change)
{
	const struct identity none = IDENTITY_INIT, *own = &none;
	struct duplicates_vm *all = xcalloc(d->vms->n + 1, sizeof *all);
	size_t n = 0;

	for (size_t i = 0; i < d->vms->n; i++) {
		const struct vm *vm = d->vms->vm[i];

		if (streq(vm->name, c->name))
			own = &vm->identity;
		else if (vm->file.have_conf)
			all[n++] = (struct duplicates_vm){ &vm->file.conf, &vm->identity };
	}
	all[n++] = (struct duplicates_vm){ c, own };
	duplicates_find(all, n, d->image_dir, change_found, change);
	free(all);
}

json_t *change_conflicts(
	struct daemon *d, enum api_role role, const struct conf_vm *from, const struct conf_vm *to)
{
	struct change c = { .name = to->name };

	if (role < API_ROLE_OPERATOR)
		return json_array();
	c.known = json_object();
	if (from)
		change_find(d, from, &c);
	c.found = json_array();
	change_find(d, to, &c);
	json_decref(c.known);
	return c.found;
}
