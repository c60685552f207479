/* SPDX-License-Identifier: MIT */
/*
 * Finds taps among the host's links: those of a guest whose record is lost, and those that no
 * process holds.
 */
#include <stdlib.h>

#include "base/log.h"
#include "supervisor/network/private.h"

struct held {
	struct net_facts facts;
	char *alias; /* the common prefix of its NICs' aliases */
	void (*each)(void *data, const char *nic, const struct tap *tap);
	void *data;
};

static void taps_on_held(void *data, const char *name)
{
	const struct held *h = data;
	const size_t len = strlen(h->alias);

	for (size_t i = 0; i < h->facts.links; i++) {
		struct net_link *l = &h->facts.link[i];
		struct tap tap = { .index = l->index };

		if (!streq(l->name, name) || !streq(l->kind, "tun") || !l->carrier ||
			strncmp(l->alias, h->alias, len) != 0)
			continue;
		l->carrier = false; /* the process may hold it more than once */
		memcpy(tap.name, l->name, sizeof tap.name);
		h->each(h->data, l->alias + len, &tap);
	}
}

void networks_taps(struct networks *ns, const char *vm, pid_t pid,
	void (*each)(void *data, const char *nic, const struct tap *tap), void *data)
{
	struct held h = {
		.facts = NET_FACTS_INIT, .alias = nic_alias(vm, ""), .each = each, .data = data
	};
	struct err e = ERR_INIT;
	struct rtnl *rtnl = networks_rtnl(ns, &e);

	if (rtnl && rtnl_facts(rtnl, &h.facts, &e) == 0)
		tap_held(pid, taps_on_held, &h);
	net_facts_release(&h.facts);
	free(h.alias);
	if (e.number)
		log_error(vm, "its taps: %s", e.text);
}

static bool taps_is_claimed(const struct networks *ns, int index)
{
	for (const struct claim *c = ns->claims; c; c = c->next)
		if (c->tap.index == index)
			return true;
	return false;
}

void networks_sweep(struct networks *ns)
{
	_cleanup_(net_facts_release) struct net_facts facts = NET_FACTS_INIT;
	struct err e = ERR_INIT;
	struct rtnl *rtnl = networks_rtnl(ns, &e);

	if (rtnl)
		rtnl_facts(rtnl, &facts, &e);
	for (size_t i = 0; i < facts.links; i++) {
		const struct net_link *l = &facts.link[i];

		if (tap_is_left(l) && !taps_is_claimed(ns, l->index) &&
			rtnl_delete(rtnl, l->index, &e) == 0)
			log_warning(NULL, "tap '%s' (%s) was left by a VM that is gone: deleted",
				l->name, l->alias);
	}
	if (e.number)
		log_error(NULL, "taps may have been left behind: %s", e.text);
	door_repair(ns);
}
