/* SPDX-License-Identifier: MIT */
/*
 * net/plan.h - what is to be made for a network, decided from facts; touches nothing
 *
 * A bridge is ours when name and MAC are the remembered ones and its alias is that of the network, see
 * net_alias(), or still empty (we died between the two). Everything else that has the name or overlaps with the
 * subnet is somebody else's and is never touched: what nobody wrote moves aside to the next free
 * name and the next free /24; what the operator wrote is ERR_CONFLICT and names the holder.
 */
#ifndef NET_PLAN_H
#define NET_PLAN_H

#include "base/err.h"
#include "conf/network.h"
#include "net/facts.h"

enum { NET_TABLE_MAX = 96, NET_NOTE_MAX = 256 };

/* What was chosen for a network and must not move without need. */
struct net_choice {
	char bridge[IFNAMSIZ]; /* empty: not yet */
	uint8_t mac[ETH_ALEN]; /* always set */
	uint32_t address;
	unsigned prefix; /* 0: not yet */
};

bool net_choice_equal(const struct net_choice *a, const struct net_choice *b);

/* In the order in which they are made; undone the other way round. */
enum net_step {
	NET_STEP_FORWARD, /* ip_forward = 1 */
	NET_STEP_BRIDGE,
	NET_STEP_ADDRESS, /* goes with the bridge */
	NET_STEP_RULES,
	NET_STEP_DNSMASQ,
	NET_STEPS
};

struct net_plan {
	struct net_choice choice;
	char alias[NET_ALIAS_MAX];
	char table[NET_TABLE_MAX]; /* of nft, family inet */
	unsigned mtu;		   /* 0: the kernel's */
	bool step[NET_STEPS];
	char note[NET_NOTE_MAX]; /* what moved aside for whom, for the log; empty when nothing did
				  */
};

int net_plan(struct net_plan *p, const struct conf_network *c, const struct net_choice *remembered,
	const struct net_facts *f, struct err *e);

/* For one that stands, with guests on it perhaps, while nothing tells how it was made: all of it stays. */
void net_plan_again(struct net_plan *p, const struct conf_network *c,
	const struct net_choice *standing, const struct net_facts *f);

const char *net_step_name(enum net_step s);

#endif
