/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/ruleset.h - would somebody else's firewall drop our guests' packets?
 *
 * Follows a packet through what `nft -j list ruleset` prints: the base chains of a hook, rule by
 * rule, and into chains that are jumped to. A match on something that is not known of
 * the packet counts as not met, as does what nft cannot show (rules of iptables' extensions). An
 * accept ends its base chain only, a drop ends the packet: so every base chain must let it through.
 * Tables of ours are left out. Pure.
 */
#ifndef SUPERVISOR_CHECK_RULESET_H
#define SUPERVISOR_CHECK_RULESET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { RULESET_FIELDS_MAX = 6 };

struct ruleset_packet {
	const char *hook; /* "forward", "input" */
	bool bridged;	  /* also through the bridge family's chains */
	bool routed;	  /* through those of ip and inet */
	struct { /* what is known: "iifname", "oifname", "ct state", "udp dport", "l4proto" */
		const char *name, *value;
	} field[RULESET_FIELDS_MAX];
};

struct ruleset_drop {			    /* borrowed from the document */
	const char *family, *table, *chain; /* the base chain */
	bool policy;			    /* by its policy, not by a rule */
};

/* True: dropped or rejected, and by whom. */
bool ruleset_drops(const json_t *doc, const struct ruleset_packet *p, struct ruleset_drop *by);
/* Is there such a chain (DOCKER-USER)? */
bool ruleset_has_chain(const json_t *doc, const char *family, const char *table, const char *chain);

#endif
