/* SPDX-License-Identifier: MIT */
/*
 * net/nft.h - the rules of one network as text for `nft -f -`
 *
 * One table per network, replaced whole in one transaction. Guests reach the world behind the
 * host's addresses and each other; on the host only DHCP, DNS and ping of the bridge's own address;
 * never 127.0.0.0/8 or 169.254.0.0/16 through it; nobody outside opens a connection to them. A source
 * address that is not of the network gets no answer.
 */
#ifndef NET_NFT_H
#define NET_NFT_H

#include "base/buf.h"
#include "net/facts.h"

struct nft_network {
	const char *table, *bridge;
	uint8_t mac[ETH_ALEN];
	uint32_t address; /* of the host in it */
	unsigned prefix;
	bool dhcp, dns;
};

/* What comes in by a tap of ours and reaches the host's stack: it is on no bridge (any more), and all of
 * it is dropped, before defragmentation and connection tracking. Frames on a bridge do not pass here, not
 * even with br_netfilter, for which they come in by the bridge. The kind is compared too, because bridges
 * of ours may be called vkbr-NAME and other people's interfaces anything. */
void nft_taps(struct buf *b, const char *table);
void nft_rules(struct buf *b, const struct nft_network *n);
/* Deletes the table, and is content when there is none. */
void nft_delete(struct buf *b, const char *table);

#endif
