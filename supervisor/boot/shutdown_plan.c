/* SPDX-License-Identifier: MIT */
/* The shutdown as it would happen, for `shutdown-all --dry-run`. */

#include "conf/order.h"
#include "supervisor/api/result.h"
#include "supervisor/guest/agent.h"
#include "supervisor/boot/shutdown.h"
#include "supervisor/vm/vms.h"

bool shutdown_is_up(const struct vm *vm)
{
	return !vm_state_is_down(vm->st.state) || vm->st.state == VM_BACKOFF;
}

struct order_vm shutdown_order(const struct vm *vm)
{
	return (struct order_vm){ vm->name, &vm->file.conf.after, &vm->file.conf.requires,
		vm->proc.conf.timeout_stop_ms };
}

/* NULL: it is asked to power off, and gets its timeout. */
static const char *plan_at_once(const struct vm *vm)
{
	if (vm->st.state == VM_BACKOFF)
		return "will not be restarted";
	if (vm->st.state == VM_QUITTING)
		return "is already ending";
	if (!vm_state_is_live(vm->st.state))
		return "its start is cancelled";
	if (vm_is_tombstone(vm))
		return "has powered off: its QEMU ends";
	if (vm->st.state == VM_PAUSED && vm->mon.io_error)
		return "killed: paused by an i/o error, it cannot power off";
	return NULL;
}

static const char *plan_how(const struct vm *vm)
{
	const char *at_once = plan_at_once(vm);

	if (at_once)
		return at_once;
	if (vm_agent_is_open(vm))
		return "guest agent, then power button";
	return vm->mon.qmp ? "power button" : "killed, unless its monitor can be reached then";
}

struct turn {
	const struct vm *vm;
	size_t i; /* index in order */
	unsigned step;
	uint64_t begin, share; /* latest time of the request, and its timeout, in milliseconds */
};

struct plan {
	struct order_vm *order; /* sorted by name */
	size_t n;
	struct turn *turn; /* by step, then name */
	unsigned *level;   /* order_levels() */
	uint64_t *ms;	   /* order_times() */
};

static int plan_compare(const void *a, const void *b)
{
	const struct turn *s = a, *t = b;

	return s->step != t->step ? (s->step < t->step ? -1 : 1) : s->i < t->i ? -1 : s->i > t->i;
}

static void plan_init(struct plan *p, const struct vms *vms)
{
	_cleanup_(free_ptr) unsigned *step = NULL;

	p->order = xcalloc(vms->n + 1, sizeof *p->order);
	p->turn = xcalloc(vms->n + 1, sizeof *p->turn);
	for (size_t i = 0; i < vms->n; i++) {
		const struct vm *vm = vms->vm[i];

		if (!shutdown_is_up(vm))
			continue;
		p->order[p->n] = shutdown_order(vm);
		if (plan_at_once(vm))
			p->order[p->n].stop_ms = 0;
		p->turn[p->n] = (struct turn){ .vm = vm, .i = p->n };
		p->n++;
	}
	p->level = xcalloc(p->n + 1, sizeof *p->level);
	p->ms = xcalloc(p->n + 1, sizeof *p->ms);
	step = xcalloc(p->n + 1, sizeof *step);
	order_levels(p->order, p->n, p->level);
	order_times(p->order, p->n, p->ms);
	order_steps(p->order, p->n, step);
	for (size_t k = 0; k < p->n; k++)
		p->turn[k].step = step[k];
	qsort(p->turn, p->n, sizeof *p->turn, plan_compare);
}

static void plan_release(struct plan *p)
{
	free(p->order);
	free(p->turn);
	free(p->level);
	free(p->ms);
}

/* When everything it waits for is down, at the latest. VMs in a cycle wait for all others. */
static uint64_t plan_begin(const struct plan *p, const struct turn *t)
{
	uint64_t begin = 0;

	for (const struct turn *k = p->turn; k < p->turn + p->n && k->step < t->step; k++)
		if ((t->step > p->n || order_follows(&p->order[k->i], t->vm->name)) &&
			k->begin + k->share > begin)
			begin = k->begin + k->share;
	return begin;
}

static void plan_times(struct plan *p, uint64_t budget)
{
	for (struct turn *t = p->turn; t < p->turn + p->n; t++) {
		t->begin = plan_begin(p, t);
		t->share = order_share(t->begin < budget ? budget - t->begin : 0,
			p->order[t->i].stop_ms, order_below(p->order, p->n, p->ms, t->i),
			p->level[t->i]);
	}
}

static json_t *plan_seconds(uint64_t ms)
{
	return ms == UINT64_MAX ? json_null() : json_real((double)ms / 1000);
}

static json_t *plan_rows(const struct plan *p)
{
	json_t *rows = json_array();
	unsigned step = 0, last = 0;

	for (const struct turn *t = p->turn; t < p->turn + p->n; t++) {
		step += t->step != last;
		last = t->step;
		json_array_append_new(
			rows, json_pack("[i, s, s, s, o, o]", (int)step, t->vm->name,
				      vm_state_name(t->vm->st.state), plan_how(t->vm),
				      plan_at_once(t->vm) ? json_null() : plan_seconds(t->share),
				      plan_seconds(t->vm->proc.conf.timeout_stop_ms)));
	}
	return rows;
}

static void plan_network(void *data, const char *network, const char *bridge, bool up)
{
	if (up)
		json_array_append_new(data, json_string(network));
}

static json_t *plan_networks(struct networks *ns)
{
	json_t *names = json_array();

	networks_each(ns, plan_network, names);
	return names;
}

json_t *shutdown_plan(struct daemon *d, double budget)
{
	struct plan p = { .n = 0 };
	uint64_t ms = (uint64_t)(budget * 1000);
	struct buf chain = BUF_INIT;
	size_t longest = 0;
	uint64_t sum;
	json_t *plan;

	plan_init(&p, d->vms);
	plan_times(&p, ms);
	for (size_t i = 0; i < p.n; i++)
		if (p.ms[i] > p.ms[longest])
			longest = i;
	sum = p.n ? p.ms[longest] : 0;
	if (p.n)
		order_chain(p.order, p.n, p.ms, longest, &chain);
	plan = api_table(api_shutdown_dry_row, plan_rows(&p));
	json_object_update_new(plan,
		json_pack("{s:f, s:o, s:b, s:s, s:o}", "budget", budget, "sum", plan_seconds(sum),
			"fits", sum <= ms, "chain", chain.data ? chain.data : "", "networks",
			plan_networks(d->networks)));
	buf_release(&chain);
	plan_release(&p);
	return plan;
}
