/* SPDX-License-Identifier: MIT */
/* Taps as bridge ports. */
#include "base/log.h"
#include "net/tap.h"
#include "supervisor/network/private.h"

int port_enslave(struct networks *ns, const struct claim *c, const struct tap *tap, int bridge,
	unsigned mtu, struct err *e)
{
	uint8_t mac[ETH_ALEN];
	int r;

	tap_mac(mac, c->mac);
	r = rtnl_enslave(ns->rtnl, tap->index, bridge, mac, mtu, c->link, e);
	return r < 0 ? err_wrap(e, r, "tap '%s'", tap->name) : 0;
}

/* If the tap is no longer on its bridge, or down: restores it. The tap is down while it is
 * moved. */
int port_join_again(struct networks *ns, const struct claim *c, const struct tap *tap, int bridge,
	unsigned mtu, struct err *e)
{
	struct rtnl *rtnl = networks_rtnl(ns, e);
	struct net_link l;
	int r;

	if (!rtnl)
		return e->number;
	if (!*tap->name)
		return 0; /* not made yet */
	r = tap->index ? rtnl_link_at(rtnl, tap->index, &l, e) : 0;
	if (r == 0 && (!tap->index || !l.index))
		return err_set(e, ERR_NOT_FOUND, "tap '%s' is gone", tap->name);
	if (r < 0 || (l.master == bridge && (!c->link || (l.flags & IFF_UP))))
		return r;
	if (l.master != bridge && (l.flags & IFF_UP))
		r = rtnl_up(rtnl, tap->index, false, e);
	if (r == 0)
		r = port_enslave(ns, c, tap, bridge, mtu, e);
	if (r == 0)
		log_warning(c->vm, "nic %s: '%s' was %s: repaired", c->nic, tap->name,
			l.master == bridge ? "not up" : "not on its bridge");
	return r;
}

void network_join_all(struct network *n)
{
	for (struct claim *c = n->ns->claims; c; c = c->next) {
		struct err e = ERR_INIT;

		if (c->on == n &&
			port_join_again(n->ns, c, &c->tap, n->bridge_index, n->plan.mtu, &e) < 0)
			log_error(c->vm, "nic %s: %s", c->nic, e.text);
	}
}

void network_taps_down(struct network *n)
{
	for (struct claim *c = n->ns->claims; c; c = c->next) {
		struct rtnl *rtnl = c->on == n ? networks_rtnl(n->ns, NULL) : NULL;
		struct net_link l;
		struct err e = ERR_INIT;

		if (rtnl && c->tap.index && rtnl_link_at(rtnl, c->tap.index, &l, &e) == 0 &&
			l.index)
			rtnl_up(rtnl, l.index, false, &e);
		if (e.number)
			log_error(c->vm, "nic %s: tap '%s': %s", c->nic, c->tap.name, e.text);
	}
}

/* Queries all links at once, however many NICs there are. */
bool network_tap_trouble(const struct network *n, char *out, size_t len)
{
	struct rtnl *rtnl = network_attached(n) ? networks_rtnl(n->ns, NULL) : NULL;
	_cleanup_(net_facts_release) struct net_facts facts = NET_FACTS_INIT;
	const bool known = rtnl && rtnl_facts(rtnl, &facts, NULL) == 0;

	out[0] = '\0';
	for (const struct claim *c = n->ns->claims; known && c && !out[0]; c = c->next) {
		const struct net_link *l = net_facts_index(&facts, c->tap.index);

		if (c->on != n || !c->attached || !c->tap.index)
			continue;
		if (!l)
			snprintf(out, len,
				"the tap of NIC '%.63s' of VM '%.63s' is gone from this host's network",
				c->nic, c->vm);
		else if (l->master != n->bridge_index)
			snprintf(out, len,
				"the tap of NIC '%.63s' of VM '%.63s' is not on its bridge: vmkeep reload",
				c->nic, c->vm);
	}
	return out[0] != '\0';
}

/* --- foreign bridges --- */

static bool ports_is_foreign(const struct claim *c)
{
	return c->bridge && !c->network && c->attached && c->tap.index;
}

static const struct net_link *ports_bridge(const struct net_facts *f, const char *name)
{
	for (size_t i = 0; i < f->links; i++)
		if (streq(f->link[i].name, name) && streq(f->link[i].kind, "bridge"))
			return &f->link[i];
	return NULL;
}

/* One dump from the kernel, however many NICs there are. */
static bool ports_facts(struct networks *ns, const char *vm, struct net_facts *facts)
{
	const struct claim *c = ns->claims;
	struct rtnl *rtnl;

	while (c && (!c->attached || !c->tap.index || (vm && !streq(c->vm, vm))))
		c = c->next;
	rtnl = c ? networks_rtnl(ns, NULL) : NULL;
	return rtnl && rtnl_facts(rtnl, facts, NULL) == 0;
}

void ports_repair_foreign(struct networks *ns)
{
	_cleanup_(net_facts_release) struct net_facts facts = NET_FACTS_INIT;

	if (!ports_facts(ns, NULL, &facts))
		return;
	for (const struct claim *c = ns->claims; c; c = c->next) {
		const struct net_link *b =
			ports_is_foreign(c) ? ports_bridge(&facts, c->bridge) : NULL;
		struct err e = ERR_INIT;

		if (b && port_join_again(ns, c, &c->tap, b->index, 0, &e) < 0)
			log_error(c->vm, "nic %s: %s", c->nic, e.text);
	}
}

/* --- NICs that are cut off --- */

/* While a network comes up, its NICs are still being attached. */
static bool ports_is_settled(const struct claim *c, const struct network *n)
{
	return c->attached && !(n && n->state == NETWORK_RAISING);
}

static bool ports_is_down(const struct claim *c, const struct network *n)
{
	return c->network && (!n || n->state != NETWORK_UP);
}

/* Sets text to what is wrong with the NIC; "": nothing. */
static void ports_trouble(const struct claim *c, const struct network *n,
	const struct net_facts *facts, char *text, size_t len)
{
	const struct net_link *tap = net_facts_index(facts, c->tap.index),
			      *b = n ? net_facts_index(facts, n->bridge_index)
				     : ports_bridge(facts, c->bridge);
	const char *bridge = n ? n->plan.choice.bridge : c->bridge,
		   *cure = n ? ": vmkeep reload" : "";

	*text = '\0';
	if (!tap)
		snprintf(text, len, "the tap of NIC '%.63s' is gone from this host's network",
			c->nic);
	else if (!b)
		snprintf(text, len, "NIC '%.63s' is cut off: bridge '%s' is gone%s", c->nic, bridge,
			cure);
	else if (tap->master != b->index)
		snprintf(text, len, "NIC '%.63s' is not on bridge '%s': vmkeep reload", c->nic,
			bridge);
	else if (!(b->flags & IFF_UP) && n)
		snprintf(text, len, "bridge '%s' of NIC '%.63s' is down: vmkeep reload", bridge,
			c->nic);
	else if (!(b->flags & IFF_UP))
		snprintf(text, len, "bridge '%s' of NIC '%.63s' is down: ip link set %s up", bridge,
			c->nic, bridge);
	else if (c->link && !(tap->flags & IFF_UP))
		snprintf(text, len, "the tap of NIC '%.63s' is down: vmkeep reload", c->nic);
}

void networks_strays(struct networks *ns, const char *vm, networks_stray_fn *stray, void *data)
{
	_cleanup_(net_facts_release) struct net_facts facts = NET_FACTS_INIT;
	const bool known = ports_facts(ns, vm, &facts);

	for (const struct claim *c = ns->claims; c; c = c->next) {
		const struct network *n = c->network ? networks_find(ns, c->network) : NULL;
		char text[256] = "";
		bool stopped;

		if ((vm && !streq(c->vm, vm)) || !ports_is_settled(c, n))
			continue;
		stopped = ports_is_down(c, n);
		if (stopped)
			snprintf(text, sizeof text,
				"NIC '%.63s' is cut off: network '%.63s' is down: vmkeep net start %.63s",
				c->nic, c->network, c->network);
		else if (known && c->tap.index)
			ports_trouble(c, n, &facts, text, sizeof text);
		if (text[0])
			stray(data, c->vm, stopped, text);
	}
}
