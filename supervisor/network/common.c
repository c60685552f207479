/* SPDX-License-Identifier: MIT */
/* Used by all files in this directory; uses none of them. */
#include "supervisor/network/private.h"

struct network *networks_find(struct networks *ns, const char *name)
{
	for (struct network *n = ns->list; n; n = n->next)
		if (streq(n->name, name))
			return n;
	return NULL;
}

struct rtnl *networks_rtnl(struct networks *ns, struct err *e)
{
	if (!ns->rtnl)
		ns->rtnl = rtnl_new(e);
	return ns->rtnl;
}

void networks_changed(struct networks *ns, const char *network, enum networks_change change)
{
	if (ns->changed)
		ns->changed(ns->changed_data, network, change);
}

void networks_on_change(struct networks *ns, networks_change_fn *changed, void *data)
{
	ns->changed = changed;
	ns->changed_data = data;
}

struct claim *claims_find(struct networks *ns, const char *vm, const char *nic)
{
	for (struct claim *c = ns->claims; c; c = c->next)
		if (streq(c->vm, vm) && streq(c->nic, nic))
			return c;
	return NULL;
}

size_t network_attached(const struct network *n)
{
	size_t sum = 0;

	for (const struct claim *c = n->ns->claims; c; c = c->next)
		sum += c->on == n;
	return sum;
}

bool network_pool(
	const struct network *n, uint32_t *host, unsigned *prefix, uint32_t *first, uint32_t *last)
{
	const struct net_choice *c = n->plan.choice.prefix ? &n->plan.choice : &n->choice;
	uint32_t net;

	*host = c->address;
	*prefix = c->prefix;
	if (!n->plan.choice.prefix && n->conf.subnet.set) {
		*host = n->conf.subnet.address;
		*prefix = n->conf.subnet.prefix;
	}
	if (!*prefix)
		return false;
	net = *host & net_mask(*prefix);
	*first = net + 1;
	*last = (net | ~net_mask(*prefix)) - 1;
	*first += *first == *host;
	*last -= *last == *host;
	if (n->conf.range.set && n->conf.range.first >= *first && n->conf.range.last <= *last) {
		*first = n->conf.range.first;
		*last = n->conf.range.last;
	}
	return true;
}

bool network_has(const struct network *n, uint32_t address)
{
	uint32_t host, first, last;
	unsigned prefix;

	return !network_pool(n, &host, &prefix, &first, &last) ||
	       (((address ^ host) & net_mask(prefix)) == 0 && address != host);
}
