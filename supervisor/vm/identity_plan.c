/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/identity_plan.h"

#include "base/mem.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/vanished.h"

static bool plan_may_make_disks(const struct conf_vm *c)
{
	for (size_t i = 0; i < c->disks; i++)
		if (c->disk[i].size)
			return true;
	return false;
}

json_t *vm_identity_plan(const struct vm *vm, const struct conf_vm *c)
{
	const struct daemon *d = vm->daemon;
	_cleanup_(free_ptr) char *dir = vm_state_path(vm, NULL);
	bool fresh = !vm->identity.kept && !c->uuid;

	return json_pack("{s:s, s:b, s:b, s:s*, s:o, s:o, s:o}", "dir", dir, "changed",
		vm->identity.dirty, "fresh", fresh, "damaged",
		vm->identity.damaged[0] ? vm->identity.damaged : NULL, "vanished",
		fresh && plan_may_make_disks(c) ? vanished_names(d->vms) : json_array(), "former",
		vm->identity.kept && plan_may_make_disks(c) ? vanished_former(vm) : json_array(),
		"document", identity_json(&vm->identity));
}
