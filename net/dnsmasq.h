/* SPDX-License-Identifier: MIT */
/*
 * net/dnsmasq.h - what dnsmasq reads and writes: configuration, host lines, leases; and its port
 *
 * Text only; supervisor/network runs it. dnsmasq 2.90 dies on SIGHUP after a lease was given from
 * a host line with "set:", so host lines never carry a tag.
 */
#ifndef NET_DNSMASQ_H
#define NET_DNSMASQ_H

#include "base/buf.h"
#include "base/err.h"
#include "net/facts.h"

enum {
	DNSMASQ_LEASES_MAX = 16384,
	DNSMASQ_LEASES_BYTES = 4 << 20,
	DNSMASQ_NAME_MAX = 64,
	DNSMASQ_SERVERS_MAX = 8
};

struct dnsmasq_conf {
	const char *bridge, *domain;
	const char *hosts_dir, *lease_file, *resolv_file; /* absolute */
	uint32_t address, first, last;
	unsigned prefix, mtu; /* mtu 0: not told */
	uint64_t lease_ms;    /* UINT64_MAX: for ever */
	bool dhcp, dns;
	/* With dns: where other questions go, none: as resolv_file says. Without: what the guests are
	 * told to ask instead. */
	const char *const *server;
	size_t servers;
};

void dnsmasq_conf(struct buf *b, const struct dnsmasq_conf *c);
/* "52:54:00:...,192.168.122.7,web1\n" */
void dnsmasq_host(struct buf *b, const uint8_t mac[ETH_ALEN], uint32_t address, const char *name);

struct dnsmasq_lease {
	uint64_t expires; /* Unix time, 0: never */
	uint8_t mac[ETH_ALEN];
	uint32_t address;
	char name[DNSMASQ_NAME_MAX]; /* empty: none, or not fit to be shown */
};

/* All IPv4 leases of Ethernet cards; lines that make no sense are left out, and what is beyond
 * DNSMASQ_LEASES_MAX. *out is for the caller to free. Returns how many. */
size_t dnsmasq_leases(const char *text, size_t len, struct dnsmasq_lease **out);

/* The name servers in a resolv.conf that guests can reach too (not 127.0.0.0/8, not IPv6), as many
 * as fit; returns how many. */
size_t dnsmasq_resolvers(const char *resolv_conf, uint32_t *address, size_t max);

/* Whether dnsmasq could listen on this address at port 53, UDP and TCP; the address need not be
 * there yet. */
bool dnsmasq_port_free(uint32_t address);

#endif
