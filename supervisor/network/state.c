/* SPDX-License-Identifier: MIT */
/*
 * Brings networks up and down. What is fast (links, /proc) is done synchronously; nft and dnsmasq
 * run in parallel, and the network is up when both are done.
 */
#include <fcntl.h>

#include "base/file.h"
#include "base/log.h"
#include "net/nft.h"
#include "supervisor/network/private.h"

static void state_undo_rest(struct network *n);

static void state_check_up(struct network *n)
{
	char ip[NET_IP_TEXT];

	if (n->state != NETWORK_RAISING || n->nft || n->ns->door.state != DOOR_SHUT)
		return;
	if (n->dnsmasq.state ==
		DNSMASQ_STOPPING) /* the previous dnsmasq must have terminated first */
		return;
	if (n->plan.step[NET_STEP_DNSMASQ] && n->dnsmasq.state != DNSMASQ_UP &&
		n->dnsmasq.state != DNSMASQ_MISSING)
		return;
	n->state = NETWORK_UP;
	log_info(NULL, "network %s: up (bridge '%s', %s)", n->name, n->plan.choice.bridge,
		net_ip(ip, n->plan.choice.address, n->plan.choice.prefix));
	network_join_all(n);
	waits_answer(n, true, NULL);
	networks_changed(n->ns, n->name, NETWORKS_UP);
	if (waits_any(n, false))
		network_down(n);
}

static void state_give_up(struct network *n, const struct err *e)
{
	err_copy(&n->failure, e);
	err_wrap(&n->failure, n->failure.number, "network '%s'", n->name);
	log_error(NULL, "%s", n->failure.text);
	network_down(n);
}

static void state_on_rules(void *data, const struct err *e)
{
	struct network *n = data;

	n->nft = NULL;
	if (e) {
		state_give_up(n, e);
		return;
	}
	door_loaded(n->ns);
	state_check_up(n);
}

void network_door_moved(struct network *n, const struct err *e)
{
	if (e && n->state == NETWORK_RAISING)
		state_give_up(n, e);
	else if (n->state == NETWORK_RAISING)
		state_check_up(n);
	else if (n->state == NETWORK_UP && (e || n->ns->door.state == DOOR_SHUT))
		waits_answer(n, true, e);
}

int network_plan(struct network *n, struct net_plan *plan, struct err *e)
{
	struct rtnl *rtnl = networks_rtnl(n->ns, e);
	_cleanup_(net_facts_release) struct net_facts facts = NET_FACTS_INIT;
	int r = rtnl ? rtnl_facts(rtnl, &facts, e) : e->number;

	facts.owner = n->ns->owner;
	for (struct network *o = n->ns->list; r == 0 && o; o = o->next)
		if (o != n)
			net_facts_reserve(&facts, o->name, o->choice.bridge, o->choice.address,
				o->choice.prefix);
	return r < 0 ? r : net_plan(plan, &n->conf, &n->choice, &facts, e);
}

static int state_plan(struct network *n, struct err *e)
{
	struct net_choice before = n->choice;
	const bool another_uid = network_need_uid(n, false);
	int r = network_plan(n, &n->plan, e);

	if (r < 0)
		return r;
	if (n->plan.note[0])
		log_warning(NULL, "network %s: %s", n->name, n->plan.note);
	n->choice = n->plan.choice;
	/* the file may have been lost while the network was down */
	if (another_uid || !net_choice_equal(&before, &n->choice) || !choice_stands(n)) {
		struct err mine = ERR_INIT;

		/* not fatal: guests can still use it; leases have the same problem, which health
		 * reports */
		if (choice_save(n, &mine) < 0)
			log_error(NULL, "network %s: cannot save its settings: %s", n->name,
				mine.text);
	}
	n->raised_stamp = n->stamp;
	return 0;
}

static int state_make(struct network *n, struct err *e)
{
	int r = state_plan(n, e);

	if (r < 0) {
		n->plan = (struct net_plan){ 0 };
		return r;
	}
	n->dns = n->conf.dns && dnsmasq_port_free(n->plan.choice.address);
	if (n->conf.dns && !n->dns)
		log_warning(NULL,
			"network %s: port 53 is taken by another name server on this host: guests use the "
			"host's resolvers and cannot resolve each other's names (see: ss -lnp sport = :53)",
			n->name);
	r = record_may(n, e);
	if (r == 0)
		r = record_save(n, e);
	if (r == 0 && n->plan.step[NET_STEP_FORWARD])
		r = network_ip_forward(true, e);
	if (r == 0)
		r = network_make_bridge(n, e);
	if (r == 0)
		r = network_load_rules(n, state_on_rules, e);
	if (r < 0 || !n->plan.step[NET_STEP_DNSMASQ])
		return r;
	leases_read(n);
	r = file_remove_tree(AT_FDCWD, n->dir, e); /* files of an earlier dnsmasq */
	if (r == 0)
		dnsmasq_start(&n->dnsmasq);
	return r;
}

static void state_begin(struct network *n)
{
	struct err e = ERR_INIT;

	if (state_make(n, &e) < 0 && n->state == NETWORK_RAISING)
		state_give_up(n, &e);
}

/* A dnsmasq left by a killed daemon is stopped first: it holds port 53, and its configuration is
 * old. */
void network_up(struct network *n)
{
	n->state = NETWORK_RAISING;
	err_clear(&n->failure);
	if (dnsmasq_adopt(&n->dnsmasq, 0, 0, NULL))
		dnsmasq_stop(&n->dnsmasq);
	else
		state_begin(n);
}

void network_dnsmasq_event(void *data, enum dnsmasq_event event, const struct err *e)
{
	struct network *n = data;
	struct err mine = ERR_INIT;

	switch (event) {
	case DNSMASQ_NEW_PID:
		if (record_save(n, &mine) < 0)
			log_error(NULL, "network %s: %s", n->name, mine.text);
		return;
	case DNSMASQ_READY:
		state_check_up(n);
		return;
	case DNSMASQ_FAILED:
		state_give_up(n, e);
		return;
	case DNSMASQ_STOPPED:
		if (n->state == NETWORK_RAISING)
			state_begin(n);
		else
			state_undo_rest(n);
		return;
	}
}

/* ---- down ---- */

/* If another network of ours still needs ip_forward, that network gets the duty to turn it off. */
static bool state_pass_forward_duty(struct network *n)
{
	struct err e = ERR_INIT;

	for (struct network *o = n->ns->list; o; o = o->next) {
		if (o == n || !o->plan.step[NET_STEP_BRIDGE])
			continue;
		o->plan.step[NET_STEP_FORWARD] = true;
		if (record_save(o, &e) < 0)
			log_error(NULL, "network %s: %s", o->name, e.text);
		return true;
	}
	return false;
}

/* Call after the bridge is gone. */
static void state_restore_forward(struct network *n)
{
	struct err e = ERR_INIT;

	if (state_pass_forward_duty(n))
		return;
	if (network_others_stand(n)) /* of another daemon on this host, perhaps for tests */
		log_info(NULL, "network %s: ip_forward stays on for another vmkeepd", n->name);
	else if (network_ip_forward(false, &e) < 0)
		log_error(NULL, "network %s: %s", n->name, e.text);
}

static void state_finish_down(struct network *n)
{
	const bool failed = n->failure.number != 0;
	struct err e = ERR_INIT;

	if (n->plan.step[NET_STEP_BRIDGE])
		network_delete_bridge(n);
	if (n->plan.step[NET_STEP_FORWARD])
		state_restore_forward(n);
	if (file_remove_tree(AT_FDCWD, n->dir, &e) < 0)
		log_error(NULL, "network %s: %s", n->name, e.text);
	record_remove(n);
	n->plan = (struct net_plan){ 0 };
	n->state = NETWORK_DOWN;
	waits_answer(n, false, NULL);
	if (failed)
		waits_answer(n, true, &n->failure);
	else
		log_info(NULL, "network %s: down", n->name);
	networks_changed(n->ns, n->name, NETWORKS_DOWN);
	door_leave(n->ns);
	if (waits_any(n, true))
		network_up(n);
}

static void state_on_rules_gone(void *data, const struct err *e)
{
	struct network *n = data;
	struct networks *ns = n->ns;

	n->nft = NULL;
	n->table_left = e;
	if (e)
		log_error(NULL, "network %s: table '%s' may still exist: %s", n->name,
			n->plan.table, e->text);
	state_finish_down(n);
	if (ns->door.taker == n)
		door_taken(ns, e);
}

static void state_undo_rest(struct network *n)
{
	struct err e = ERR_INIT;

	if (!n->plan.step[NET_STEP_RULES])
		state_finish_down(n);
	else if (network_drop_rules(n, state_on_rules_gone, &e) < 0)
		state_on_rules_gone(n, &e);
}

void network_down(struct network *n)
{
	n->state = NETWORK_STOPPING;
	network_taps_down(n);
	network_nft_cancel(n->nft);
	n->nft = NULL;
	dnsmasq_stop(&n->dnsmasq);
}

/* ---- after a restart of the daemon ---- */

static void state_on_rules_again(void *data, const struct err *e)
{
	struct network *n = data;

	n->nft = NULL;
	if (e) {
		log_error(
			NULL, "network %s: its rules could not be restored: %s", n->name, e->text);
		return;
	}
	door_loaded(n->ns);
	network_door_moved(n, NULL);
}

/* *recreated: the bridge was gone, or renamed, so dnsmasq must be restarted. */
static int state_restore(struct network *n, bool *recreated, struct err *e)
{
	const struct net_choice *c = &n->plan.choice;
	struct net_link l;
	int r = network_look(n, &l, e);

	if (r < 0)
		return r;
	*recreated = !l.index;
	if (l.index && !network_is_ours(n, &l)) {
		n->plan.step[NET_STEP_BRIDGE] = false;
		return err_set(e, ERR_CONFLICT, "bridge '%s' is no longer ours", c->bridge);
	}
	if (l.index && !streq(l.name, c->bridge)) {
		/* rules and dnsmasq's configuration refer to it by name */
		log_warning(NULL, "network %s: bridge '%s' had been renamed to '%s': renamed back",
			n->name, c->bridge, l.name);
		*recreated = true;
		if (rtnl_rename(n->ns->rtnl, l.index, c->bridge, e) < 0)
			return err_class(e, ERR_CONFLICT);
	}
	r = network_ip_forward(true, e);
	if (r == 0)
		r = network_make_bridge(n, e);
	if (r == 0)
		r = network_load_rules(n, state_on_rules_again, e);
	return r;
}

bool network_serve_files(struct network *n)
{
	_cleanup_(free_ptr) char *hosts = xasprintf("%s/hosts", n->dir);
	const char *before = n->lease_file;
	struct err e = ERR_INIT;
	bool changed = false;

	if (network_write_files(n, &changed, &e) < 0)
		log_error(NULL, "network %s: %s", n->name, e.text);
	return changed || n->lease_file != before || !dnsmasq_sees(&n->dnsmasq, hosts);
}

static void state_adopt_dnsmasq(struct network *n, pid_t pid, uint64_t start, bool recreated)
{
	const char *why = recreated ? "served a bridge that is gone" : NULL;
	struct err e = ERR_INIT;
	bool lost = false;

	if (!n->plan.step[NET_STEP_DNSMASQ])
		return;
	if (network_need_uid(n, true) && choice_save(n, &e) < 0)
		log_error(NULL, "network %s: %s", n->name, e.text);
	if (!dnsmasq_adopt(&n->dnsmasq, pid, start, n->ns->seen))
		why = "is gone";
	else
		lost = leases_rescue(n);
	leases_read(n);
	/* the previous daemon may have died before it created the directories, or been an older
	 * version; and resolv.conf may have changed meanwhile */
	lost |= network_serve_files(n);
	if (!why && lost)
		why = "had lost its files, or has read an older configuration";
	if (!why)
		return;
	log_warning(NULL, "network %s: dnsmasq %s, restarting it", n->name, why);
	dnsmasq_restart(&n->dnsmasq);
}

void network_adopt(struct network *n, pid_t pid, uint64_t start)
{
	struct err e = ERR_INIT;
	bool recreated = false;

	n->state = NETWORK_UP;
	if (state_restore(n, &recreated, &e) < 0) {
		dnsmasq_adopt(&n->dnsmasq, pid, start, n->ns->seen);
		state_give_up(n, &e);
		return;
	}
	state_adopt_dnsmasq(n, pid, start, recreated);
	if (recreated)
		log_warning(NULL, "network %s: bridge '%s' was gone and has been recreated",
			n->name, n->plan.choice.bridge);
	log_info(NULL, "network %s: adopted (bridge '%s')", n->name, n->plan.choice.bridge);
}

/* ---- while it is up ---- */

bool network_stands(const struct network *n)
{
	const struct net_choice *c = &n->plan.choice;
	struct rtnl *rtnl = networks_rtnl(n->ns, NULL);
	struct net_link l;

	if (!rtnl || rtnl_link(rtnl, c->bridge, &l, NULL) < 0)
		return true; /* as far as we can tell */
	return l.index == n->bridge_index && (l.flags & IFF_UP) &&
	       memcmp(l.mac, c->mac, ETH_ALEN) == 0;
}

bool network_rules_lost(const struct network *n)
{
	return n->state == NETWORK_UP && n->plan.step[NET_STEP_RULES] &&
	       (nft_is_lost(n->plan.table) || nft_is_lost(n->ns->door.table));
}

/* Whoever had port 53 when the network came up is gone. */
static bool state_gets_dns(struct network *n)
{
	if (!n->conf.dns || n->dns || !n->plan.step[NET_STEP_DNSMASQ] ||
		!dnsmasq_port_free(n->plan.choice.address))
		return false;
	log_info(NULL, "network %s: port 53 is free: guests get DNS as they renew their leases",
		n->name);
	n->dns = true;
	return true;
}

void network_repair(struct network *n, bool all)
{
	struct err e = ERR_INIT;
	bool recreated = false, dns;

	if (n->state != NETWORK_UP)
		return;
	dns = state_gets_dns(n);
	if (!network_stands(n))
		log_warning(NULL, "network %s: bridge '%s' is gone or down, recreating it", n->name,
			n->plan.choice.bridge);
	else if (!n->nft && network_rules_lost(n))
		log_warning(NULL, "network %s: its firewall rules are gone, loading them again",
			n->name);
	else if (!network_forwards())
		log_warning(
			NULL, "network %s: IP forwarding is off, switching it on again", n->name);
	else if (!all && !dns)
		return;
	if (state_restore(n, &recreated, &e) == 0) {
		/* the taps and dnsmasq's socket were lost with the old bridge */
		if ((recreated || dns) && n->plan.step[NET_STEP_DNSMASQ])
			dnsmasq_restart(&n->dnsmasq);
		if (recreated)
			network_join_all(n);
	} else if (e.class == ERR_CONFLICT) {
		state_give_up(n, &e);
	} else {
		/* nft failing now is no reason to cut off the guests */
		log_error(NULL, "network %s: %s", n->name, e.text);
	}
}
