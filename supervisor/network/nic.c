/* SPDX-License-Identifier: MIT */
/* The NICs of guests: their taps, on the bridge of a network or on a foreign bridge. */
#include "base/log.h"
#include "net/tap.h"
#include "supervisor/network/private.h"

char *nic_alias(const char *vm, const char *nic)
{
	return xasprintf("vmkeep:%s:%s", vm, nic);
}

/* A network is in use as soon as a tap exists, even before the guest is attached. */
static void nic_hold(struct claim *c, struct network *n, const struct tap *tap)
{
	c->on = n;
	c->tap = *tap;
}

static void nic_attach(struct claim *c, struct network *n, const struct tap *tap)
{
	nic_hold(c, n, tap);
	c->attached = true;
}

/* The claim, which gets its address now that the network is up. */
static struct claim *nic_claim_of(struct networks *ns, const struct network_nic *nic, struct err *e)
{
	struct network_nic again = *nic;
	struct claim *c = claims_find(ns, nic->vm, nic->nic);
	uint32_t address;

	if (c && again.network && !again.address)
		again.address = c->address;
	if (networks_claim(ns, &again, &address, e) < 0)
		return NULL;
	return claims_find(ns, nic->vm, nic->nic);
}

void networks_hold(struct networks *ns, const struct network_nic *nic, struct tap *tap)
{
	_cleanup_(free_ptr) char *alias = nic_alias(nic->vm, nic->nic);
	struct rtnl *rtnl = networks_rtnl(ns, NULL);
	struct claim *c = nic_claim_of(ns, nic, NULL);

	if (rtnl && !tap->index) {
		tap_find(rtnl, alias, tap);
		tap_quiet(tap);
	}
	if (c)
		nic_hold(c, nic->network ? networks_find(ns, nic->network) : NULL, tap);
}

int networks_tap(
	struct networks *ns, const struct network_nic *nic, struct tap *tap, int *fd, struct err *e)
{
	_cleanup_(free_ptr) char *alias = nic_alias(nic->vm, nic->nic);
	struct rtnl *rtnl = networks_rtnl(ns, e);
	int r;

	*fd = -1;
	if (!rtnl)
		return e->number;
	r = tap_open(rtnl, alias, tap, e);
	if (r < 0)
		return r;
	networks_hold(ns, nic, tap);
	*fd = r;
	return 0;
}

/* A foreign bridge is used as it is. */
static int nic_foreign_bridge(struct networks *ns, const char *bridge, int *index, struct err *e)
{
	struct rtnl *rtnl = networks_rtnl(ns, e);
	struct net_link l;

	if (!rtnl || rtnl_link(rtnl, bridge, &l, e) < 0)
		return e->number;
	*index = l.index;
	if (l.index && streq(l.kind, "bridge"))
		return 0;
	if (l.index) {
		err_set(e, ERR_CONFLICT, "'%s' is an interface, but not a bridge", bridge);
		return err_hint(e, "write the name of a bridge, or Network= instead");
	}
	err_set(e, ERR_NOT_FOUND, "there is no bridge '%s'", bridge);
	return err_hint(
		e, "create it (ip link add %s type bridge), or write Network= instead", bridge);
}

int networks_bridge(struct networks *ns, const char *bridge, struct err *e)
{
	int index;

	return nic_foreign_bridge(ns, bridge, &index, e);
}

static int nic_bridge_of(struct networks *ns, const struct claim *c, struct network **n, int *index,
	unsigned *mtu, struct err *e)
{
	*index = 0;
	*mtu = 0;
	*n = NULL;
	if (!c->network)
		return nic_foreign_bridge(ns, c->bridge, index, e);
	*n = networks_find(ns, c->network);
	if (*n)
		network_repair(*n, false);
	if (!*n || (*n)->state != NETWORK_UP)
		return err_set(e, ERR_WRONG_STATE, "network '%s' is not up", c->network);
	*index = (*n)->bridge_index;
	*mtu = (*n)->plan.mtu;
	return 0;
}

/* Writes its host line, then calls port; n: the network, NULL: a foreign bridge. */
static int nic_serve(struct networks *ns, const struct claim *c, const struct tap *tap,
	port_fn *port, struct network **n, struct err *e)
{
	int bridge, r;
	unsigned mtu;

	r = nic_bridge_of(ns, c, n, &bridge, &mtu, e);
	if (r == 0 && *n)
		r = host_line_write(*n, c, e);
	return r == 0 ? port(ns, c, tap, bridge, mtu, e) : r;
}

int networks_join(
	struct networks *ns, const struct network_nic *nic, const struct tap *tap, struct err *e)
{
	struct claim *c = nic_claim_of(ns, nic, e);
	const struct dnsmasq_lease *l;
	struct network *n;

	if (!c || nic_serve(ns, c, tap, port_enslave, &n, e) < 0)
		return e->number;
	l = n ? leases_by_mac(n, c->mac) : NULL;
	c->expires_before = l ? l->expires : 0;
	nic_attach(c, n, tap);
	return 0;
}

void networks_rejoin(struct networks *ns, const struct network_nic *nic, struct tap *tap)
{
	struct err e = ERR_INIT;
	struct claim *c = nic_claim_of(ns, nic, &e);
	struct network *n;

	if (!tap->index)
		networks_hold(ns, nic, tap);
	if (!c || nic_serve(ns, c, tap, port_join_again, &n, &e) < 0)
		log_error(nic->vm, "nic %s: %s", nic->nic, e.text);
	if (c)
		nic_attach(c, n, tap);
}

int networks_link(
	struct networks *ns, const struct network_nic *nic, const struct tap *tap, struct err *e)
{
	struct claim *c = claims_find(ns, nic->vm, nic->nic);
	struct rtnl *rtnl = networks_rtnl(ns, e);

	if (c)
		c->link = nic->link;
	/* a network that comes up sets the taps of its NICs up */
	if (!c || !tap->index ||
		(nic->link && c->network && !(c->on && c->on->state == NETWORK_UP)))
		return 0;
	return rtnl ? rtnl_up(rtnl, tap->index, nic->link, e) : e->number;
}

const char *networks_tap_name(struct networks *ns, const struct tap *tap, char name[IFNAMSIZ])
{
	struct rtnl *rtnl = tap->index ? networks_rtnl(ns, NULL) : NULL;
	struct net_link l;

	if (!rtnl || rtnl_link_at(rtnl, tap->index, &l, NULL) < 0)
		return tap->name[0] ? memcpy(name, tap->name, IFNAMSIZ) : NULL;
	return l.index ? memcpy(name, l.name, IFNAMSIZ) : NULL;
}

static void nic_remove_tap(
	struct networks *ns, const char *vm, const char *nic, const struct tap *tap)
{
	_cleanup_(free_ptr) char *alias = nic_alias(vm, nic);
	struct err e = ERR_INIT;
	struct rtnl *rtnl = networks_rtnl(ns, &e);
	const int r = rtnl ? tap_remove(rtnl, alias, tap, &e) : e.number;

	if (r > 0)
		log_warning(vm, "nic %s: QEMU left its tap '%s' behind: deleted", nic, tap->name);
	else if (r < 0)
		log_error(vm, "nic %s: %s", nic, e.text);
}

void networks_leave(struct networks *ns, const char *vm, const char *nic, const struct tap *tap)
{
	struct claim *c = claims_find(ns, vm, nic);
	struct network *n;

	if (tap->name[0])
		nic_remove_tap(ns, vm, nic, tap);
	if (!c)
		return;
	/* includes a line that was written before this daemon started */
	n = c->on || !c->network ? c->on : networks_find(ns, c->network);
	if (n)
		host_line_remove(n, c);
	c->attached = false;
	c->on = NULL;
	c->tap = (struct tap){ 0 };
	door_leave(ns);
}

static void nic_unclaim(struct networks *ns, const char *vm,
	void (*dropped)(struct networks *ns, const uint8_t mac[ETH_ALEN]))
{
	for (struct claim *c = ns->claims, *next; c; c = next) {
		uint8_t mac[ETH_ALEN];

		next = c->next;
		if (!streq(c->vm, vm))
			continue;
		memcpy(mac, c->mac, ETH_ALEN);
		networks_leave(ns, c->vm, c->nic, &(struct tap){ 0 });
		claim_remove(ns, c);
		if (dropped)
			dropped(ns, mac);
	}
}

void networks_unclaim(struct networks *ns, const char *vm)
{
	nic_unclaim(ns, vm, NULL);
}

/* Wherever it has one: the NIC may have been moved between networks. */
static void nic_end_leases(struct networks *ns, const uint8_t mac[ETH_ALEN])
{
	if (networks_mac_taken(ns, mac, ""))
		return;
	for (struct network *n = ns->list; n; n = n->next)
		leases_end(n, mac);
}

void networks_forget(struct networks *ns, const char *vm)
{
	nic_unclaim(ns, vm, nic_end_leases);
}
