/* SPDX-License-Identifier: MIT */
/*
 * What a start would be refused, for `check`: the claims of all NICs of a VM are made, judged by the
 * same functions, and taken back. A network that would be brought up (again) counts as what its plan
 * says. All of it happens within one call, so nobody sees it.
 */
#include "base/mem.h"
#include "supervisor/network/private.h"

struct
try {
	struct claim *claim, before; /* before: its data, if it was there */
	bool is_new;
	struct network *network; /* whose plan was replaced, or NULL */
	struct net_plan plan;
};

bool network_would_rise(const struct network *n)
{
	return n->state == NETWORK_DOWN ||
	       (n->state == NETWORK_UP && !network_attached(n) && network_is_outdated(n));
}

static int try_plan(struct try *t, struct network *n, struct err *e)
{
	struct net_plan plan;
	int r;

	if (!network_would_rise(n))
		return 0;
	r = network_plan(n, &plan, e);
	if (r == 0)
		r = record_may(n, e);
	if (r == 0 && plan.step[NET_STEP_FORWARD])
		r = network_ip_forward_may(e);
	if (r < 0)
		return err_wrap(e, r, "network '%s'", n->name);
	t->network = n;
	t->plan = n->plan;
	n->plan = plan;
	return 0;
}

static int try_network(struct networks *ns, struct try *t, const struct network_nic *nic,
	const char **key, struct err *e)
{
	struct network *n;

	*key = nic->network ? "Network" : "Bridge";
	if (!nic->network)
		return networks_bridge(ns, nic->bridge, e);
	n = networks_wanted(ns, nic->network, e);
	return n ? try_plan(t, n, e) : e->number;
}

static int try_claim(struct networks *ns, struct try *t, const struct network_nic *nic,
	const char **key, struct err *e)
{
	struct claim *c = claims_find(ns, nic->vm, nic->nic);

	t->is_new = !c;
	if (t->is_new) {
		c = xcalloc(1, sizeof *c);
		c->vm = xstrdup(nic->vm);
		c->nic = xstrdup(nic->nic);
		c->next = ns->claims;
		ns->claims = c;
	}
	t->claim = c;
	t->before = *c;
	if (!streq(c->network, nic->network))
		c->address = 0;
	c->hostname = c->network = c->bridge = NULL; /* kept in before */
	claim_fill(c, nic);
	return claim_check(ns, c, key, e);
}

static void try_undo(struct networks *ns, struct try *t)
{
	struct claim *c = t->claim;

	if (t->network)
		t->network->plan = t->plan;
	if (!c)
		return;
	if (t->is_new) {
		claim_remove(ns, c);
		return;
	}
	free(c->hostname);
	free(c->network);
	free(c->bridge);
	t->before.next = c->next;
	*c = t->before;
}

/* Moves the claims of a VM from one list to another. */
static void try_move(struct claim **from, struct claim **to, const char *vm)
{
	for (struct claim *c; (c = *from);) {
		if (!streq(c->vm, vm)) {
			from = &c->next;
			continue;
		}
		*from = c->next;
		c->next = *to;
		*to = c;
	}
}

int networks_try(struct networks *ns, const char *former, const struct network_nic *const *nic,
	size_t n, size_t *bad, const char **key, struct err *e)
{
	struct try *t = xcalloc(n + 1, sizeof *t);
	struct claim *dropped = NULL;
	int r = 0;

	if (former)
		try_move(&ns->claims, &dropped, former);

	*bad = 0;
	*key = NULL;
	for (size_t i = 0; r == 0 && i < n; i++) {
		*bad = i;
		r = try_network(ns, &t[i], nic[i], key, e);
	}
	for (size_t i = 0; r == 0 && i < n; i++) {
		*bad = i;
		r = try_claim(ns, &t[i], nic[i], key, e);
	}
	if (r == 0 && n) {
		*bad = 0;
		*key = NULL;
		r = tap_possible(e);
	}
	if (r < 0)
		err_wrap(e, r, "nic '%s'", nic[*bad]->nic);
	while (n)
		try_undo(ns, &t[--n]);
	if (former)
		try_move(&dropped, &ns->claims, former);
	free(t);
	return r;
}
