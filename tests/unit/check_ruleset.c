/* SPDX-License-Identifier: MIT */
/*
 * Recorded rulesets of other programs (nft -j list ruleset): which chain drops which of a guest's
 * packets. Our own tables do not count, and invalid rulesets are not misread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/mem.h"
#include "supervisor/check/ruleset.h"

#define OUT                                                   \
	{                                                     \
		.hook = "forward", .routed = true, .field = { \
			{ "iifname", "virbr0" },              \
			{ "oifname", "eth0" },                \
			{ "ct state", "new" }                 \
		}                                             \
	}
#define BACK                                                  \
	{                                                     \
		.hook = "forward", .routed = true, .field = { \
			{ "iifname", "eth0" },                \
			{ "oifname", "virbr0" },              \
			{ "ct state", "established" }         \
		}                                             \
	}
#define NEW_IN                                                \
	{                                                     \
		.hook = "forward", .routed = true, .field = { \
			{ "iifname", "eth0" },                \
			{ "oifname", "virbr0" },              \
			{ "ct state", "new" }                 \
		}                                             \
	}
#define DHCP                                                \
	{                                                   \
		.hook = "input", .routed = true, .field = { \
			{ "iifname", "virbr0" },            \
			{ "udp dport", "67" },              \
			{ "ct state", "new" }               \
		}                                           \
	}
#define BRIDGED                                                \
	{                                                      \
		.hook = "forward", .bridged = true, .field = { \
			{ "iifname", "vk-a" },                 \
			{ "oifname", "vk-b" }                  \
		}                                              \
	}

/* clang-format off */
static const struct {
	const char *file;
	struct ruleset_packet packet;
	const char *says; /* "family table chain", with policy if that drops; NULL: passes */
} cases[] = {
	{ "docker",    OUT,     "ip filter FORWARD policy" },
	{ "docker",    BACK,    NULL },
	{ "docker",    DHCP,    NULL },
	{ "docker",    BRIDGED, NULL },
	{ "firewalld", OUT,     "inet firewalld filter_FORWARD" },
	{ "firewalld", BACK,    NULL },
	{ "firewalld", NEW_IN,  "inet firewalld filter_FORWARD" },
	{ "firewalld", DHCP,    "inet firewalld filter_INPUT" },
	{ "open",      OUT,     NULL },
	{ "open",      BACK,    NULL },
	{ "open",      NEW_IN,  "ip filter FORWARD policy" },
	{ "open",      DHCP,    NULL },
	{ "open",      BRIDGED, "bridge b f policy" },
	{ "map",       OUT,     NULL },
	{ "map",       BACK,    NULL },
	{ "map",       NEW_IN,  "inet my f policy" },
	{ "ours",      OUT,     NULL },
};
/* clang-format on */

static void test_recorded(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(free_ptr) char *path =
			xasprintf("tests/golden/ruleset/%s.json", cases[i].file);
		json_t *doc = json_load_file(path, 0, NULL);
		struct ruleset_drop by;
		char says[256] = "";

		assert_non_null(doc);
		if (ruleset_drops(doc, &cases[i].packet, &by))
			snprintf(says, sizeof says, "%s %s %s%s", by.family, by.table, by.chain,
				by.policy ? " policy" : "");
		if (!streq(says, cases[i].says ? cases[i].says : ""))
			fail_msg("case %zu, %s: '%s'", i, cases[i].file, says);
		json_decref(doc);
	}
}

static void test_chains(void **state)
{
	json_t *doc = json_load_file("tests/golden/ruleset/docker.json", 0, NULL);

	(void)state;
	assert_true(ruleset_has_chain(doc, "ip", "filter", "DOCKER-USER"));
	assert_false(ruleset_has_chain(doc, "ip", "filter", "DOCKER"));
	assert_false(ruleset_has_chain(doc, "inet", "filter", "DOCKER-USER"));
	json_decref(doc);
}

static void test_strange(void **state)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"{\"nftables\": 1}",
		"{\"nftables\": [1, {\"chain\": 1}, {\"rule\": []}]}",
		"{\"nftables\": [{\"chain\": {\"type\": \"filter\", \"hook\": \"forward\"}}]}",
		/* two chains that jump to each other: nft refuses them, but the file may contain
		 * them */
		"{\"nftables\": [{\"chain\": {\"family\": \"ip\", \"table\": \"t\", \"name\": \"c\", \"type\": \"filter\","
		" \"hook\": \"forward\", \"policy\": \"accept\"}}, {\"rule\": {\"family\": \"ip\", \"table\": \"t\","
		" \"chain\": \"c\", \"expr\": [{\"jump\": {\"target\": \"c\"}}]}}]}",
	};
	const struct ruleset_packet packet = OUT;
	struct ruleset_drop by;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		json_t *doc = json_loads(texts[i], 0, NULL);

		assert_non_null(doc);
		assert_false(ruleset_drops(doc, &packet, &by));
		json_decref(doc);
	}
	assert_false(ruleset_drops(NULL, &packet, &by));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_strange),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
