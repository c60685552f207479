/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/guest.h - a guest that consists of frames on a tap: DHCP, ARP, ping, DNS; no QEMU
 *
 * Blocking: repeats requests after 1 s, as guests do, because the kernel drops packets to the first port of a
 * bridge in its first milliseconds. Answers ARP for its own address while it waits.
 */
#ifndef TESTS_UNIT_GUEST_H
#define TESTS_UNIT_GUEST_H

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/slow.h"

enum { GUEST_FRAME = 2048, GUEST_VNET = 10 };

struct guest {
	int fd;
	uint8_t mac[ETH_ALEN], gateway_mac[ETH_ALEN];
	uint32_t address, gateway, dns; /* host byte order */
	uint32_t offered, server;
	const char *options; /* more DHCP options, encoded, sent with each request */
	size_t options_len;
};

static inline uint16_t guest_sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static inline void guest_frame(
	struct guest *g, const uint8_t to[ETH_ALEN], uint16_t type, const void *data, size_t len)
{
	uint8_t frame[GUEST_VNET + GUEST_FRAME] = { 0 };
	struct ether_header *eth = (void *)(frame + GUEST_VNET);
	size_t n = GUEST_VNET + sizeof *eth + len;

	memcpy(eth->ether_dhost, to, ETH_ALEN);
	memcpy(eth->ether_shost, g->mac, ETH_ALEN);
	eth->ether_type = htons(type);
	memcpy(eth + 1, data, len);
	if (write(g->fd, frame, n < 70 ? 70 : n) < 0)
		return; /* waiting for the answer detects a lost frame */
}

static inline void guest_ip(struct guest *g, const uint8_t mac[ETH_ALEN], uint32_t from,
	uint32_t to, uint8_t proto, const void *data, size_t len)
{
	uint8_t packet[GUEST_FRAME] = { 0 };
	struct iphdr *ip = (void *)packet;

	*ip = (struct iphdr){ .version = 4,
		.ihl = 5,
		.ttl = 64,
		.protocol = proto,
		.tot_len = htons((uint16_t)(sizeof *ip + len)),
		.saddr = htonl(from),
		.daddr = htonl(to) };
	ip->check = guest_sum(ip, sizeof *ip);
	memcpy(ip + 1, data, len);
	guest_frame(g, mac, ETHERTYPE_IP, packet, sizeof *ip + len);
}

static inline void guest_udp(struct guest *g, const uint8_t mac[ETH_ALEN], uint32_t from,
	uint32_t to, uint16_t sport, uint16_t dport, const void *data, size_t len)
{
	uint8_t packet[GUEST_FRAME] = { 0 };
	struct udphdr *udp = (void *)packet;

	udp->source = htons(sport);
	udp->dest = htons(dport);
	udp->len = htons((uint16_t)(sizeof *udp + len));
	memcpy(udp + 1, data, len);
	guest_ip(g, mac, from, to, IPPROTO_UDP, packet, sizeof *udp + len);
}

/* 28 bytes: Ethernet, IPv4. */
static inline void guest_answer_arp(struct guest *g, const uint8_t *arp)
{
	uint8_t reply[28];
	uint32_t target;

	memcpy(&target, arp + 24, 4);
	if (arp[7] != 1 || !g->address || ntohl(target) != g->address)
		return;
	memcpy(reply, arp, 6);
	reply[6] = 0;
	reply[7] = 2;
	memcpy(reply + 8, g->mac, ETH_ALEN);
	memcpy(reply + 14, &target, 4);
	memcpy(reply + 18, arp + 8, 10);
	guest_frame(g, arp + 8, ETHERTYPE_ARP, reply, sizeof reply);
}

static inline int guest_left(const struct timespec *since, int wait_ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return wait_ms - (int)((now.tv_sec - since->tv_sec) * 1000 +
				 (now.tv_nsec - since->tv_nsec) / 1000000);
}

/* The next IP packet of this protocol that take() accepts; false: none arrived. */
static inline bool guest_wait(struct guest *g, uint8_t proto, int wait_ms,
	bool (*take)(struct guest *g, const struct iphdr *ip, const uint8_t *data, size_t len,
		void *arg),
	void *arg)
{
	struct pollfd p = { .fd = g->fd, .events = POLLIN };
	uint8_t frame[GUEST_VNET + GUEST_FRAME];
	struct timespec since;

	clock_gettime(CLOCK_MONOTONIC, &since);
	for (int left; (left = guest_left(&since, wait_ms)) > 0;) {
		const struct ether_header *eth = (const void *)(frame + GUEST_VNET);
		const struct iphdr *ip = (const void *)(eth + 1);
		ssize_t n = poll(&p, 1, left) > 0 ? read(g->fd, frame, sizeof frame) : -1;

		if (n < (ssize_t)(GUEST_VNET + sizeof *eth + sizeof *ip))
			continue;
		if (eth->ether_type == htons(ETHERTYPE_ARP))
			guest_answer_arp(g, (const uint8_t *)(eth + 1));
		if (eth->ether_type != htons(ETHERTYPE_IP) || ip->protocol != proto)
			continue;
		if (take(g, ip, (const uint8_t *)(ip + 1),
			    (size_t)n - GUEST_VNET - sizeof *eth - sizeof *ip, arg)) {
			memcpy(g->gateway_mac, eth->ether_shost, ETH_ALEN);
			return true;
		}
	}
	return false;
}

/* ---- DHCP: op htype hlen hops, xid, ..., chaddr at 28, magic at 236, options from 240 ---- */

static inline const uint8_t *guest_option(const uint8_t *bootp, size_t len, uint8_t wanted)
{
	for (size_t i = 240; i + 1 < len && bootp[i] != 255; i += bootp[i] ? 2u + bootp[i + 1] : 1u)
		if (bootp[i] == wanted && i + 2 + bootp[i + 1] <= len)
			return bootp + i + 2;
	return NULL;
}

static inline uint32_t guest_u32(const uint8_t *p)
{
	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

static inline bool guest_take_dhcp(
	struct guest *g, const struct iphdr *ip, const uint8_t *data, size_t len, void *arg)
{
	const uint8_t *bootp = data + sizeof(struct udphdr), *type;

	(void)ip;
	if (len < sizeof(struct udphdr) + 240 || memcmp(bootp + 28, g->mac, ETH_ALEN) != 0)
		return false;
	len -= sizeof(struct udphdr);
	type = guest_option(bootp, len, 53);
	if (!type || *type != *(const uint8_t *)arg)
		return false;
	g->offered = guest_u32(bootp + 16);
	g->gateway = guest_u32(guest_option(bootp, len, 3));
	g->dns = guest_u32(guest_option(bootp, len, 6));
	g->server = guest_u32(guest_option(bootp, len, 54));
	return true;
}

static inline uint8_t *guest_put_u32(uint8_t *o, uint8_t option, uint32_t value)
{
	value = htonl(value);
	*o++ = option;
	*o++ = 4;
	memcpy(o, &value, 4);
	return o + 4;
}

static inline bool guest_dhcp_ask(struct guest *g, uint8_t type, uint8_t answer, const char *name)
{
	static const uint8_t all[ETH_ALEN] = { 255, 255, 255, 255, 255, 255 };
	uint8_t m[512] = { 1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78 };
	uint8_t *o = m + 240;

	m[10] = 0x80; /* ask for answers by broadcast */
	memcpy(m + 28, g->mac, ETH_ALEN);
	memcpy(m + 236, "\x63\x82\x53\x63", 4);
	*o++ = 53;
	*o++ = 1;
	*o++ = type;
	if (type == 3) {
		o = guest_put_u32(o, 50, g->offered);
		o = guest_put_u32(o, 54, g->server);
	}
	if (name) {
		*o++ = 12;
		*o++ = (uint8_t)strlen(name);
		memcpy(o, name, strlen(name));
		o += strlen(name);
	}
	if (g->options_len)
		memcpy(o, g->options, g->options_len);
	o += g->options_len;
	memcpy(o, "\x37\x03\x01\x03\x06\xff", 6);
	guest_udp(g, all, 0, UINT32_MAX, 68, 67, m, sizeof m);
	return guest_wait(g, IPPROTO_UDP, 1000, guest_take_dhcp, &answer);
}

/* From DISCOVER to ACK; name: the host name that it claims. False: no lease. */
static inline bool guest_dhcp(struct guest *g, const char *name)
{
	for (int i = 0; i < (int)stretched(3); i++) {
		g->address = g->offered = 0;
		if (guest_dhcp_ask(g, 1, 2, name) && guest_dhcp_ask(g, 3, 5, name)) {
			g->address = g->offered;
			return true;
		}
	}
	return false;
}

/* ---- ping and DNS ---- */

static inline bool guest_take_pong(
	struct guest *g, const struct iphdr *ip, const uint8_t *data, size_t len, void *arg)
{
	(void)g, (void)ip;
	*(uint8_t *)arg = data[0];
	return len >= 8;
}

/* The type of the next ICMP message; 0: echo reply; -1: none. */
static inline int guest_icmp(struct guest *g)
{
	uint8_t type = 255;

	return guest_wait(g, IPPROTO_ICMP, stretched_ms(1), guest_take_pong, &type) ? type : -1;
}

static inline int guest_ping(struct guest *g, uint32_t to)
{
	uint8_t m[16] = { 8, 0, 0, 0, 0, 7, 0, 1 };
	const uint16_t sum = guest_sum(m, sizeof m);

	memcpy(m + 2, &sum, 2);
	guest_ip(g, g->gateway_mac, g->address, to, IPPROTO_ICMP, m, sizeof m);
	return guest_icmp(g);
}

static inline bool guest_take_dns(
	struct guest *g, const struct iphdr *ip, const uint8_t *data, size_t len, void *arg)
{
	(void)ip;
	if (len < 20 || data[0] != 0 || data[1] != 53)
		return false;
	data += 8;
	len -= 8;
	/* there is one answer, and the message ends with its address */
	*(uint32_t *)arg = (data[3] & 15) == 0 && data[7] == 1 ? guest_u32(data + len - 4) : 0;
	(void)g;
	return true;
}

/* 0: no such name, or no answer. */
static inline uint32_t guest_resolve(struct guest *g, const char *name)
{
	uint8_t m[300] = { 0x11, 0x22, 1, 0, 0, 1 };
	uint8_t *o = m + 12;
	uint32_t address = 0;

	while (*name) {
		size_t n = strcspn(name, ".");

		*o++ = (uint8_t)n;
		memcpy(o, name, n);
		o += n;
		name += n + (name[n] == '.');
	}
	memcpy(o, "\0\0\1\0\1", 5);
	o += 5;
	for (int i = 0; i < (int)stretched(3); i++) {
		guest_udp(g, g->gateway_mac, g->address, g->gateway, 5353, 53, m, (size_t)(o - m));
		if (guest_wait(g, IPPROTO_UDP, 1000, guest_take_dns, &address))
			return address;
	}
	return 0;
}

#endif
