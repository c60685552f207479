/* SPDX-License-Identifier: MIT */
#include "net/facts.h"

#include <arpa/inet.h>

#include "base/mem.h"

void net_facts_release(struct net_facts *f)
{
	free(f->link);
	free(f->prefix);
	*f = (struct net_facts)NET_FACTS_INIT;
}

/* The capacity doubles, so that a host with a thousand taps is handled efficiently. */
static void *facts_grow(void *list, size_t n, size_t size)
{
	if (n & (n - 1))
		return list;
	return xrealloc(list, n ? n * 2 : 1, size);
}

void net_facts_add_link(struct net_facts *f, const struct net_link *l)
{
	f->link = facts_grow(f->link, f->links, sizeof *l);
	f->link[f->links++] = *l;
}

void net_facts_add_prefix(struct net_facts *f, const struct net_prefix *p)
{
	f->prefix = facts_grow(f->prefix, f->prefixes, sizeof *p);
	f->prefix[f->prefixes++] = *p;
}

void net_facts_reserve(struct net_facts *f, const char *network, const char *bridge,
	uint32_t address, unsigned prefix)
{
	if (bridge[0] && !net_facts_link(f, bridge)) {
		struct net_link l = { .kind = "bridge" };

		snprintf(l.name, sizeof l.name, "%s", bridge);
		net_alias(l.alias, network, f->owner);
		net_facts_add_link(f, &l);
	}
	if (prefix) {
		struct net_prefix p = { .address = address, .prefix = prefix, .network = network };

		net_facts_add_prefix(f, &p);
	}
}

static const char alias_head[] = "vmkeep:network:";

void net_alias(char alias[NET_ALIAS_MAX], const char *network, const char *owner)
{
	const bool owned = owner && *owner;

	snprintf(alias, NET_ALIAS_MAX, "%s%s%s%s", alias_head, network, owned ? ":" : "",
		owned ? owner : "");
}

bool net_alias_network(const char *alias, const char *owner, char *network, size_t size)
{
	char whole[NET_ALIAS_MAX];
	const char *name = alias + sizeof alias_head - 1;

	if (strncmp(alias, alias_head, sizeof alias_head - 1) != 0 || strcspn(name, ":") >= size)
		return false;
	snprintf(network, size, "%.*s", (int)strcspn(name, ":"), name);
	net_alias(whole, network, owner);
	return streq(whole, alias);
}

const struct net_link *net_facts_link(const struct net_facts *f, const char *name)
{
	for (size_t i = 0; i < f->links; i++)
		if (streq(f->link[i].name, name))
			return &f->link[i];
	return NULL;
}

const struct net_link *net_facts_index(const struct net_facts *f, int index)
{
	for (size_t i = 0; i < f->links; i++)
		if (f->link[i].index == index)
			return &f->link[i];
	return NULL;
}

uint32_t net_mask(unsigned prefix)
{
	return prefix ? UINT32_MAX << (32 - prefix) : 0;
}

const char *net_ip(char buf[NET_IP_TEXT], uint32_t address, unsigned prefix)
{
	struct in_addr in = { htonl(address) };
	size_t len;

	inet_ntop(AF_INET, &in, buf, NET_IP_TEXT);
	len = strlen(buf);
	if (prefix)
		snprintf(buf + len, NET_IP_TEXT - len, "/%u", prefix);
	return buf;
}

bool net_ip_parse(const char *s, uint32_t *address)
{
	struct in_addr in;

	if (inet_pton(AF_INET, s, &in) != 1)
		return false;
	*address = ntohl(in.s_addr);
	return true;
}
