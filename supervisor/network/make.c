/* SPDX-License-Identifier: MIT */
/*
 * The parts of a network, each made or removed on its own; state.c decides when.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "net/nft.h"
#include "supervisor/host/uids.h"
#include "supervisor/network/files.h"
#include "supervisor/network/private.h"

/* change false: only opens it. */
static int make_ip_forward(bool on, bool change, struct err *e)
{
	_cleanup_(close_fd) int fd =
		open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || (change && write(fd, on ? "1" : "0", 1) != 1))
		return err_errno(e, "set ip_forward to %d", on);
	return 0;
}

int network_ip_forward(bool on, struct err *e)
{
	return make_ip_forward(on, true, e);
}

int network_ip_forward_may(struct err *e)
{
	return make_ip_forward(true, false, e);
}

bool network_forwards(void)
{
	char c[4];

	return file_peek(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", c, sizeof c) <= 0 ||
	       c[0] != '0';
}

int network_make_bridge(struct network *n, struct err *e)
{
	const struct net_choice *c = &n->plan.choice;
	struct rtnl *rtnl = networks_rtnl(n->ns, e);
	int r;

	if (!rtnl)
		return e->number;
	r = rtnl_bridge(rtnl, c->bridge, c->mac, n->plan.mtu, &n->bridge_index, e);
	if (r < 0)
		return r;
	r = rtnl_alias(rtnl, n->bridge_index, n->plan.alias, e);
	if (r == 0)
		r = rtnl_address(rtnl, n->bridge_index, c->address, c->prefix, e);
	/* No IPv6 on the host's side of the bridge: the host would accept router advertisements
	 * from guests. ARP is answered for the bridge's own address only: the host's other
	 * addresses do not concern guests. */
	tap_sysctl(c->bridge, "ipv6", "disable_ipv6", "1");
	tap_sysctl(c->bridge, "ipv4", "arp_ignore", "1");
	return r < 0 ? err_wrap(e, r, "bridge '%s'", c->bridge) : 0;
}

bool network_is_ours(const struct network *n, const struct net_link *l)
{
	return l->index && (memcmp(l->mac, n->plan.choice.mac, ETH_ALEN) == 0 ||
				   streq(l->alias, n->plan.alias));
}

int network_look(struct network *n, struct net_link *l, struct err *e)
{
	const struct net_choice *c = &n->plan.choice;
	_cleanup_(net_facts_release) struct net_facts facts = NET_FACTS_INIT;
	struct rtnl *rtnl = networks_rtnl(n->ns, e);
	int r = rtnl ? rtnl_link(rtnl, c->bridge, l, e) : e->number;

	if (r < 0 || network_is_ours(n, l))
		return r;
	r = rtnl_facts(rtnl, &facts, e);
	for (size_t i = 0; r == 0 && i < facts.links; i++)
		if (streq(facts.link[i].kind, "bridge") &&
			streq(facts.link[i].alias, n->plan.alias) &&
			memcmp(facts.link[i].mac, c->mac, ETH_ALEN) == 0)
			*l = facts.link[i];
	return r;
}

bool network_others_stand(const struct network *n)
{
	_cleanup_(net_facts_release) struct net_facts facts = NET_FACTS_INIT;

	if (n->ns->rtnl && rtnl_facts(n->ns->rtnl, &facts, NULL) == 0)
		for (size_t i = 0; i < facts.links; i++)
			if (facts.link[i].index != n->bridge_index &&
				strncmp(facts.link[i].alias, "vmkeep:network:", 15) == 0)
				return true;
	return false;
}

void network_delete_bridge(struct network *n)
{
	const struct net_choice *c = &n->plan.choice;
	struct err e = ERR_INIT;
	struct net_link l = { 0 };

	if (network_look(n, &l, &e) == 0 && network_is_ours(n, &l))
		rtnl_delete(n->ns->rtnl, l.index, &e);
	if (e.number)
		log_error(NULL, "network %s: delete bridge '%s': %s", n->name, c->bridge, e.text);
	n->bridge_index = 0;
}

static int make_run_nft(struct network *n, const char *text, network_done_fn *done, struct err *e)
{
	network_nft_cancel(n->nft);
	n->nft = network_run_nft(n->ns, n->name, text, done, n, e);
	return n->nft ? 0 : e->number;
}

void network_rules(const struct network *n, const struct net_plan *plan, bool dns, struct buf *text)
{
	struct nft_network rules = { .table = plan->table,
		.bridge = plan->choice.bridge,
		.address = plan->choice.address,
		.prefix = plan->choice.prefix,
		.dhcp = n->conf.dhcp,
		.dns = dns };

	memcpy(rules.mac, plan->choice.mac, ETH_ALEN);
	nft_rules(text, &rules);
}

int network_load_rules(struct network *n, network_done_fn *done, struct err *e)
{
	_cleanup_(buf_release) struct buf text = BUF_INIT;
	int r;

	door_put(n->ns, &text);
	network_rules(n, &n->plan, n->dns, &text);
	r = make_run_nft(n, text.data, done, e);
	if (r < 0)
		door_not_loaded(n->ns);
	return r;
}

int network_drop_rules(struct network *n, network_done_fn *done, struct err *e)
{
	_cleanup_(buf_release) struct buf text = BUF_INIT;
	bool last;
	int r;

	nft_delete(&text, n->plan.table);
	last = door_take(n, &text);
	r = make_run_nft(n, text.data, done, e);
	if (r < 0 && last)
		door_taken(n->ns, e);
	return r;
}

/* The resolvers that guests are told to use if dnsmasq does not answer DNS. */
static size_t make_other_resolvers(struct network *n, char text[][NET_IP_TEXT], const char **server)
{
	uint32_t address[DNSMASQ_SERVERS_MAX];
	_cleanup_(buf_release) struct buf b = BUF_MAX(65536);
	size_t found = 0;

	if (file_read(AT_FDCWD, "/etc/resolv.conf", &b, NULL) == 0 && b.data)
		found = dnsmasq_resolvers(b.data, address, DNSMASQ_SERVERS_MAX);
	if (!found)
		log_warning(NULL, "network %s: guests get no name server", n->name);
	for (size_t i = 0; i < found; i++)
		server[i] = net_ip(text[i], address[i], 0);
	return found;
}

static bool make_uid_taken(const struct network *n, uid_t uid)
{
	for (const struct network *o = n->ns->list; o; o = o->next)
		if (o != n && o->uid == uid)
			return true;
	return uids_of_host(uid, 1);
}

bool network_need_uid(struct network *n, bool stands)
{
	const struct uids *u = n->ns->dirs.uids;
	bool keep = n->uid && (stands || (n->uid >= u->networks && n->uid < u->networks_end));

	keep = keep && !make_uid_taken(n, n->uid);
	if (!keep)
		n->uid = u->networks;
	while (!keep && make_uid_taken(n, n->uid))
		n->uid++;
	n->dnsmasq.uid = n->uid;
	return !keep;
}

/* *changed: a running dnsmasq, perhaps of an older daemon, has read something else. */
static int make_dnsmasq_conf(struct network *n, bool *changed, struct err *e)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/dnsmasq.conf", n->dir);
	_cleanup_(free_ptr) char *hosts = xasprintf("%s/hosts", n->dir);
	_cleanup_(free_ptr) char *resolv = resolv_path(n);
	char text[DNSMASQ_SERVERS_MAX][NET_IP_TEXT];
	const char *others[DNSMASQ_SERVERS_MAX];
	struct dnsmasq_conf c = {
		.bridge = n->plan.choice.bridge,
		.domain = n->conf.domain,
		.hosts_dir = hosts,
		.resolv_file = resolv,
		.prefix = n->plan.choice.prefix,
		.mtu = n->plan.mtu,
		.lease_ms = n->conf.lease_ms,
		.dhcp = n->conf.dhcp,
		.dns = n->dns,
		.server = n->conf.forward.item,
		.servers = n->conf.forward.n,
	};
	_cleanup_(buf_release) struct buf b = BUF_INIT;
	unsigned prefix;
	int r;

	r = leases_place(n, e);
	if (r < 0)
		return r;
	c.lease_file = n->lease_file;
	network_pool(n, &c.address, &prefix, &c.first, &c.last);
	if (!c.dns && !c.servers) {
		c.servers = make_other_resolvers(n, text, others);
		c.server = others;
	}
	dnsmasq_conf(&b, &c);
	*changed |= !network_file_is(path, b.data);
	r = network_put(path, 0644, b.data, b.len, e);
	return r < 0 ? r : resolv_copy(n, e);
}

int network_write_files(struct network *n, bool *changed, struct err *e)
{
	int r = host_dirs_make(n, changed, e);

	if (r == 0)
		r = host_lines_write(n, e);
	return r < 0 ? r : make_dnsmasq_conf(n, changed, e);
}

int network_prepare_dnsmasq(void *data, struct err *e)
{
	bool changed;

	return network_write_files(data, &changed, e);
}
