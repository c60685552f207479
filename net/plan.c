/* SPDX-License-Identifier: MIT */
#include "net/plan.h"

#include "base/mem.h"

enum { BRIDGES_MAX = 100, FIRST_SUBNET = 122, LAST_SUBNET = 254, SHORTEST_PREFIX = 8 };

static const char *const step_names[] = {
	[NET_STEP_FORWARD] = "ip-forward",
	[NET_STEP_BRIDGE] = "bridge",
	[NET_STEP_ADDRESS] = "address",
	[NET_STEP_RULES] = "rules",
	[NET_STEP_DNSMASQ] = "dnsmasq",
};
_Static_assert(ARRAY_SIZE(step_names) == NET_STEPS, "a step has no name");

const char *net_step_name(enum net_step s)
{
	return step_names[s];
}

static bool plan_ours(const struct net_plan *p, const struct net_link *l)
{
	return l->index && streq(l->kind, "bridge") &&
	       (!l->alias[0] || streq(l->alias, p->alias)) &&
	       memcmp(l->mac, p->choice.mac, ETH_ALEN) == 0;
}

static const struct net_link *plan_foreign(
	const struct net_plan *p, const struct net_facts *f, const char *name)
{
	const struct net_link *l = net_facts_link(f, name);

	return l && !plan_ours(p, l) ? l : NULL;
}

static const char *plan_describe_link(char *buf, size_t len, const struct net_link *l)
{
	if (!l->index)
		snprintf(buf, len, "it is reserved for %.140s", l->alias);
	else
		snprintf(buf, len, "a %s%s%.140s%s", l->kind[0] ? l->kind : "network card",
			l->alias[0] ? " called '" : "", l->alias, l->alias[0] ? "'" : "");
	return buf;
}

/* The n-th automatic name for a bridge: virbr0, virbr1; vkbr-lab, vkbr-lab1. */
static void plan_auto_bridge(char name[IFNAMSIZ], const char *network, unsigned n)
{
	char tail[4] = "";

	if (streq(network, "default")) {
		snprintf(name, IFNAMSIZ, "virbr%u", n);
		return;
	}
	if (n)
		snprintf(tail, sizeof tail, "%u", n % BRIDGES_MAX);
	snprintf(name, IFNAMSIZ, "vkbr-%.*s%s", (int)(10 - strlen(tail)), network, tail);
}

static int plan_choose_bridge(
	struct net_plan *p, const struct conf_network *c, const struct net_facts *f, struct err *e)
{
	const struct net_link *l;
	char what[200], first[IFNAMSIZ];

	if (c->bridge) {
		l = plan_foreign(p, f, c->bridge);
		if (l) {
			err_set(e, ERR_CONFLICT, "cannot create bridge '%s': %s has that name",
				c->bridge, plan_describe_link(what, sizeof what, l));
			return err_hint(e,
				"write another name at Bridge= in %s.network, or use it as it is with Bridge= "
				"in the [NIC] section",
				c->name);
		}
		snprintf(p->choice.bridge, sizeof p->choice.bridge, "%s", c->bridge);
		return 0;
	}
	if (p->choice.bridge[0] && !plan_foreign(p, f, p->choice.bridge))
		return 0;
	plan_auto_bridge(first, c->name, 0);
	for (unsigned i = 0; i < BRIDGES_MAX; i++) {
		plan_auto_bridge(p->choice.bridge, c->name, i);
		if (!plan_foreign(p, f, p->choice.bridge))
			return 0;
	}
	return err_set(e, ERR_CONFLICT, "no free bridge name, starting with '%s'", first);
}

/* Finds what overlaps with this subnet. Ignores default routes, and the halves and quarters of one
 * that VPNs set. Prefers naming another network of ours over naming its bridge. */
static const struct net_prefix *plan_overlap(
	const struct net_plan *p, const struct net_facts *f, uint32_t address, unsigned prefix)
{
	const struct net_link *bridge = net_facts_link(f, p->choice.bridge);
	const int own = bridge && plan_ours(p, bridge) ? bridge->index : 0;
	const struct net_prefix *found = NULL;

	for (size_t i = 0; i < f->prefixes; i++) {
		const struct net_prefix *o = &f->prefix[i];
		uint32_t mask = net_mask(o->prefix < prefix ? o->prefix : prefix);

		if (o->route && o->prefix < SHORTEST_PREFIX)
			continue;
		if (own && o->index == own)
			continue;
		if ((o->address & mask) == (address & mask) && (!found || o->network))
			found = o;
	}
	return found;
}

bool net_choice_equal(const struct net_choice *a, const struct net_choice *b)
{
	return streq(a->bridge, b->bridge) && memcmp(a->mac, b->mac, sizeof a->mac) == 0 &&
	       a->address == b->address && a->prefix == b->prefix;
}

static const char *plan_describe_holder(
	char *buf, size_t len, const struct net_facts *f, const struct net_prefix *o)
{
	const struct net_link *l = o->index ? net_facts_index(f, o->index) : NULL;
	char ip[NET_IP_TEXT];

	net_ip(ip, o->address, o->prefix);
	if (o->network)
		snprintf(buf, len, "network '%s' (%s)", o->network, ip);
	else if (!o->route)
		snprintf(buf, len, "interface '%s' (%s)", l ? l->name : "?", ip);
	else
		snprintf(buf, len, "the route to %s%s%s%s", ip, l ? " through interface '" : "",
			l ? l->name : "", l ? "'" : "");
	return buf;
}

static int plan_choose_subnet(struct net_plan *p, const struct conf_network *c,
	const struct net_facts *f, char holder[160], struct err *e)
{
	const struct net_prefix *o;
	char ip[NET_IP_TEXT];

	if (c->subnet.set) {
		p->choice.address = c->subnet.address;
		p->choice.prefix = c->subnet.prefix;
		o = plan_overlap(p, f, c->subnet.address, c->subnet.prefix);
		if (!o)
			return 0;
		err_set(e, ERR_CONFLICT, "subnet %s is taken: it overlaps with %s",
			net_ip(ip, c->subnet.address, c->subnet.prefix),
			plan_describe_holder(holder, 160, f, o));
		return err_hint(
			e, "write another Address= in %s.network, or Address=auto", c->name);
	}
	if (p->choice.prefix) {
		o = plan_overlap(p, f, p->choice.address, p->choice.prefix);
		if (!o)
			return 0;
		plan_describe_holder(holder, 160, f, o);
	}
	p->choice.prefix = 24;
	for (uint32_t i = FIRST_SUBNET; i <= LAST_SUBNET; i++) {
		p->choice.address = UINT32_C(192) << 24 | UINT32_C(168) << 16 | i << 8 | 1;
		o = plan_overlap(p, f, p->choice.address, 24);
		if (!o)
			return 0;
		if (!holder[0])
			plan_describe_holder(holder, 160, f, o);
	}
	err_set(e, ERR_CONFLICT,
		"no free subnet from 192.168.%d.0/24 to 192.168.%d.0/24: %s is in the way",
		FIRST_SUBNET, LAST_SUBNET, holder);
	return err_hint(e, "write a free one: Address= in %s.network", c->name);
}

static void plan_note(struct net_plan *p, const struct net_choice *before, const char *wished,
	bool auto_name, const char *holder)
{
	const bool moved = auto_name && !streq(p->choice.bridge, wished) &&
			   !streq(p->choice.bridge, before->bridge);
	char ip[NET_IP_TEXT];

	net_ip(ip, p->choice.address & net_mask(p->choice.prefix), p->choice.prefix);
	if (moved && holder[0])
		snprintf(p->note, sizeof p->note,
			"'%s' and the subnet of %s are taken: uses '%s' and %s", wished, holder,
			p->choice.bridge, ip);
	else if (moved)
		snprintf(p->note, sizeof p->note, "'%s' is taken: uses '%s'", wished,
			p->choice.bridge);
	else if (holder[0])
		snprintf(p->note, sizeof p->note, "the subnet of %s is taken: uses %s", holder, ip);
}

/* Sets the table's name, and the steps. Another vmkeepd on this host may have a network of the same
 * name: then the bridge's name, which is ours alone, makes the table's name unique. The result must
 * be the same if the record is lost, so it depends on the owner only, or on a bridge of an older
 * version's daemon, whose alias has no owner. */
static void plan_rest(struct net_plan *p, const struct conf_network *c, const struct net_facts *f)
{
	bool longer = f->owner && *f->owner;

	for (size_t i = 0; i < f->links && !longer; i++) {
		const struct net_link *l = &f->link[i];

		longer = l->index && streq(l->alias, p->alias) && !plan_ours(p, l);
	}
	snprintf(p->table, sizeof p->table, "vmkeep_%s%s%s", c->name, longer ? "_" : "",
		longer ? p->choice.bridge : "");
	p->step[NET_STEP_BRIDGE] = p->step[NET_STEP_ADDRESS] = p->step[NET_STEP_RULES] = true;
	p->step[NET_STEP_DNSMASQ] = c->dhcp || c->dns;
}

int net_plan(struct net_plan *p, const struct conf_network *c, const struct net_choice *remembered,
	const struct net_facts *f, struct err *e)
{
	char wished[IFNAMSIZ], holder[160] = "";
	int r;

	*p = (struct net_plan){ .choice = *remembered, .mtu = (unsigned)c->mtu };
	net_alias(p->alias, c->name, f->owner);
	r = plan_choose_bridge(p, c, f, e);
	if (r == 0)
		r = plan_choose_subnet(p, c, f, holder, e);
	if (r < 0)
		return r;
	if (remembered->bridge[0])
		snprintf(wished, sizeof wished, "%s", remembered->bridge);
	else
		plan_auto_bridge(wished, c->name, 0);
	plan_note(p, remembered, wished, !c->bridge, holder);
	plan_rest(p, c, f);
	p->step[NET_STEP_FORWARD] = !f->ip_forward;
	return 0;
}

void net_plan_again(struct net_plan *p, const struct conf_network *c,
	const struct net_choice *standing, const struct net_facts *f)
{
	*p = (struct net_plan){ .choice = *standing, .mtu = (unsigned)c->mtu };
	net_alias(p->alias, c->name, f->owner);
	/* whether ip_forward was on before is unknown: leave it as it is */
	plan_rest(p, c, f);
}
