/* SPDX-License-Identifier: MIT */
/*
 * net/rtnl.h - links and addresses by rtnetlink, one synchronous request at a time
 *
 * The kernel answers in the same call (0.05 to 0.5 ms), so nothing here waits for anybody. libnl
 * builds and sends; the answer is read here, because libnl folds errnos into codes of its own and
 * loses the kernel's text. libnl-route has no setter for a bridge's options and is not used.
 */
#ifndef NET_RTNL_H
#define NET_RTNL_H

#include "base/err.h"
#include "net/facts.h"

struct rtnl;

struct rtnl *rtnl_new(struct err *e); /* for the network namespace of the moment */
void rtnl_free(struct rtnl *r);

/* All links, IPv4 addresses and routes but default ones, and ip_forward. */
int rtnl_facts(struct rtnl *r, struct net_facts *f, struct err *e);

/* One link; index 0 and no error when there is none of that name. */
int rtnl_link(struct rtnl *r, const char *name, struct net_link *l, struct err *e);
int rtnl_link_at(struct rtnl *r, int index, struct net_link *l, struct err *e); /* likewise */

/* A bridge with this fixed MAC, STP off, no forward delay, up; mtu 0: the kernel's. Also when it
 * stands already, then it is set right. A link of another kind with that name is ERR_CONFLICT. */
int rtnl_bridge(struct rtnl *r, const char *name, const uint8_t mac[ETH_ALEN], unsigned mtu,
	int *index, struct err *e);
int rtnl_address(struct rtnl *r, int index, uint32_t address, unsigned prefix, struct err *e);
int rtnl_alias(struct rtnl *r, int index, const char *alias, struct err *e);
/* No fe80:: address when it comes up; to be called before. Nothing on a host without IPv6. */
int rtnl_no_addrgen(struct rtnl *r, int index, struct err *e);
int rtnl_up(struct rtnl *r, int index, bool up, struct err *e);
/* It is down afterwards. */
int rtnl_rename(struct rtnl *r, int index, const char *name, struct err *e);
/* MAC and master, and only then, when up is set, IFF_UP: in one message the kernel sets it up first, and
 * leaves it so where the master is refused. mtu 0: left alone. Where it fails, part of it may be done. */
int rtnl_enslave(struct rtnl *r, int index, int master, const uint8_t mac[ETH_ALEN], unsigned mtu,
	bool up, struct err *e);
/* 0 also when it was gone. */
int rtnl_delete(struct rtnl *r, int index, struct err *e);

#endif
