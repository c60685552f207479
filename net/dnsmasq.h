/* SPDX-License-Identifier: MIT */
/*
 * net/dnsmasq.h - dnsmasq's input and output: configuration, host lines, leases; and its port
 *
 * Text only; supervisor/network runs it. dnsmasq 2.90 dies on SIGHUP after it gave a lease from a
 * host line with "set:", so host lines never carry a tag.
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
	unsigned prefix, mtu; /* mtu 0: not announced */
	uint64_t lease_ms;    /* UINT64_MAX: infinite */
	bool dhcp, dns;
	/* With dns: upstream servers; if there are none, those in resolv_file. Without dns: the
	 * servers that guests are told to use instead. */
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
	char name[DNSMASQ_NAME_MAX]; /* empty: none, or not fit for display */
};

/* Parses all IPv4 leases of Ethernet clients, up to DNSMASQ_LEASES_MAX; skips malformed lines. The
 * caller frees *out. Returns their number. */
size_t dnsmasq_leases(const char *text, size_t len, struct dnsmasq_lease **out);

/* The name servers in a resolv.conf that guests can reach too (not 127.0.0.0/8, not IPv6), at most
 * max; returns their number. */
size_t dnsmasq_resolvers(const char *resolv_conf, uint32_t *address, size_t max);

/* Could dnsmasq listen on this address, port 53, UDP and TCP? The address need not exist yet. */
bool dnsmasq_port_free(uint32_t address);

#endif
