/* SPDX-License-Identifier: MIT */
/*
 * net/rtnl.h - links and addresses by rtnetlink, one synchronous request at a time
 *
 * The kernel answers within the call (0.05 to 0.5 ms), so nothing here blocks on another process.
 * libnl builds and sends requests; the answer is parsed here, because libnl maps errnos to its own
 * codes and loses the kernel's text. libnl-route is not used: it has no setter for bridge options.
 */
#ifndef NET_RTNL_H
#define NET_RTNL_H

#include "base/err.h"
#include "net/facts.h"

struct rtnl;

struct rtnl *rtnl_new(struct err *e); /* in the current network namespace */
void rtnl_free(struct rtnl *r);

/* All links, IPv4 addresses, IPv4 routes except default routes, and ip_forward. */
int rtnl_facts(struct rtnl *r, struct net_facts *f, struct err *e);

/* One link; index 0 and no error if there is none of that name. */
int rtnl_link(struct rtnl *r, const char *name, struct net_link *l, struct err *e);
int rtnl_link_at(struct rtnl *r, int index, struct net_link *l, struct err *e); /* likewise */

/* Makes a bridge with this fixed MAC, STP off, no forward delay, up; mtu 0: the kernel's default.
 * An existing bridge gets these settings. ERR_CONFLICT if a link of another kind has that name. */
int rtnl_bridge(struct rtnl *r, const char *name, const uint8_t mac[ETH_ALEN], unsigned mtu,
	int *index, struct err *e);
int rtnl_address(struct rtnl *r, int index, uint32_t address, unsigned prefix, struct err *e);
int rtnl_alias(struct rtnl *r, int index, const char *alias, struct err *e);
/* Disables the fe80:: address; call before setting the link up. No-op on a host without IPv6. */
int rtnl_no_addrgen(struct rtnl *r, int index, struct err *e);
int rtnl_up(struct rtnl *r, int index, bool up, struct err *e);
/* The link is down afterwards. */
int rtnl_rename(struct rtnl *r, int index, const char *name, struct err *e);
/* Sets MAC and master first, then IFF_UP if up is set: in a single message the kernel would set it
 * up first, and leave it up if the master is refused. mtu 0: unchanged. On failure, part of it may
 * be done. */
int rtnl_enslave(struct rtnl *r, int index, int master, const uint8_t mac[ETH_ALEN], unsigned mtu,
	bool up, struct err *e);
/* 0 also if it was gone. */
int rtnl_delete(struct rtnl *r, int index, struct err *e);

#endif
