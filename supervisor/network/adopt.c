/* SPDX-License-Identifier: MIT */
/*
 * Adopts what is up, by its record or without one: RUN may be lost while guests run. A bridge is
 * identified by its alias and has the network's address, and a dnsmasq is identified by its uid and
 * program.
 */
#include <dirent.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/log.h"
#include "conf/load.h"
#include "supervisor/network/files.h"
#include "supervisor/network/private.h"

/* Prefers the bridge's actual address over a saved one, because the guests' addresses come from
 * it. */
static struct net_choice adopt_choice_of(
	const struct network *n, const struct net_link *l, const struct net_facts *facts)
{
	struct net_choice c = n->choice;
	const struct net_prefix *first = NULL;

	if (!c.prefix || memcmp(c.mac, l->mac, ETH_ALEN) != 0)
		memcpy(c.bridge, l->name, sizeof c.bridge);
	memcpy(c.mac, l->mac, ETH_ALEN);
	for (size_t i = 0; i < facts->prefixes; i++) {
		const struct net_prefix *p = &facts->prefix[i];

		if (p->route || p->index != l->index)
			continue;
		if (p->address == n->choice.address && p->prefix == n->choice.prefix)
			return c;
		first = first ? first : p;
	}
	if (first) {
		c.address = first->address;
		c.prefix = first->prefix;
	}
	return c;
}

/* A running dnsmasq already has the port, so read from its configuration whether it answers DNS. */
static bool adopt_answers_dns(const struct network *n)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/dnsmasq.conf", n->dir);
	_cleanup_(buf_release) struct buf b = BUF_MAX(65536);
	bool runs = false;

	for (const struct dnsmasq_seen *s = n->ns->seen; s; s = s->next)
		runs |= streq(s->network, n->name);
	file_read(AT_FDCWD, path, &b, NULL);
	if (runs)
		return n->conf.dns && !(b.data && strstr(b.data, "\nport=0\n"));
	return n->conf.dns && dnsmasq_port_free(n->plan.choice.address);
}

static void adopt_take_bridge_back(
	struct network *n, const struct net_link *l, const struct net_facts *facts)
{
	const struct net_choice c = adopt_choice_of(n, l, facts);
	struct err e = ERR_INIT;

	n->choice = c;
	if (!c.prefix) { /* the bridge was made, but nothing else yet */
		network_up(n);
		return;
	}
	log_warning(
		NULL, "network %s: bridge '%s' exists, but its record is lost", n->name, l->name);
	net_plan_again(&n->plan, &n->conf, &c, facts);
	n->dns = adopt_answers_dns(n);
	network_need_uid(n, true);
	if (choice_save(n, &e) < 0 || record_save(n, &e) < 0)
		log_error(NULL, "network %s: %s", n->name, e.text);
	network_adopt(n, 0, 0);
}

static void adopt_take_bridges_back(struct networks *ns)
{
	_cleanup_(net_facts_release) struct net_facts facts = NET_FACTS_INIT;
	struct rtnl *rtnl = networks_rtnl(ns, NULL);
	char name[64];

	if (rtnl && rtnl_facts(rtnl, &facts, NULL) == 0) {
		facts.owner = ns->owner;
		for (size_t i = 0; i < facts.links; i++) {
			const struct net_link *l = &facts.link[i];
			struct network *n;

			if (!streq(l->kind, "bridge") ||
				!net_alias_network(l->alias, ns->owner, name, sizeof name) ||
				!conf_name_ok(name))
				continue;
			n = networks_add(ns, name);
			if (n->state == NETWORK_DOWN)
				adopt_take_bridge_back(n, l, &facts);
		}
	}
}

/* Kills every dnsmasq that belongs to no network: one without its bridge is useless, and of two for
 * the same network, one is superfluous. */
static void adopt_end_strays(struct networks *ns)
{
	for (const struct dnsmasq_seen *one = ns->seen; one; one = one->next) {
		const struct network *n = networks_find(ns, one->network);

		if (!n || n->dnsmasq.pid != one->pid)
			dnsmasq_end_stray(one, ns->run, ns->dirs.jail);
	}
}

static void adopt_take_back(struct networks *ns, const char *name)
{
	struct network *n = networks_add(ns, name);
	bool same_boot;
	uint64_t start;
	pid_t pid;

	if (n->state != NETWORK_DOWN || !record_load(n, &pid, &start, &same_boot))
		return;
	if (same_boot) {
		n->choice = n->plan.choice;
		network_adopt(n, pid, start);
		return;
	}
	/* the host has rebooted: nothing of it is left */
	record_remove(n);
	file_remove_tree(AT_FDCWD, n->dir, NULL);
}

int networks_adopt(struct networks *ns, struct err *e)
{
	_cleanup_(close_dir) DIR *dir = opendir(ns->run);

	if (!dir)
		return err_errno(e, "read '%s'", ns->run);
	ns->seen = dnsmasq_look(ns->run, ns->dirs.jail);
	for (struct dirent *d; (d = readdir(dir));) {
		const size_t len = strlen(d->d_name);
		_cleanup_(free_ptr) char *name = NULL;

		if (len <= 5 || !streq(d->d_name + len - 5, ".json"))
			continue;
		name = xstrndup(d->d_name, len - 5);
		if (conf_name_ok(name))
			adopt_take_back(ns, name);
	}
	adopt_take_bridges_back(ns);
	adopt_end_strays(ns);
	dnsmasq_seen_free(ns->seen);
	ns->seen = NULL;
	return 0;
}

/* ---- at run time ---- */

static void adopt_write_again(struct network *n)
{
	struct err e = ERR_INIT;
	bool lost;

	if (n->state != NETWORK_UP && !(n->state == NETWORK_RAISING && n->plan.choice.prefix))
		return;
	/* nothing tells of this loss again once it is up */
	if (!choice_stands(n) && choice_save(n, &e) < 0)
		log_error(NULL, "network %s: %s", n->name, e.text);
	if (n->state == NETWORK_RAISING)
		return;
	err_clear(&e);
	if (record_save(n, &e) < 0)
		log_error(NULL, "network %s: %s", n->name, e.text);
	if (n->dnsmasq.state != DNSMASQ_UP)
		return; /* its next start writes everything */
	lost = leases_rescue(n);
	lost |= network_serve_files(n);
	if (!lost)
		return;
	log_warning(NULL, "network %s: dnsmasq had lost its files, restarting it", n->name);
	dnsmasq_restart(&n->dnsmasq);
}

void networks_write_again(struct networks *ns)
{
	struct err e = ERR_INIT;

	if (network_dir(ns->run, 0700, &e) < 0 || network_dir(ns->state, 0700, &e) < 0)
		log_error(NULL, "networks: %s", e.text);
	networks_watch_files(ns);
	door_mark(ns);
	for (struct network *n = ns->list; n; n = n->next)
		adopt_write_again(n);
}

void networks_settled(void *data)
{
	struct networks *ns = data;

	if (ns->resolv_changed)
		resolv_changed(ns);
	if (ns->files_lost)
		networks_write_again(ns);
	ns->files_lost = false;
	for (struct network *n = ns->list; n; n = n->next) {
		if (!n->leases_changed)
			continue;
		n->leases_changed = false;
		leases_read(n);
		networks_changed(ns, n->name, NETWORKS_LEASE);
	}
}
