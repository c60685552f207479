/* SPDX-License-Identifier: MIT */
/* What net stop would take away, for who asks before it is gone; see state.c for how it goes. */
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/api.h"
#include "supervisor/api/result.h"
#include "supervisor/network/private.h"

static json_t *plan_text(const char *s)
{
	return s && s[0] ? json_string(s) : json_null();
}

static json_t *plan_ip(uint32_t address, unsigned prefix)
{
	char text[NET_IP_TEXT];

	return address ? json_string(net_ip(text, address, prefix)) : json_null();
}

static void plan_row(
	json_t *rows, const char *what, const char *name, const struct claim *c, json_t *address)
{
	json_array_append_new(
		rows, json_pack("[s, o, o, o, o]", what, plan_text(name),
			      plan_text(c ? c->vm : NULL), plan_text(c ? c->nic : NULL), address));
}

static const struct claim *plan_attached(const struct network *n, const uint8_t mac[ETH_ALEN])
{
	for (const struct claim *c = n->ns->claims; c; c = c->next)
		if (c->on == n && memcmp(c->mac, mac, ETH_ALEN) == 0)
			return c;
	return NULL;
}

/* Who is cut off: NICs, and whoever else has an address of it. */
static void plan_users(const struct network *n, json_t *rows)
{
	char tap[IFNAMSIZ], mac[TEXT_MAC];

	for (const struct claim *c = n->ns->claims; c; c = c->next)
		if (c->on == n)
			plan_row(rows, "nic", networks_tap_name(n->ns, &c->tap, tap), c,
				plan_ip(c->address, 0));
	for (size_t i = 0; i < n->leases; i++)
		if (!plan_attached(n, n->lease[i].mac))
			plan_row(rows, "lease", text_mac(mac, n->lease[i].mac), NULL,
				plan_ip(n->lease[i].address, 0));
}

/* Another network needs it still, of ours or of another vmkeepd. */
static bool plan_keeps_forward(const struct network *n)
{
	struct net_facts facts = NET_FACTS_INIT;
	bool found = false;

	for (const struct network *o = n->ns->list; o; o = o->next)
		found |= o != n && o->plan.step[NET_STEP_BRIDGE];
	if (n->ns->rtnl && rtnl_facts(n->ns->rtnl, &facts, NULL) == 0)
		for (size_t i = 0; i < facts.links; i++)
			found |= facts.link[i].index != n->bridge_index &&
				 strncmp(facts.link[i].alias, "vmkeep:network:", 15) == 0;
	net_facts_release(&facts);
	return found;
}

static void plan_made(const struct network *n, json_t *rows)
{
	const struct net_choice *c = &n->plan.choice;
	char pid[16];

	snprintf(pid, sizeof pid, "%d", (int)n->dnsmasq.pid);
	if (n->plan.step[NET_STEP_DNSMASQ] && n->dnsmasq.pid)
		plan_row(rows, "dnsmasq", pid, NULL, json_null());
	if (n->plan.step[NET_STEP_RULES])
		plan_row(rows, "rules", n->plan.table, NULL, json_null());
	if (n->plan.step[NET_STEP_BRIDGE])
		plan_row(rows, "bridge", c->bridge, NULL, plan_ip(c->address, c->prefix));
	if (n->plan.step[NET_STEP_FORWARD] && !plan_keeps_forward(n))
		plan_row(rows, "ip_forward", "0", NULL, json_null());
}

json_t *networks_stop_plan(struct networks *ns, const char *network, bool force, struct err *e)
{
	const struct network *n = networks_get(ns, network);
	struct err refused = ERR_INIT;
	json_t *rows, *plan;

	if (!n) {
		err_set(e, ERR_NOT_FOUND, "no network '%s'", network);
		return NULL;
	}
	network_may_stop(n, force, &refused);
	rows = json_array();
	if (n->state != NETWORK_DOWN) {
		plan_users(n, rows);
		plan_made(n, rows);
	}
	plan = json_pack("{s:s, s:o}", "state", network_state_name(n->state), "refused",
		refused.number ? api_error_json(&refused) : json_null());
	json_object_update_new(plan, api_table(api_net_stop_row, rows));
	return plan;
}
