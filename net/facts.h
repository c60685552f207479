/* SPDX-License-Identifier: MIT */
/*
 * net/facts.h - the state of the host's network, as far as a plan depends on it
 *
 * Filled by rtnl_facts() or by a test. Addresses are in host byte order everywhere in net/.
 */
#ifndef NET_FACTS_H
#define NET_FACTS_H

#include <net/ethernet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NET_IP_TEXT = 20, NET_KIND_MAX = 16, NET_ALIAS_MAX = 256 };

struct net_link {
	int index; /* 0: none; in facts: a name reserved for another network of ours */
	int master;
	unsigned flags; /* IFF_UP ... */
	bool carrier;	/* for a tap: some process has it open */
	char name[IFNAMSIZ];
	char kind[NET_KIND_MAX]; /* "bridge", "tun"; empty for hardware */
	char alias[NET_ALIAS_MAX];
	uint8_t mac[ETH_ALEN];
};

struct net_prefix { /* an address on a link, or a route */
	uint32_t address;
	unsigned prefix;
	int index; /* the link, 0: none */
	bool route;
	const char *network; /* reserved for this other network of ours, borrowed; else NULL */
};

struct net_facts {
	struct net_link *link;
	size_t links;
	struct net_prefix *prefix;
	size_t prefixes;
	bool ip_forward;
	const char *
		owner; /* which daemon on this host is looking, borrowed; NULL or "": the default */
};

#define NET_FACTS_INIT { 0 }

void net_facts_release(struct net_facts *f);
void net_facts_add_link(struct net_facts *f, const struct net_link *l);
void net_facts_add_prefix(struct net_facts *f, const struct net_prefix *p);
/* Reserves the name and subnet that another network of ours has chosen, whether it is up or not. */
void net_facts_reserve(struct net_facts *f, const char *network, const char *bridge,
	uint32_t address, unsigned prefix);

/* The alias of a network's bridge: "vmkeep:network:NAME", followed by ":OWNER" if there is one. */
void net_alias(char alias[NET_ALIAS_MAX], const char *network, const char *owner);
/* Is this the alias of a network of this owner, and of which one? */
bool net_alias_network(const char *alias, const char *owner, char *network, size_t size);

const struct net_link *net_facts_link(const struct net_facts *f, const char *name);
const struct net_link *net_facts_index(const struct net_facts *f, int index);

uint32_t net_mask(unsigned prefix); /* 0 for 0 */
/* "192.168.122.1", or with /24 if prefix is not 0. Returns buf. */
const char *net_ip(char buf[NET_IP_TEXT], uint32_t address, unsigned prefix);
bool net_ip_parse(const char *s, uint32_t *address);

#endif
