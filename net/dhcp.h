/* SPDX-License-Identifier: MIT */
/*
 * net/dhcp.h - ends a lease by what its client would send
 *
 * dnsmasq does not re-read its lease file, so this is how it learns of an end while it runs.
 */
#ifndef NET_DHCP_H
#define NET_DHCP_H

#include "base/err.h"
#include "net/facts.h"

/* Sends the DHCPRELEASE of a client with this MAC and address to the server on this bridge of the
 * host, as if it had come by the bridge. It has no client identifier, so the MAC decides. Does not
 * block, and nobody answers. */
int dhcp_release(const char *bridge, uint32_t server, const uint8_t mac[ETH_ALEN], uint32_t address,
	struct err *e);

#endif
