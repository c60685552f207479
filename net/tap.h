/* SPDX-License-Identifier: MIT */
/*
 * net/tap.h - taps, which connect guests to bridges
 *
 * Non-persistent: a tap lives as long as a process (QEMU) holds its fd, and survives the daemon.
 * The holder could make it persistent, so it is deleted when its VM is gone: by index, which the
 * kernel does not reuse, and alias. Closing the last fd and deleting a tap block in the kernel for
 * about 15 ms.
 */
#ifndef NET_TAP_H
#define NET_TAP_H

#include "base/err.h"
#include "net/facts.h"

struct rtnl;

struct tap {
	char name[IFNAMSIZ]; /* empty: none */
	int index;	     /* 0: unknown, as in records of older versions */
};

/* May taps be made? 0 or -errno. */
int tap_possible(struct err *e);
/* Makes a new tap named "vk0", "vk1"... with this alias (the kernel's limit is 255 bytes), down,
 * and restricted by tap_quiet(). Returns its fd (CLOEXEC, non-blocking) or -errno. */
int tap_open(struct rtnl *r, const char *alias, struct tap *t, struct err *e);

/* For any link. Best effort: /proc/sys may be read-only in a container, and the host may lack
 * IPv6. */
void tap_sysctl(const char *link, const char *family, const char *key, const char *value);
/* The host ignores IPv6 from it and does not answer ARP on it, so it is useless off its bridge. */
void tap_quiet(const struct tap *t);

/* Fills in the index of a tap of which only the name is known, and which a live process holds. */
void tap_find(struct rtnl *r, const char *alias, struct tap *t);

/* Calls with() with the name of each tap that this process holds, once per fd. Reads one small
 * /proc file per fd of the process. */
void tap_held(pid_t pid, void (*with)(void *data, const char *name), void *data);

/* The VM is gone: deletes its tap, whatever was done to it. Without a known index, deletes it only
 * if no process holds it: its name may have been reused. 1: a tap was deleted. */
int tap_remove(struct rtnl *r, const char *alias, const struct tap *t, struct err *e);

/* A tap of ours (by its alias) or of another vmkeepd on this host that no process holds: left by a
 * VM that is gone. */
bool tap_is_left(const struct net_link *l);

/* The MAC of the tap, as opposed to the guest's: if it had the guest's MAC, the host would keep its
 * frames. The first byte is fe, so that a bridge without its own MAC would never adopt it. */
void tap_mac(uint8_t tap[ETH_ALEN], const uint8_t guest[ETH_ALEN]);

#endif
