/* SPDX-License-Identifier: MIT */
/*
 * net/nft.h - the rules of one network as text for `nft -f -`
 *
 * One table per network, replaced as a whole in one transaction. Guests can reach the outside
 * world, masqueraded as the host, and each other; on the host only DHCP, DNS and ping at the
 * bridge's own address; never 127.0.0.0/8 or 169.254.0.0/16 through it. Nobody outside can open a
 * connection to them. Packets with a source address outside the network get no reply.
 */
#ifndef NET_NFT_H
#define NET_NFT_H

#include "base/buf.h"
#include "net/facts.h"

struct nft_network {
	const char *table, *bridge;
	uint8_t mac[ETH_ALEN];
	uint32_t address; /* the host's address in the network */
	unsigned prefix;
	bool dhcp, dns;
};

/* Drops whatever one of our taps delivers to the host's stack: such a tap is not on a bridge (any
 * more). This happens before defragmentation and connection tracking. Bridged frames do not pass
 * here, not even with br_netfilter, which sees them coming in by the bridge. The link kind is
 * compared too, because our bridges may be called vkbr-NAME, and other people's interfaces
 * anything. */
void nft_taps(struct buf *b, const char *table);
void nft_rules(struct buf *b, const struct nft_network *n);
/* Deletes the table; no error if there is none. */
void nft_delete(struct buf *b, const char *table);
/* True if the kernel says that there is no such table: `nft flush ruleset`, which is what a reload of
 * nftables.service does, removes everybody's. */
bool nft_is_lost(const char *table);

#endif
