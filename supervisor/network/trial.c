/* SPDX-License-Identifier: MIT */
/*
 * For `check`: do nft and dnsmasq work? Both are run as a start would run them, nft with the rules
 * that it would set and -c, dnsmasq in its jail with --test. What to run is decided at once, so that
 * networks may come and go meanwhile.
 */
#include "net/nft.h"
#include "supervisor/core/confine.h"
#include "supervisor/host/uids.h"
#include "supervisor/network/private.h"

struct trial_item {	     /* of a NIC */
	char *nic, *network; /* network NULL: a foreign bridge */
	struct buf rules;    /* empty: none would be set */
	bool dnsmasq;
};

struct networks_trial {
	struct networks *ns;
	struct trial_item *item;
	size_t n, next;
	struct child *nft;
	struct confined *dnsmasq;
	struct loop_task later;
	networks_trial_fn *done;
	void *data;
};

static void trial_free(struct networks_trial *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->item[i].nic);
		free(t->item[i].network);
		buf_release(&t->item[i].rules);
	}
	loop_cancel(t->ns->ev, &t->later);
	free(t->item);
	free(t);
}

static void trial_end(struct networks_trial *t, struct err *e)
{
	const struct trial_item *i = &t->item[t->next];
	networks_trial_fn *done = t->done;
	void *data = t->data;
	_cleanup_(free_ptr) char *nic = NULL;

	if (e) {
		nic = xstrdup(i->nic);
		if (i->network)
			err_wrap(e, e->number, "network '%s'", i->network);
		err_wrap(e, e->number, "nic '%s'", i->nic);
	}
	trial_free(t);
	done(data, nic, e);
}

static void trial_run(struct networks_trial *t);

static void trial_on_dnsmasq(void *data, const struct child_result *r, const struct err *jail)
{
	struct networks_trial *t = data;
	struct err e = ERR_INIT;

	t->dnsmasq = NULL;
	if (jail || r->status != 0) {
		dnsmasq_failed(r->status, r->err, r->err_len, jail, &e);
		trial_end(t, &e);
		return;
	}
	t->next++;
	trial_run(t);
}

/* Without it, networks come up all the same: see process.c. */
static bool trial_dnsmasq(struct networks_trial *t)
{
	static const char *const argv[] = { "dnsmasq", "--test", "--conf-file=/dev/null", NULL };
	const struct child_options o = { .timeout = 10 };
	const struct networks *ns = t->ns;
	struct err e = ERR_INIT;
	json_t *plan = confine_plan(
		"dnsmasq", t->item[t->next].network, ns->dirs.uids->probe, ns->run, argv, &e);

	if (plan)
		t->dnsmasq = confine_run(
			ns->ev, ns->dirs.jail, plan, NULL, 0, &o, trial_on_dnsmasq, t, &e);
	return t->dnsmasq;
}

static void trial_go_on(struct networks_trial *t)
{
	if (t->item[t->next].dnsmasq && trial_dnsmasq(t))
		return;
	t->next++;
	trial_run(t);
}

static void trial_on_nft(void *data, const struct child_result *r)
{
	struct networks_trial *t = data;
	struct err e = ERR_INIT;

	t->nft = NULL;
	if (network_nft_result(r, &e) < 0)
		trial_end(t, &e);
	else
		trial_go_on(t);
}

static void trial_run(struct networks_trial *t)
{
	struct trial_item *i = &t->item[t->next];
	struct err e = ERR_INIT;

	if (t->next == t->n) {
		trial_end(t, NULL);
		return;
	}
	if (!i->rules.len) {
		trial_go_on(t);
		return;
	}
	t->nft = network_nft_child(t->ns->ev, i->rules.data, true, trial_on_nft, t, &e);
	if (!t->nft)
		trial_end(t, &e);
}

static void trial_begin(struct loop_task *task)
{
	trial_run(container_of(task, struct networks_trial, later));
}

static bool trial_has(const struct networks_trial *t, const char *network)
{
	for (size_t i = 0; i < t->n; i++)
		if (streq(t->item[i].network, network))
			return true;
	return false;
}

static void trial_add_network(struct networks_trial *t, const struct network_nic *nic)
{
	struct network *n = networks_get(t->ns, nic->network, NULL);
	struct trial_item *i = &t->item[t->n];
	struct net_plan plan;

	if (!n || !network_would_rise(n) || trial_has(t, nic->network) ||
		network_plan(n, &plan, NULL) < 0)
		return;
	*i = (struct trial_item){ .nic = xstrdup(nic->nic),
		.network = xstrdup(nic->network),
		.rules = BUF_INIT,
		.dnsmasq = plan.step[NET_STEP_DNSMASQ] };
	nft_taps(&i->rules, t->ns->door.table);
	network_rules(n, &plan, n->conf.dns, &i->rules);
	t->n++;
}

static void trial_add_bridge(struct networks_trial *t, const struct network_nic *nic)
{
	struct trial_item *i = &t->item[t->n];

	if (t->ns->door.state == DOOR_SHUT || trial_has(t, NULL))
		return;
	*i = (struct trial_item){ .nic = xstrdup(nic->nic), .rules = BUF_INIT };
	nft_taps(&i->rules, t->ns->door.table);
	t->n++;
}

struct networks_trial *networks_try_run(struct networks *ns, const struct network_nic *const *nic,
	size_t n, networks_trial_fn *done, void *data)
{
	struct networks_trial *t = xcalloc(1, sizeof *t);

	*t = (struct networks_trial){ .ns = ns, .done = done, .data = data };
	t->item = xcalloc(n + 1, sizeof *t->item);
	for (size_t i = 0; i < n; i++)
		if (nic[i]->network)
			trial_add_network(t, nic[i]);
		else
			trial_add_bridge(t, nic[i]);
	if (!t->n) {
		trial_free(t);
		return NULL;
	}
	loop_later(ns->ev, &t->later, trial_begin);
	return t;
}

void networks_trial_cancel(struct networks_trial *t)
{
	if (!t)
		return;
	child_cancel(t->nft);
	confine_cancel(t->dnsmasq);
	trial_free(t);
}
