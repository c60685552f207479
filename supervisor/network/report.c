/* SPDX-License-Identifier: MIT */
/* Reports on networks: state and health, leases, and what a stop would remove. */
#include "base/text.h"
#include "conf/conf.h"
#include "supervisor/api/result.h"
#include "supervisor/network/private.h"

enum { TROUBLE_MAX = 256 };

static const char *const state_names[] = {
	[NETWORK_DOWN] = "down",
	[NETWORK_RAISING] = "starting",
	[NETWORK_UP] = "up",
	[NETWORK_STOPPING] = "stopping",
};
_Static_assert(ARRAY_SIZE(state_names) == NETWORK_STATES, "a state has no name");

static json_t *report_ip_json(uint32_t address, unsigned prefix)
{
	char text[NET_IP_TEXT];

	return address ? json_string(net_ip(text, address, prefix)) : json_null();
}

static json_t *report_text_json(const char *s)
{
	return s && s[0] ? json_string(s) : json_null();
}

static json_t *report_number_json(json_int_t n)
{
	return n ? json_integer(n) : json_null();
}

static json_t *report_mac_json(const uint8_t mac[ETH_ALEN])
{
	char text[TEXT_MAC];

	return json_string(text_mac(text, mac));
}

static json_t *report_subnet_json(const struct network *n)
{
	uint32_t host, first, last;
	unsigned prefix;

	if (!network_pool(n, &host, &prefix, &first, &last))
		return json_null();
	return report_ip_json(host & net_mask(prefix), prefix);
}

/* "": none yet. */
static const char *report_bridge(const struct network *n)
{
	if (n->plan.choice.bridge[0])
		return n->plan.choice.bridge;
	return n->conf.bridge ? n->conf.bridge : n->choice.bridge;
}

void networks_each(struct networks *ns, networks_each_fn *each, void *data)
{
	networks_look(ns);
	for (const struct network *n = ns->list; n; n = n->next)
		each(data, n->name, report_bridge(n), n->state == NETWORK_UP);
}

/* A NIC that does not have the address that is reserved for it. */
static bool report_lease_trouble(const struct network *n, char *out, size_t len)
{
	char own[NET_IP_TEXT], has[NET_IP_TEXT], mac[TEXT_MAC];

	out[0] = '\0';
	for (const struct claim *c = n->ns->claims; c && !out[0]; c = c->next) {
		const struct dnsmasq_lease *l, *other;

		if (c->on != n || !c->attached || !c->address)
			continue;
		l = leases_by_mac(n, c->mac);
		other = leases_by_address(n, c->address);
		net_ip(own, c->address, 0);
		if (other && other != l)
			snprintf(out, len,
				"address %s of NIC '%.40s' of VM '%.63s' is leased to %s", own,
				c->nic, c->vm, text_mac(mac, other->mac));
		else if (l && l->address != c->address && claim_seen(c, l))
			snprintf(out, len, "NIC '%.40s' of VM '%.63s' leased %s, not its own %s",
				c->nic, c->vm, net_ip(has, l->address, 0), own);
	}
	return out[0] != '\0';
}

static const char *report_cut_off(const struct network *n, char trouble[TROUBLE_MAX])
{
	const size_t nics = network_attached(n);

	snprintf(trouble, TROUBLE_MAX, "%zu NIC%s cut off: vmkeep net start %.63s", nics,
		nics == 1 ? " is" : "s are", n->name);
	return nics ? trouble : "ok";
}

/* The first problem that keeps the network from working; with nics, also one of single NICs. */
static const char *report_health(const struct network *n, bool nics, char trouble[TROUBLE_MAX])
{
	if (n->broken)
		return n->invalid;
	if (n->state == NETWORK_DOWN && n->failure.number)
		return n->failure.text;
	if (n->state == NETWORK_DOWN && n->table_left)
		return "its nftables table may still exist: bring the network up and down again";
	if (n->state != NETWORK_UP && n->invalid)
		return n->invalid;
	if (n->state != NETWORK_UP)
		return nics && n->state == NETWORK_DOWN ? report_cut_off(n, trouble) : "ok";
	if (!network_stands(n))
		return "its bridge is gone or down: vmkeep reload recreates it";
	if (network_rules_lost(n))
		return n->nft ? "its firewall rules are being loaded"
			      : "its firewall rules are gone: vmkeep reload restores them";
	if (!network_forwards())
		return "IP forwarding is off: vmkeep reload switches it on";
	if (n->conf.dns && !n->dns)
		return dnsmasq_port_free(n->plan.choice.address)
			       ? "no DNS: port 53 was taken, and is free now: vmkeep reload"
			       : "no DNS: port 53 is taken";
	if (n->plan.step[NET_STEP_DNSMASQ] && !streq(dnsmasq_health(&n->dnsmasq), "ok"))
		return dnsmasq_health(&n->dnsmasq);
	if ((nics && network_tap_trouble(n, trouble, TROUBLE_MAX)) ||
		report_lease_trouble(n, trouble, TROUBLE_MAX))
		return trouble;
	if (n->leases_problem)
		return n->leases_problem;
	if (n->invalid)
		return n->invalid;
	if (!n->has_file && !streq(n->name, "default"))
		return "its file is gone: it stays up until net stop";
	return network_is_outdated(n) ? "its file has changed: net stop and net start apply it"
				      : "ok";
}

char *networks_trouble(struct networks *ns, const char *network)
{
	const struct network *n = networks_get(ns, network, NULL);
	char trouble[TROUBLE_MAX];
	const char *text;

	if (!n)
		return NULL;
	text = report_health(n, false, trouble); /* networks_strays() reports NICs */
	return streq(text, "ok") || text == n->invalid ? NULL : xstrdup(text);
}

json_t *networks_list(struct networks *ns)
{
	json_t *rows = json_array();
	char trouble[TROUBLE_MAX];

	networks_look(ns);
	for (const struct network *n = ns->list; n; n = n->next)
		json_array_append_new(rows,
			json_pack("[s, s, s, o, o, I, o, s]", n->name, state_names[n->state],
				conf_network_mode_name(n->conf.mode),
				report_text_json(report_bridge(n)), report_subnet_json(n),
				(json_int_t)network_attached(n), report_number_json(n->dnsmasq.pid),
				report_health(n, true, trouble)));
	return api_table(api_network_row, rows);
}

static json_t *report_nic_json(const struct claim *c, const struct network *n)
{
	const struct dnsmasq_lease *l = leases_by_mac(n, c->mac);
	const bool seen = claim_seen(c, l);
	char tap[IFNAMSIZ];

	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:b, s:b}", "vm", c->vm, "nic", c->nic,
		"name", c->hostname, "mac", report_mac_json(c->mac), "address",
		report_ip_json(seen ? l->address : c->address, 0), "tap",
		report_text_json(networks_tap_name(n->ns, &c->tap, tap)), "attached", c->attached,
		"seen", seen);
}

static json_t *report_dhcp_json(const struct network *n)
{
	uint32_t host, first = 0, last = 0;
	unsigned prefix;

	if (!n->conf.dhcp)
		return json_null();
	network_pool(n, &host, &prefix, &first, &last);
	return json_pack("{s:o, s:o, s:I, s:s}", "first", report_ip_json(first, 0), "last",
		report_ip_json(last, 0), "lease_seconds", (json_int_t)(n->conf.lease_ms / 1000),
		"domain", n->conf.domain);
}

static json_t *report_dns_json(const struct network *n)
{
	json_t *forward = json_array();

	for (size_t i = 0; i < n->conf.forward.n; i++)
		json_array_append_new(forward, json_string(n->conf.forward.item[i]));
	return json_pack("{s:b, s:o}", "enabled", n->state == NETWORK_UP ? n->dns : n->conf.dns,
		"forward", forward);
}

json_t *networks_show(struct networks *ns, const char *network, struct err *e)
{
	const struct network *n = networks_get(ns, network, e);
	uint32_t host = 0, first, last;
	char trouble[TROUBLE_MAX];
	unsigned prefix = 0;
	json_t *nics;

	if (!n)
		return NULL;
	nics = json_array();
	for (const struct claim *c = ns->claims; c; c = c->next)
		if (streq(c->network, n->name))
			json_array_append_new(nics, report_nic_json(c, n));
	network_pool(n, &host, &prefix, &first, &last);
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"name", n->name, "state", state_names[n->state], "health",
		report_health(n, true, trouble), "mode", conf_network_mode_name(n->conf.mode),
		"bridge", report_text_json(report_bridge(n)), "address",
		report_ip_json(host, prefix), "subnet", report_subnet_json(n), "dhcp",
		report_dhcp_json(n), "dns", report_dns_json(n), "file",
		report_text_json(n->conf.place.file), "mtu",
		report_number_json((json_int_t)n->conf.mtu), "mac", report_mac_json(n->choice.mac),
		"table", report_text_json(n->plan.table), "dnsmasq",
		report_number_json(n->dnsmasq.pid), "nics", nics);
}

static const struct claim *report_owner(const struct network *n, const uint8_t mac[ETH_ALEN])
{
	for (const struct claim *c = n->ns->claims; c; c = c->next)
		if (streq(c->network, n->name) && memcmp(c->mac, mac, ETH_ALEN) == 0)
			return c;
	return NULL;
}

static json_t *report_lease_row(uint32_t address, const uint8_t mac[ETH_ALEN],
	const struct claim *c, const struct dnsmasq_lease *l)
{
	return json_pack("[o, o, o, o, o, o, b]", report_ip_json(address, 0), report_mac_json(mac),
		report_text_json(c ? c->vm : NULL), report_text_json(c ? c->nic : NULL),
		report_text_json(c   ? c->hostname
				 : l ? l->name
				     : NULL),
		report_number_json(l ? (json_int_t)l->expires : 0), c ? claim_seen(c, l) : true);
}

/* dnsmasq's leases, to anybody, and the addresses reserved for NICs that have not asked yet. Not what
 * is left of a subnet that the network had before: a start chooses another. */
json_t *networks_leases(struct networks *ns, const char *network, struct err *e)
{
	const struct network *n = networks_get(ns, network, e);
	json_t *rows;

	if (!n)
		return NULL;
	rows = json_array();
	for (size_t i = 0; i < n->leases; i++) {
		const struct dnsmasq_lease *l = &n->lease[i];

		if (network_has(n, l->address))
			json_array_append_new(rows,
				report_lease_row(l->address, l->mac, report_owner(n, l->mac), l));
	}
	for (const struct claim *c = ns->claims; c; c = c->next)
		if (streq(c->network, n->name) && !leases_by_mac(n, c->mac) && c->address &&
			network_has(n, c->address))
			json_array_append_new(rows, report_lease_row(c->address, c->mac, c, NULL));
	return api_table(api_lease_row, rows);
}

/* --- what a stop would do; see state.c for how it is done --- */

static void report_stop_row(
	json_t *rows, const char *what, const char *name, const struct claim *c, json_t *address)
{
	json_array_append_new(rows, json_pack("[s, o, o, o, o]", what, report_text_json(name),
					    report_text_json(c ? c->vm : NULL),
					    report_text_json(c ? c->nic : NULL), address));
}

static const struct claim *report_stop_attached(
	const struct network *n, const uint8_t mac[ETH_ALEN])
{
	for (const struct claim *c = n->ns->claims; c; c = c->next)
		if (c->on == n && memcmp(c->mac, mac, ETH_ALEN) == 0)
			return c;
	return NULL;
}

/* Who would be cut off: NICs, and others with an address of the network. */
static void report_stop_users(const struct network *n, json_t *rows)
{
	char tap[IFNAMSIZ], mac[TEXT_MAC];

	for (const struct claim *c = n->ns->claims; c; c = c->next)
		if (c->on == n)
			report_stop_row(rows, "nic", networks_tap_name(n->ns, &c->tap, tap), c,
				report_ip_json(c->address, 0));
	for (size_t i = 0; i < n->leases; i++)
		if (!report_stop_attached(n, n->lease[i].mac))
			report_stop_row(rows, "lease", text_mac(mac, n->lease[i].mac), NULL,
				report_ip_json(n->lease[i].address, 0));
}

/* Another network, ours or another vmkeepd's, still needs it. */
static bool report_stop_keeps_forward(const struct network *n)
{
	for (const struct network *o = n->ns->list; o; o = o->next)
		if (o != n && o->plan.step[NET_STEP_BRIDGE])
			return true;
	return network_others_stand(n);
}

static void report_stop_made(const struct network *n, json_t *rows)
{
	const struct net_choice *c = &n->plan.choice;
	char pid[16];

	snprintf(pid, sizeof pid, "%d", (int)n->dnsmasq.pid);
	if (n->plan.step[NET_STEP_DNSMASQ] && n->dnsmasq.pid)
		report_stop_row(rows, "dnsmasq", pid, NULL, json_null());
	if (n->plan.step[NET_STEP_RULES])
		report_stop_row(rows, "rules", n->plan.table, NULL, json_null());
	if (n->plan.step[NET_STEP_BRIDGE])
		report_stop_row(
			rows, "bridge", c->bridge, NULL, report_ip_json(c->address, c->prefix));
	if (n->plan.step[NET_STEP_FORWARD] && !report_stop_keeps_forward(n))
		report_stop_row(rows, "ip_forward", "0", NULL, json_null());
}

json_t *networks_stop_plan(struct networks *ns, const char *network, bool force, struct err *e)
{
	const struct network *n = networks_get(ns, network, e);
	struct err refused = ERR_INIT;
	json_t *rows, *plan;

	if (!n)
		return NULL;
	network_may_stop(n, force, &refused);
	rows = json_array();
	if (n->state != NETWORK_DOWN) {
		report_stop_users(n, rows);
		report_stop_made(n, rows);
	}
	plan = json_pack("{s:s, s:o}", "state", state_names[n->state], "refused",
		refused.number ? api_error_json(&refused) : json_null());
	json_object_update_new(plan, api_table(api_net_stop_row, rows));
	return plan;
}
