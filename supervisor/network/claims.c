/* SPDX-License-Identifier: MIT */
/*
 * Which NIC has which MAC, name and address. An address is derived from the MAC by a hash and then
 * kept. It is never the network's, the host's, another NIC's, or one that dnsmasq has leased to
 * somebody else.
 */
#include <ctype.h>
#include <strings.h>

#include "base/text.h"
#include "conf/load.h"
#include "supervisor/network/private.h"

void claim_remove(struct networks *ns, struct claim *c)
{
	struct claim **at = &ns->claims;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	free(c->vm);
	free(c->nic);
	free(c->hostname);
	free(c->network);
	free(c->bridge);
	free(c);
}

static struct claim *claims_by_address(
	struct networks *ns, const char *network, uint32_t address, const struct claim *but)
{
	for (struct claim *c = ns->claims; c; c = c->next)
		if (c != but && c->address == address && streq(c->network, network))
			return c;
	return NULL;
}

/* Its VM's file is gone and it does not run: it keeps its claims, because the file may come
 * back. */
static bool claims_has_vanished(const struct networks *ns, const struct claim *c)
{
	return !c->attached && !conf_vm_stamp(ns->dirs.config, c->vm);
}

/* Adds a hint if the holder's file is gone; e names the holder already. Returns r. */
static int claims_hint_at_holder(
	const struct networks *ns, const struct claim *holder, int r, struct err *e)
{
	if (claims_has_vanished(ns, holder))
		err_hint(e, "VM '%s' has no file: restore it, or vmkeep forget %s", holder->vm,
			holder->vm);
	return r;
}

static bool claims_lent_to_another(const struct network *n, const struct claim *c, uint32_t address)
{
	const struct dnsmasq_lease *l = leases_by_address(n, address);

	return l && memcmp(l->mac, c->mac, ETH_ALEN) != 0;
}

static int claims_check_fixed(struct network *n, const struct claim *c, struct err *e)
{
	uint32_t host, first, last, net;
	char ip[NET_IP_TEXT], sub[NET_IP_TEXT];
	const struct claim *o;
	unsigned prefix;

	net_ip(ip, c->address, 0);
	o = claims_by_address(n->ns, n->name, c->address, c);
	if (o)
		return claims_hint_at_holder(n->ns, o,
			err_set(e, ERR_CONFLICT, "address %s belongs to NIC '%s' of VM '%s'", ip,
				o->nic, o->vm),
			e);
	if (!network_pool(n, &host, &prefix, &first, &last))
		return 0;
	net = host & net_mask(prefix);
	net_ip(sub, net, prefix);
	if (c->address == host)
		return err_set(
			e, ERR_CONFLICT, "address %s is the host's in network '%s'", ip, n->name);
	if ((c->address & net_mask(prefix)) != net || c->address == net ||
		c->address == (net | ~net_mask(prefix)))
		return err_set(e, ERR_INVALID_CONFIG,
			"address %s is not a guest address in network '%s' (%s)", ip, n->name, sub);
	return 0;
}

/* Keeps a saved address as long as it is available. */
static bool claims_still_fits(
	struct network *n, const struct claim *c, uint32_t host, uint32_t first, uint32_t last)
{
	return c->address >= first && c->address <= last && c->address != host &&
	       !claims_by_address(n->ns, n->name, c->address, c);
}

/* Leases of addresses in the pool to MACs that no VM has. */
static size_t claims_strangers(const struct network *n, uint32_t first, uint32_t last)
{
	size_t strangers = 0;

	for (size_t i = 0; i < n->leases; i++) {
		const struct dnsmasq_lease *l = &n->lease[i];
		const struct claim *c = n->ns->claims;

		while (c && memcmp(c->mac, l->mac, ETH_ALEN) != 0)
			c = c->next;
		strangers += !c && l->address >= first && l->address <= last;
	}
	return strangers;
}

enum { NAMED_MAX = 5 };

static void claims_hint_at_full(struct network *n, uint32_t first, uint32_t last, struct err *e)
{
	const size_t strangers = claims_strangers(n, first, last);
	_cleanup_(buf_release) struct buf names = BUF_MAX(1024);
	const char *one = NULL;
	unsigned count = 0;

	for (const struct claim *c = n->ns->claims; c; c = c->next) {
		if (!c->address || !streq(c->network, n->name) || !claims_has_vanished(n->ns, c))
			continue;
		one = c->vm;
		if (count < NAMED_MAX)
			buf_printf(&names, "%s'%s'", count ? ", " : "", c->vm);
		count++;
	}
	if (!one && strangers)
		err_hint(e,
			"%zu of them leased by MACs of no VM, see vmkeep net leases %s; or give it a larger "
			"Address= or Range=",
			strangers, n->name);
	else if (!one)
		err_hint(e, "give it a larger Address= or Range=");
	else
		err_hint(e, "%s%s hold%s addresses, but no file: vmkeep forget %s", names.data,
			count > NAMED_MAX ? " and others" : "", count == 1 ? "s" : "", one);
}

static int claims_choose(struct network *n, struct claim *c, struct err *e)
{
	uint32_t host, first, last, size, start;
	char from[NET_IP_TEXT], to[NET_IP_TEXT];
	unsigned prefix;
	int r;

	if (!network_pool(n, &host, &prefix, &first, &last))
		return 0;
	if (claims_still_fits(n, c, host, first, last))
		return 0;
	size = last - first + 1;
	start = text_hash32(c->mac, ETH_ALEN) % size;
	for (uint32_t i = 0; i < size; i++) {
		const uint32_t address = first + (start + i) % size;

		if (address == host || claims_by_address(n->ns, n->name, address, c) ||
			claims_lent_to_another(n, c, address))
			continue;
		c->address = address;
		return 0;
	}
	c->address = 0;
	r = err_set(e, ERR_NO_RESOURCES, "network '%s' has no free address from %s to %s", n->name,
		net_ip(from, first, 0), net_ip(to, last, 0));
	claims_hint_at_full(n, first, last, e);
	return r;
}

static int claims_check_mac(struct networks *ns, const struct claim *c, struct err *e)
{
	char mac[TEXT_MAC];

	for (const struct claim *o = ns->claims; o; o = o->next)
		if (o != c && memcmp(o->mac, c->mac, ETH_ALEN) == 0)
			return claims_hint_at_holder(ns, o,
				err_set(e, ERR_CONFLICT, "MAC %s belongs to NIC '%s' of VM '%s'",
					text_mac(mac, c->mac), o->nic, o->vm),
				e);
	return 0;
}

static const struct claim *claims_by_name(struct networks *ns, const struct claim *c)
{
	for (const struct claim *o = ns->claims; o; o = o->next)
		if (o != c && streq(o->network, c->network) && *c->hostname &&
			strcasecmp(o->hostname, c->hostname) == 0)
			return o;
	return NULL;
}

/* The second NIC of a VM in the same network is named VM-NIC, unless it has a name of its own. */
static int claims_check_name(struct networks *ns, struct claim *c, struct err *e)
{
	const struct claim *o = claims_by_name(ns, c);

	if (o && streq(o->vm, c->vm)) {
		char *name = xasprintf("%.40s-%.22s", c->hostname, c->nic);

		for (char *p = name; *p; p++)
			*p = isalnum((unsigned char)*p) ? (char)tolower((unsigned char)*p) : '-';
		free(c->hostname);
		c->hostname = name;
		o = claims_by_name(ns, c);
	}
	if (!o)
		return 0;
	return claims_hint_at_holder(ns, o,
		err_set(e, ERR_CONFLICT,
			"the name '%s' belongs to NIC '%s' of VM '%s' in network '%s'", c->hostname,
			o->nic, o->vm, c->network),
		e);
}

int claim_check(struct networks *ns, struct claim *c, const char **key, struct err *e)
{
	struct network *n = c->network ? networks_find(ns, c->network) : NULL;
	int r;

	*key = "MACAddress";
	r = claims_check_mac(ns, c, e);
	if (r < 0 || !c->network)
		return r;
	if (!n) {
		*key = "Network";
		return networks_refuse_missing(ns->dirs.config, c->network, e);
	}
	*key = "HostName";
	r = claims_check_name(ns, c, e);
	if (r < 0)
		return r;
	*key = c->fixed ? "Address" : "Network";
	return c->fixed ? claims_check_fixed(n, c, e) : n->conf.dhcp ? claims_choose(n, c, e) : 0;
}

void claim_fill(struct claim *c, const struct network_nic *nic)
{
	free(c->hostname);
	free(c->network);
	free(c->bridge);
	c->hostname = xstrdup(nic->hostname ? nic->hostname : nic->vm);
	c->network = xstrdup(nic->network);
	c->bridge = xstrdup(nic->bridge);
	memcpy(c->mac, nic->mac, ETH_ALEN);
	c->fixed = nic->fixed;
	/* of a NIC that is there, the file tells only how it starts next time */
	if (!c->attached)
		c->link = nic->link;
	if (nic->address || !nic->network)
		c->address = nic->address;
}

int networks_claim(
	struct networks *ns, const struct network_nic *nic, uint32_t *address, struct err *e)
{
	struct claim *c = claims_find(ns, nic->vm, nic->nic);
	const bool is_new = !c;
	const char *key;
	int r;

	*address = 0;
	if (is_new) {
		c = xcalloc(1, sizeof *c);
		c->vm = xstrdup(nic->vm);
		c->nic = xstrdup(nic->nic);
		c->next = ns->claims;
		ns->claims = c;
	} else if (!streq(c->network, nic->network)) {
		c->address = 0;
	}
	claim_fill(c, nic);
	r = claim_check(ns, c, &key, e);
	if (r < 0) {
		/* a running NIC keeps its claim, so that nobody else gets it */
		if (!c->attached)
			claim_remove(ns, c);
		return r;
	}
	*address = c->address;
	return 0;
}

bool networks_mac_taken(struct networks *ns, const uint8_t mac[ETH_ALEN], const char *vm)
{
	for (const struct claim *c = ns->claims; c; c = c->next)
		if (memcmp(c->mac, mac, ETH_ALEN) == 0 && !streq(c->vm, vm))
			return true;
	return false;
}

bool networks_claimed(struct networks *ns, const char *vm)
{
	for (const struct claim *c = ns->claims; c; c = c->next)
		if (streq(c->vm, vm))
			return true;
	return false;
}

uint32_t networks_address_now(struct networks *ns, const struct network_nic *nic)
{
	const struct network *n = nic->network ? networks_find(ns, nic->network) : NULL;
	const struct dnsmasq_lease *l = n ? leases_by_mac(n, nic->mac) : NULL;
	uint32_t address;

	if (l && l->address != nic->address &&
		networks_address_seen(ns, nic->vm, nic->nic, &address))
		return address;
	return nic->address;
}

bool networks_address_seen(struct networks *ns, const char *vm, const char *nic, uint32_t *address)
{
	const struct claim *c = claims_find(ns, vm, nic);
	const struct dnsmasq_lease *l = c && c->on ? leases_by_mac(c->on, c->mac) : NULL;
	const struct network *n = c && c->network ? networks_find(ns, c->network) : NULL;
	const bool seen = l && claim_seen(c, l);

	*address = seen ? l->address : c ? c->address : 0;
	/* the next start chooses another */
	if (!seen && n && !c->attached && !network_has(n, *address))
		*address = 0;
	return seen;
}
