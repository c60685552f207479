/* SPDX-License-Identifier: MIT */
/*
 * Proves what a network gets on a host where names and subnets are already in use: unset values
 * avoid those in use, once and permanently; set values are refused with the holder's name; nothing
 * foreign is taken for ours; and the plan lists exactly what is created.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"
#include "net/plan.h"

/* clang-format off */
#define OUR_MAC { 0x52, 0x54, 0, 1, 2, 3 }
#define THEIR_MAC { 0x52, 0x54, 0, 9, 9, 9 }
/* clang-format on */
#define IP(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

enum { LINKS = 3, PREFIXES = 4 };

struct host {
	struct net_link link[LINKS];
	struct net_prefix prefix[PREFIXES];
	bool ip_forward;
};

static const struct net_link lo = { .index = 1, .name = "lo" };

/* clang-format off */
static const struct host empty = { .link = { { .index = 1, .name = "lo" } } };
static const struct host libvirt = {
	.link = { { .index = 1, .name = "lo" },
		  { .index = 7, .name = "virbr0", .kind = "bridge", .mac = THEIR_MAC } },
	.prefix = { { .address = IP(192, 168, 122, 1), .prefix = 24, .index = 7 } },
	.ip_forward = true,
};
static const struct host name_only = {
	.link = { { .index = 7, .name = "virbr0", .kind = "veth", .mac = THEIR_MAC } },
};
static const struct host subnet_only = {
	.link = { { .index = 2, .name = "eth0" } },
	.prefix = { { .address = IP(192, 168, 122, 40), .prefix = 25, .index = 2 } },
};
static const struct host vpn = {
	.link = { { .index = 3, .name = "tun0", .kind = "tun" } },
	.prefix = { { .address = IP(192, 168, 0, 0), .prefix = 16, .index = 3, .route = true } },
};
static const struct host default_routes = {
	.link = { { .index = 2, .name = "eth0" } },
	.prefix = { { .address = 0, .prefix = 0, .index = 2, .route = true },
		    { .address = 0, .prefix = 1, .index = 2, .route = true },
		    { .address = IP(128, 0, 0, 0), .prefix = 1, .index = 2, .route = true },
		    { .address = IP(203, 0, 113, 2), .prefix = 24, .index = 2 } },
};
static const struct host ours_stands = {
	.link = { { .index = 7, .name = "virbr0", .kind = "bridge", .mac = OUR_MAC,
		    .alias = "vmkeep:network:default" } },
	.prefix = { { .address = IP(192, 168, 122, 1), .prefix = 24, .index = 7 },
		    { .address = IP(192, 168, 122, 0), .prefix = 24, .index = 7, .route = true } },
};
static const struct host ours_half_made = {
	.link = { { .index = 7, .name = "virbr0", .kind = "bridge", .mac = OUR_MAC } },
};
static const struct host other_daemon = {
	.link = { { .index = 7, .name = "virbr0", .kind = "bridge", .mac = THEIR_MAC,
		    .alias = "vmkeep:network:default" } },
	.prefix = { { .address = IP(192, 168, 122, 1), .prefix = 24, .index = 7 } },
};

static const struct net_choice fresh = { .mac = OUR_MAC };
static const struct net_choice chosen = { "virbr0", OUR_MAC, IP(192, 168, 122, 1), 24 };
static const struct net_choice moved = { "virbr1", OUR_MAC, IP(192, 168, 123, 1), 24 };
static const struct conf_subnet written = { true, IP(10, 7, 0, 1), 16 };
static const struct conf_subnet clashing = { true, IP(192, 168, 122, 1), 24 };

static const struct {
	const char *why, *name;
	const char *bridge; /* from the file */
	const struct conf_subnet *subnet; /* from the file */
	const struct net_choice *before;
	const struct host *host;
	const char *gets; /* NULL: refused */
	uint32_t address;
	const char *says; /* part of the note, or of the error */
	const char *table;
} cases[] = {
	{ "nothing in the way", "default", NULL, NULL, &fresh, &empty,
	  "virbr0", IP(192, 168, 122, 1), "", "vmkeep_default" },
	{ "default routes do not count", "default", NULL, NULL, &fresh, &default_routes,
	  "virbr0", IP(192, 168, 122, 1), "", "vmkeep_default" },
	{ "libvirt was first", "default", NULL, NULL, &fresh, &libvirt,
	  "virbr1", IP(192, 168, 123, 1), "'virbr0'", "vmkeep_default" },
	{ "only the name is taken", "default", NULL, NULL, &fresh, &name_only,
	  "virbr1", IP(192, 168, 122, 1), "'virbr0' is taken", "vmkeep_default" },
	{ "only the subnet is taken", "default", NULL, NULL, &fresh, &subnet_only,
	  "virbr0", IP(192, 168, 123, 1), "interface 'eth0' (192.168.122.40/25)", "vmkeep_default" },
	{ "a VPN has all of 192.168", "default", NULL, NULL, &fresh, &vpn,
	  NULL, 0, "the route to 192.168.0.0/16 through interface 'tun0'", NULL },
	{ "moved once, said once", "default", NULL, NULL, &moved, &libvirt,
	  "virbr1", IP(192, 168, 123, 1), "", "vmkeep_default" },
	{ "moved for ever", "default", NULL, NULL, &moved, &empty,
	  "virbr1", IP(192, 168, 123, 1), "", "vmkeep_default" },
	{ "libvirt came later", "default", NULL, NULL, &chosen, &libvirt,
	  "virbr1", IP(192, 168, 123, 1), "uses 'virbr1'", "vmkeep_default" },
	{ "ours stands: used again", "default", NULL, NULL, &chosen, &ours_stands,
	  "virbr0", IP(192, 168, 122, 1), "", "vmkeep_default" },
	{ "we died before the alias", "default", NULL, NULL, &chosen, &ours_half_made,
	  "virbr0", IP(192, 168, 122, 1), "", "vmkeep_default" },
	{ "another vmkeepd's", "default", NULL, NULL, &fresh, &other_daemon,
	  "virbr1", IP(192, 168, 123, 1), "'virbr0'", "vmkeep_default_virbr1" },
	{ "written and free", "lab", "br-lab", &written, &fresh, &libvirt,
	  "br-lab", IP(10, 7, 0, 1), "", "vmkeep_lab" },
	{ "written wins over remembered", "default", NULL, &written, &chosen, &empty,
	  "virbr0", IP(10, 7, 0, 1), "", "vmkeep_default" },
	{ "written subnet is taken", "default", NULL, &clashing, &fresh, &libvirt,
	  NULL, 0, "overlaps with interface 'virbr0' (192.168.122.1/24)", NULL },
	{ "written bridge is taken", "lab", "virbr0", &written, &fresh, &libvirt,
	  NULL, 0, "cannot create bridge 'virbr0': a bridge", NULL },
	{ "written bridge is another network's", "lab", "virbr0", &written, &fresh, &other_daemon,
	  NULL, 0, "vmkeep:network:default", NULL },
	{ "no name written", "lab", NULL, &written, &fresh, &empty,
	  "vkbr-lab", IP(10, 7, 0, 1), "", "vmkeep_lab" },
	{ "a long name is cut", "production-west", NULL, &written, &fresh, &empty,
	  "vkbr-production", IP(10, 7, 0, 1), "", "vmkeep_production-west" },
};
/* clang-format on */

static void facts_of(struct net_facts *f, const struct host *h)
{
	net_facts_add_link(f, &lo);
	for (size_t i = 0; i < LINKS; i++)
		if (h->link[i].index)
			net_facts_add_link(f, &h->link[i]);
	for (size_t i = 0; i < PREFIXES; i++)
		if (h->prefix[i].index)
			net_facts_add_prefix(f, &h->prefix[i]);
	f->ip_forward = h->ip_forward;
}

static struct conf_network conf_of(
	const char *name, const char *bridge, const struct conf_subnet *subnet)
{
	struct conf_network c = { .name = name, .bridge = bridge, .dhcp = true, .dns = true };

	if (subnet)
		c.subnet = *subnet;
	return c;
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_network c = conf_of(cases[i].name, cases[i].bridge, cases[i].subnet);
		struct net_facts f = NET_FACTS_INIT;
		struct err e = ERR_INIT;
		struct net_plan p;
		const char *said;
		int r;

		facts_of(&f, cases[i].host);
		r = net_plan(&p, &c, cases[i].before, &f, &e);
		said = r < 0 ? e.text : p.note;
		if ((r == 0) != (cases[i].gets != NULL) || !strstr(said, cases[i].says) ||
			(!cases[i].says[0] && said[0]))
			fail_msg("%s: %d, '%s'", cases[i].why, r, said);
		if (r < 0) {
			assert_int_equal(e.class, ERR_CONFLICT);
			assert_true(e.hint[0]);
		} else if (!streq(p.choice.bridge, cases[i].gets) ||
			   p.choice.address != cases[i].address ||
			   !streq(p.table, cases[i].table)) {
			fail_msg("%s: %s %08x %s", cases[i].why, p.choice.bridge, p.choice.address,
				p.table);
		}
		net_facts_release(&f);
	}
}

/* Names and subnets that another of our networks remembers, whether it is up or not. */
static void test_reserved(void **state)
{
	struct conf_network c = conf_of("production-west", NULL, NULL);
	struct net_facts f = NET_FACTS_INIT;
	struct err e = ERR_INIT;
	struct net_plan p;

	(void)state;
	net_facts_reserve(&f, "production-east", "vkbr-production", IP(192, 168, 122, 1), 24);
	net_facts_reserve(&f, "lab", "", 0, 0);
	assert_int_equal(net_plan(&p, &c, &fresh, &f, &e), 0);
	assert_string_equal(p.choice.bridge, "vkbr-productio1");
	assert_int_equal(p.choice.address, IP(192, 168, 123, 1));

	c.subnet = clashing;
	assert_int_not_equal(net_plan(&p, &c, &fresh, &f, &e), 0);
	assert_non_null(strstr(e.text, "network 'production-east' (192.168.122.1/24)"));
	net_facts_release(&f);
}

/* Two daemons on one host: each recognizes its own bridges, and the table can be named without a
 * record. */
static void test_owners(void **state)
{
	struct conf_network c = conf_of("default", NULL, NULL);
	struct net_facts f = NET_FACTS_INIT;
	char name[64], alias[NET_ALIAS_MAX];
	struct net_plan p, again;

	(void)state;
	net_alias(alias, "lab", "");
	assert_string_equal(alias, "vmkeep:network:lab");
	assert_true(net_alias_network(alias, NULL, name, sizeof name));
	assert_string_equal(name, "lab");
	assert_false(net_alias_network(alias, "12345678", name, sizeof name));
	net_alias(alias, "lab", "12345678");
	assert_true(net_alias_network(alias, "12345678", name, sizeof name));
	assert_string_equal(name, "lab");
	assert_false(net_alias_network(alias, "", name, sizeof name));
	assert_false(net_alias_network(alias, "12345679", name, sizeof name));
	assert_false(net_alias_network("vmkeep:a:lan", "", name, sizeof name));

	facts_of(&f, &ours_stands);
	f.owner = "12345678";
	assert_int_equal(net_plan(&p, &c, &chosen, &f, NULL), 0);
	assert_string_equal(p.choice.bridge, "virbr1"); /* the same MAC, but not our alias */
	assert_string_equal(p.table, "vmkeep_default_virbr1");
	net_plan_again(&again, &c, &p.choice, &f);
	assert_string_equal(again.table, p.table);
	assert_string_equal(again.alias, p.alias);
	f.owner = "";
	net_plan_again(&again, &c, &chosen, &f);
	assert_string_equal(again.table, "vmkeep_default");
	assert_false(again.step[NET_STEP_FORWARD]);
	assert_true(again.step[NET_STEP_BRIDGE] && again.step[NET_STEP_RULES] &&
		    again.step[NET_STEP_DNSMASQ]);
	net_facts_release(&f);
}

static void test_steps(void **state)
{
	struct conf_network c = conf_of("default", NULL, NULL);
	struct net_facts f = NET_FACTS_INIT;
	struct net_plan p;

	(void)state;
	assert_int_equal(net_plan(&p, &c, &fresh, &f, NULL), 0);
	for (enum net_step s = 0; s < NET_STEPS; s++)
		assert_true(p.step[s]);
	/* already on: not ours to turn off */
	f.ip_forward = true;
	c.dns = false;
	assert_int_equal(net_plan(&p, &c, &fresh, &f, NULL), 0);
	assert_false(p.step[NET_STEP_FORWARD]);
	assert_true(p.step[NET_STEP_DNSMASQ]);
	c.dhcp = false;
	assert_int_equal(net_plan(&p, &c, &fresh, &f, NULL), 0);
	assert_false(p.step[NET_STEP_DNSMASQ]);
}

static void test_texts(void **state)
{
	static const char *const bad_macs[] = { "", "52:54:00:00:00", "52:54:00:00:00:0",
		"52:54:00:00:00:00:", "52-54-00-00-00-00", "g2:54:00:00:00:00" };
	const uint8_t mac[ETH_ALEN] = OUR_MAC;
	char ip[NET_IP_TEXT], text[TEXT_MAC];
	uint8_t back[ETH_ALEN];
	uint32_t address;

	(void)state;
	assert_string_equal(net_ip(ip, IP(255, 255, 255, 255), 32), "255.255.255.255/32");
	assert_true(net_ip_parse("10.0.0.1", &address) && address == IP(10, 0, 0, 1));
	assert_false(net_ip_parse("10.0.0.256", &address) || net_ip_parse("10.1", &address));
	assert_true(text_mac_parse(text_mac(text, mac), back) && memcmp(mac, back, ETH_ALEN) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad_macs); i++)
		assert_false(text_mac_parse(bad_macs[i], back));
	assert_int_equal(net_mask(0), 0);
	assert_int_equal(net_mask(24), 0xffffff00);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
