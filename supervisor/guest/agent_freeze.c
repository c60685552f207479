/* SPDX-License-Identifier: MIT */
/* Freeze and thaw on request; agent.c does the automatic thaw. */
#include "supervisor/guest/agent_private.h"

#include "supervisor/guest/frozen.h"
#include "supervisor/vm/vms.h"

int vm_agent_freeze(struct vm *vm, double seconds, agent_reply_fn *reply, void *data, struct err *e)
{
	struct vm_agent *a = agent_of(vm);
	int r;

	if (a && a->frozen) {
		err_set(e, ERR_WRONG_STATE, "its file systems are already frozen");
		return err_hint(e, "vmkeep guest thaw %s", vm->name);
	}
	if (a && a->open && vm->st.state == VM_RUNNING) {
		r = frozen_mark(vm, e);
		if (r < 0)
			return r;
	}
	r = vm_agent_call(
		vm, "guest-fsfreeze-freeze", NULL, VM_AGENT_FREEZE_SECONDS, agent_on_freeze, a, e);
	if (r < 0 || !a) {
		if (a && a->open)
			frozen_unmark(vm);
		return r;
	}
	a->frozen = true;
	a->thawing = false;
	a->hold = seconds;
	a->on_frozen = reply;
	a->on_frozen_data = data;
	return 0;
}

struct thaw { /* a requested thaw; the VM may go away meanwhile */
	struct daemon *daemon;
	char vm[64];
	agent_reply_fn *reply;
	void *data;
};

static void agent_freeze_on_thawed(void *data, const json_t *result, const struct err *e)
{
	_cleanup_(free_ptr) struct thaw *t = data;
	struct vm *vm = vms_find(t->daemon->vms, t->vm);

	if (!e && vm && agent_of(vm))
		agent_thawed(agent_of(vm));
	t->reply(t->data, result, e);
}

int vm_agent_thaw(struct vm *vm, agent_reply_fn *reply, void *data, struct err *e)
{
	struct thaw *t = xcalloc(1, sizeof *t);
	int r;

	*t = (struct thaw){ .daemon = vm->daemon, .reply = reply, .data = data };
	snprintf(t->vm, sizeof t->vm, "%s", vm->name);
	r = vm_agent_call(
		vm, "guest-fsfreeze-thaw", NULL, AGENT_SECONDS, agent_freeze_on_thawed, t, e);
	if (r < 0)
		free(t);
	return r;
}
