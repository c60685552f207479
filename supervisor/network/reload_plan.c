/* SPDX-License-Identifier: MIT */
/* What re-reading all .network files would change; see networks_reload() and networks_repair(). */
#include "base/mem.h"
#include "conf/load.h"
#include "supervisor/network/private.h"

struct plan {
	struct networks *ns;
	networks_plan_fn *tell;
	void *data;
	const struct network *n; /* the network whose keys are compared */
};

static void plan_key(void *data, const struct conf_change *c)
{
	const struct plan *p = data;

	p->tell(p->data, p->n->name, "changed", c, NULL, p->n->state != NETWORK_DOWN);
}

static void plan_file(void *data, const char *name)
{
	struct plan *p = data;
	struct conf_network fresh = CONF_NETWORK_INIT;
	struct conf_problems problems = { 0 };

	p->n = networks_find(p->ns, name);
	if (!p->n)
		p->tell(p->data, name, "new", NULL, NULL, false);
	else if (conf_load_network(&fresh, p->ns->dirs.config, name, &problems) && !problems.count)
		conf_network_diff(&p->n->conf, &fresh, plan_key, p);
	conf_network_release(&fresh);
	conf_problems_release(&problems);
}

/* All networks that are up reload their rules; a bridge is remade only if it changed. */
static void plan_again(const struct plan *p, const struct network *n)
{
	if (!network_stands(n))
		p->tell(p->data, n->name, "again", NULL, n->plan.choice.bridge, true);
	if (n->plan.step[NET_STEP_RULES])
		p->tell(p->data, n->name, "again", NULL, n->plan.table, true);
}

void networks_reload_plan(struct networks *ns, networks_plan_fn *tell, void *data)
{
	struct plan p = { ns, tell, data, NULL };

	conf_list_networks(ns->dirs.config, plan_file, &p, NULL);
	for (const struct network *n = ns->list; n; n = n->next) {
		if (n->has_file && !conf_network_stamp(ns->dirs.config, n->name))
			tell(data, n->name, "gone", NULL, NULL, n->state != NETWORK_DOWN);
		if (n->state == NETWORK_UP)
			plan_again(&p, n);
	}
}
