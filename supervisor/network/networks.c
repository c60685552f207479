/* SPDX-License-Identifier: MIT */

#include "base/file.h"
#include "base/log.h"
#include "conf/load.h"
#include "supervisor/network/private.h"

/* A network that a user stopped is not a fault to repair. */
static void networks_tell_stray(void *p, const char *vm, bool stopped, const char *text)
{
	if (!stopped)
		conf_problem(p, &(struct conf_place){ 0 }, NULL, "VM %s: %s", vm, text);
}

void networks_repair(struct networks *ns, struct conf_problems *p)
{
	networks_write_again(ns);
	for (struct network *n = ns->list; n; n = n->next) {
		network_repair(n, true);
		if (n->state == NETWORK_UP)
			network_join_all(n);
	}
	ports_repair_foreign(ns);
	if (p)
		networks_strays(ns, NULL, networks_tell_stray, p);
	door_repair(ns);
}

struct networks *networks_new(struct ev_loop *ev, const struct networks_dirs *dirs)
{
	struct networks *ns = xcalloc(1, sizeof *ns);
	struct err e = ERR_INIT;

	ns->ev = ev;
	ns->dirs = *dirs;
	ns->state = xasprintf("%s/networks", dirs->state);
	ns->run = xasprintf("%s/networks", dirs->run);
	door_init(ns, dirs->run, network_door_moved);
	snprintf(ns->owner, sizeof ns->owner, "%s", host_owner(dirs->run));
	ns->inotify = -1;
	if (file_mkdirs(ns->run, 0700, &e) < 0 || file_mkdirs(ns->state, 0700, &e) < 0 ||
		watch_start(ns, networks_settled, &e) < 0)
		log_error(NULL, "networks: %s", e.text);
	networks_reload(ns, NULL);
	return ns;
}

void networks_free(struct networks *ns)
{
	if (!ns)
		return;
	while (ns->claims)
		claim_remove(ns, ns->claims);
	networks_drop_all(ns);
	door_release(ns);
	network_nft_end(ns);
	while (ns->answered)
		network_wait_cancel(ns->answered);
	watch_stop(ns);
	rtnl_free(ns->rtnl);
	free(ns->state);
	free(ns->run);
	free(ns);
}

static struct network_wait *networks_refuse(
	struct networks *ns, const struct err *e, network_done_fn *done, void *data)
{
	struct network_wait *w = wait_new(ns, NULL, true, done, data);

	wait_answer(w, e);
	return w;
}

struct network *networks_wanted(struct networks *ns, const char *network, struct err *e)
{
	struct network *n = networks_get(ns, network, e);

	if (!n || !n->broken || n->state != NETWORK_DOWN)
		return n;
	err_set(e, ERR_INVALID_CONFIG, "%s", n->broken);
	return NULL;
}

bool network_is_outdated(const struct network *n)
{
	const struct net_choice *c = &n->plan.choice;

	if (n->broken)
		return false;
	return (n->raised_stamp && n->raised_stamp != n->stamp) ||
	       (n->conf.subnet.set && (n->conf.subnet.address != c->address ||
					      n->conf.subnet.prefix != c->prefix)) ||
	       (n->conf.bridge && !streq(n->conf.bridge, c->bridge));
}

struct network_wait *networks_need(
	struct networks *ns, const char *network, network_done_fn *done, void *data)
{
	struct err e = ERR_INIT;
	struct network *n = network ? networks_wanted(ns, network, &e) : NULL;
	struct network_wait *w;

	if (network && !n)
		return networks_refuse(ns, &e, done, data);
	if (n)
		network_repair(n, false);
	w = wait_new(ns, n ? &n->waits : &ns->door.waits, true, done, data);
	if (n && n->state == NETWORK_DOWN)
		network_up(n);
	else if (n && n->state == NETWORK_UP && !network_attached(n) && network_is_outdated(n))
		network_down(n); /* and up again, because somebody waits for it */
	else if (n && n->state != NETWORK_UP)
		return w;
	else if (ns->door.state == DOOR_SHUT)
		wait_answer(w, NULL);
	else
		door_need(ns);
	return w;
}

int network_may_stop(const struct network *n, bool force, struct err *e)
{
	size_t nics = network_attached(n);

	if (!nics || force || n->state == NETWORK_DOWN)
		return 0;
	err_set(e, ERR_WRONG_STATE, "network '%s' is in use by %zu NIC%s", n->name, nics,
		nics == 1 ? "" : "s");
	return err_hint(
		e, "stop the VMs first, or disconnect them: vmkeep net stop --force %s", n->name);
}

struct network_wait *networks_stop(
	struct networks *ns, const char *network, bool force, network_done_fn *done, void *data)
{
	struct err e = ERR_INIT;
	struct network *n = networks_get(ns, network, &e);
	struct network_wait *w;

	if (!n || network_may_stop(n, force, &e) < 0)
		return networks_refuse(ns, &e, done, data);
	w = wait_new(ns, &n->waits, false, done, data);
	if (n->state == NETWORK_DOWN)
		wait_answer(w, NULL);
	else if (n->state == NETWORK_UP)
		network_down(n);
	return w;
}
