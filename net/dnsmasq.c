/* SPDX-License-Identifier: MIT */
#include "net/dnsmasq.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/text.h"

static void dnsmasq_dns_lines(struct buf *b, const struct dnsmasq_conf *c)
{
	if (!c->dns) {
		buf_adds(b, "port=0\n");
		return;
	}
	buf_printf(b,
		"no-hosts\n"
		"domain-needed\n"
		"bogus-priv\n"
		"domain=%s\n"
		"local=/%s/\n",
		c->domain, c->domain);
	if (c->servers)
		buf_adds(b, "no-resolv\n");
	else
		buf_printf(b, "resolv-file=%s\n", c->resolv_file);
	for (size_t i = 0; i < c->servers; i++)
		buf_printf(b, "server=%s\n", c->server[i]);
}

/* no-ping: otherwise a new guest waits 3 s. Names claimed by guests are never trusted, least of all
 * wpad, which browsers look up; nor are client identifiers, which cloned disks have in common: only
 * the MAC tells which guest it is. */
static void dnsmasq_dhcp_lines(struct buf *b, const struct dnsmasq_conf *c)
{
	char first[NET_IP_TEXT], last[NET_IP_TEXT], mask[NET_IP_TEXT];
	const uint32_t leases = ~net_mask(c->prefix) - 1; /* fixed ones may be outside the range */

	net_ip(first, c->first, 0);
	net_ip(last, c->last, 0);
	net_ip(mask, net_mask(c->prefix), 0);
	buf_printf(b,
		"dhcp-authoritative\n"
		"dhcp-no-override\n"
		"dhcp-ignore-clid\n"
		"dhcp-ignore-names\n"
		"dhcp-name-match=set:wpad,wpad\n"
		"dhcp-ignore-names=tag:wpad\n"
		"no-ping\n"
		"quiet-dhcp\n"
		"dhcp-leasefile=%s\n"
		"dhcp-hostsdir=%s\n"
		"dhcp-lease-max=%u\n"
		"dhcp-range=%s,%s,%s",
		c->lease_file, c->hosts_dir,
		leases < DNSMASQ_LEASES_MAX ? leases : DNSMASQ_LEASES_MAX, first, last, mask);
	if (c->lease_ms == UINT64_MAX)
		buf_adds(b, ",infinite\n");
	else
		buf_printf(b, ",%llu\n", (unsigned long long)(c->lease_ms / 1000));
	if (c->mtu)
		buf_printf(b, "dhcp-option=option:mtu,%u\n", c->mtu);
	if (c->dns || !c->servers)
		return;
	buf_adds(b, "dhcp-option=option:dns-server");
	for (size_t i = 0; i < c->servers; i++)
		buf_printf(b, ",%s", c->server[i]);
	buf_addc(b, '\n');
}

/* It is started with its final uid, in a root without user names. */
void dnsmasq_conf(struct buf *b, const struct dnsmasq_conf *c)
{
	buf_printf(b,
		"user=\n"
		"group=\n"
		"pid-file=\n"
		"interface=%s\n"
		"except-interface=lo\n"
		"bind-dynamic\n",
		c->bridge);
	dnsmasq_dns_lines(b, c);
	if (c->dhcp)
		dnsmasq_dhcp_lines(b, c);
}

void dnsmasq_host(struct buf *b, const uint8_t mac[ETH_ALEN], uint32_t address, const char *name)
{
	char m[TEXT_MAC], ip[NET_IP_TEXT];

	buf_printf(b, "%s,%s,%s\n", text_mac(m, mac), net_ip(ip, address, 0), name);
}

static bool dnsmasq_name_ok(const char *name)
{
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
			return false;
	return true;
}

/* "1700000000 52:54:00:.. 192.168.122.7 web1 01:52:54..", name and client id may be "*". */
static bool dnsmasq_lease_parse(char *line, struct dnsmasq_lease *l)
{
	char *word[4], *save = NULL;

	for (int i = 0; i < 4; i++) {
		word[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!word[i])
			return false;
	}
	*l = (struct dnsmasq_lease){ 0 };
	if (text_parse_uint(word[0], 0, UINT64_MAX, &l->expires) < 0 ||
		!text_mac_parse(word[1], l->mac) || !net_ip_parse(word[2], &l->address))
		return false;
	if (!streq(word[3], "*") && strlen(word[3]) < sizeof l->name && dnsmasq_name_ok(word[3]))
		memcpy(l->name, word[3], strlen(word[3]) + 1);
	return true;
}

size_t dnsmasq_leases(const char *text, size_t len, struct dnsmasq_lease **out)
{
	const char *end = text + len;
	size_t n = 0;

	*out = NULL;
	while (text < end && n < DNSMASQ_LEASES_MAX) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		char line[1024];

		/* an unterminated line is still being written */
		if (!stop)
			break;
		if ((size_t)(stop - text) < sizeof line) {
			memcpy(line, text, (size_t)(stop - text));
			line[stop - text] = '\0';
			if (!(n & (n - 1)))
				*out = xrealloc(*out, n ? n * 2 : 1, sizeof **out);
			n += dnsmasq_lease_parse(line, &(*out)[n]);
		}
		text = stop + 1;
	}
	return n;
}

size_t dnsmasq_resolvers(const char *resolv_conf, uint32_t *address, size_t max)
{
	_cleanup_(free_ptr) char *copy = xstrdup(resolv_conf);
	char *lines = NULL;
	size_t n = 0;

	for (char *l = strtok_r(copy, "\n", &lines); l && n < max;
		l = strtok_r(NULL, "\n", &lines)) {
		char *words = NULL, *key = strtok_r(l, " \t", &words);
		char *value = key ? strtok_r(NULL, " \t", &words) : NULL;

		if (streq(key, "nameserver") && value && net_ip_parse(value, &address[n]) &&
			address[n] >> 24 != 127)
			n++;
	}
	return n;
}

bool dnsmasq_port_free(uint32_t address)
{
	const struct sockaddr_in sa = {
		.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(address)
	};
	const int types[] = { SOCK_DGRAM, SOCK_STREAM };
	const int one = 1;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		_cleanup_(close_fd) int fd = socket(AF_INET, types[i] | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return false;
		setsockopt(fd, SOL_IP, IP_FREEBIND, &one, sizeof one);
		/* connections of a previous dnsmasq in TIME_WAIT do not count, a listener does */
		if (types[i] == SOCK_STREAM)
			setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		if (bind(fd, (const struct sockaddr *)(const void *)&sa, sizeof sa) < 0)
			return false;
	}
	return true;
}
