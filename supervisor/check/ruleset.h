/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/ruleset.h - finds out whether foreign firewall rules drop our guests' packets
 *
 * Follows a packet through the output of `nft -j list ruleset`: the base chains of a hook, rule by
 * rule, including chains that are jumped to. A match on a field that we do not know counts as no
 * match, and so does anything nft cannot show (rules of iptables extensions). accept ends only its
 * base chain, drop ends the packet, so every base chain must let it through. Our own tables are
 * skipped. Pure.
 */
#ifndef SUPERVISOR_CHECK_RULESET_H
#define SUPERVISOR_CHECK_RULESET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { RULESET_FIELDS_MAX = 6 };

struct ruleset_packet {
	const char *hook; /* "forward", "input" */
	bool bridged;	  /* goes through chains of the bridge family */
	bool routed;	  /* goes through chains of ip and inet */
	struct { /* known fields: "iifname", "oifname", "ct state", "udp dport", "l4proto" */
		const char *name, *value;
	} field[RULESET_FIELDS_MAX];
};

struct ruleset_drop {			    /* borrowed from doc */
	const char *family, *table, *chain; /* of the base chain */
	bool policy;			    /* dropped by the chain's policy, not by a rule */
};

/* True if the packet is dropped or rejected; by tells where. */
bool ruleset_drops(const json_t *doc, const struct ruleset_packet *p, struct ruleset_drop *by);
/* True if the chain exists (DOCKER-USER). */
bool ruleset_has_chain(const json_t *doc, const char *family, const char *table, const char *chain);

#endif
