/* SPDX-License-Identifier: MIT */
/*
 * net/plan.h - decides, from facts, what must be made for a network; changes nothing
 *
 * A bridge is ours if its name and MAC are the saved ones and its alias is that of the network, see
 * net_alias(), or still empty (we died between the two). Anything else with that name or an
 * overlapping subnet is somebody else's and is never touched: automatic choices move to the next
 * free name and the next free /24; for what the operator configured, the result is ERR_CONFLICT and
 * names the holder.
 */
#ifndef NET_PLAN_H
#define NET_PLAN_H

#include "base/err.h"
#include "conf/network.h"
#include "net/facts.h"

enum { NET_TABLE_MAX = 96, NET_NOTE_MAX = 256 };

/* Chosen for a network once, and kept as long as possible. */
struct net_choice {
	char bridge[IFNAMSIZ]; /* empty: not yet */
	uint8_t mac[ETH_ALEN]; /* always set */
	uint32_t address;
	unsigned prefix; /* 0: not yet */
};

bool net_choice_equal(const struct net_choice *a, const struct net_choice *b);

/* In the order in which they are made; undone in reverse. */
enum net_step {
	NET_STEP_FORWARD, /* ip_forward = 1 */
	NET_STEP_BRIDGE,
	NET_STEP_ADDRESS, /* removed together with the bridge */
	NET_STEP_RULES,
	NET_STEP_DNSMASQ,
	NET_STEPS
};

struct net_plan {
	struct net_choice choice;
	char alias[NET_ALIAS_MAX];
	char table[NET_TABLE_MAX]; /* nft table, family inet */
	unsigned mtu;		   /* 0: the kernel's default */
	bool step[NET_STEPS];
	char note[NET_NOTE_MAX]; /* what moved and why, for the log; empty: nothing */
};

int net_plan(struct net_plan *p, const struct conf_network *c, const struct net_choice *remembered,
	const struct net_facts *f, struct err *e);

/* For a network that is up, perhaps with guests on it, without a record of how it was made: keeps
 * all of it. */
void net_plan_again(struct net_plan *p, const struct conf_network *c,
	const struct net_choice *standing, const struct net_facts *f);

const char *net_step_name(enum net_step s);

#endif
