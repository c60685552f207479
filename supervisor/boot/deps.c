/* SPDX-License-Identifier: MIT */
/* Dependencies of a pending start: After= and Requires=, which name VMs and networks. */
#include "supervisor/boot/private.h"

void deps_add(struct pending *p, const struct conf_list *names, bool required)
{
	p->dep = xrealloc(p->dep, p->deps + names->n, sizeof *p->dep);
	for (size_t i = 0; i < names->n; i++)
		p->dep[p->deps++] = (struct dep){
			.pending = p, .name = xstrdup(names->item[i]), .required = required
		};
}

void deps_release(struct pending *p)
{
	for (size_t i = 0; i < p->deps; i++) {
		network_wait_cancel(p->dep[i].wait);
		free(p->dep[i].name);
		free(p->dep[i].problem);
	}
	free(p->dep);
}

static enum dep_verdict deps_pending(
	const struct dep *dep, const struct pending *other, struct err *why)
{
	switch (other->phase) {
	case BOOT_READY:
		return DEP_GO;
	case BOOT_LATE:
		err_set(why, ERR_FAILED, "'%s' runs but is not ready", dep->name);
		return dep->required ? DEP_REFUSE : DEP_GO;
	case BOOT_FAILED:
		err_set(why, ERR_FAILED, "'%s': %s", dep->name, other->why ? other->why : "failed");
		return dep->required ? DEP_REFUSE : DEP_GO;
	case BOOT_WAITING:
	case BOOT_STARTING:
	case BOOT_READYING:
		break;
	}
	err_set(why, ERR_FAILED, "waits for '%s'", dep->name);
	return other->overdue && !dep->required ? DEP_GO : DEP_HOLD;
}

/* A VM that is not enabled, or whose start a previous daemon finished. */
static enum dep_verdict deps_vm(const struct dep *dep, const struct vm *vm, struct err *why)
{
	err_set(why, ERR_FAILED, "'%s' is not up", dep->name);
	return dep->required && !vm_state_has_process(vm->st.state) ? DEP_REFUSE : DEP_GO;
}

static void deps_network_done(void *data, const struct err *e)
{
	struct dep *dep = data;

	dep->wait = NULL;
	dep->network = e ? DEP_DOWN : DEP_UP;
	if (e)
		dep->problem = xstrdup(e->text);
	boot_kick(dep->pending->boot->daemon);
}

static enum dep_verdict deps_network(struct dep *dep, struct err *why)
{
	struct networks *ns = dep->pending->boot->daemon->networks;

	switch (dep->network) {
	case DEP_UP:
		return DEP_GO;
	case DEP_DOWN:
		err_set(why, ERR_FAILED, "network '%s': %s", dep->name, dep->problem);
		return dep->required ? DEP_REFUSE : DEP_GO;
	case DEP_UNKNOWN:
		dep->network = DEP_REQUESTED;
		dep->wait = networks_need(ns, dep->name, deps_network_done, dep);
		break;
	case DEP_REQUESTED:
		break;
	}
	err_set(why, ERR_FAILED, "waits for network '%s'", dep->name);
	return DEP_HOLD;
}

static enum dep_verdict deps_check_one(struct dep *dep, struct err *why)
{
	struct boot *b = dep->pending->boot;
	const struct pending *other = boot_find(b, dep->name);
	const struct vm *vm = vms_find(b->daemon->vms, dep->name);

	if (other)
		return deps_pending(dep, other, why);
	return vm ? deps_vm(dep, vm, why) : deps_network(dep, why);
}

enum dep_verdict deps_check(struct pending *p, struct err *why)
{
	enum dep_verdict all = DEP_GO;

	for (size_t i = 0; i < p->deps; i++) {
		struct err one = ERR_INIT;
		enum dep_verdict v = deps_check_one(&p->dep[i], &one);

		if (v == DEP_REFUSE || (v == DEP_HOLD && all == DEP_GO))
			err_copy(why, &one);
		if (v == DEP_REFUSE)
			return v;
		if (v == DEP_HOLD)
			all = v;
	}
	return all;
}
