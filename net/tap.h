/* SPDX-License-Identifier: MIT */
/*
 * net/tap.h - a guest's end of a bridge
 *
 * Non-persistent: it lives as long as a process (QEMU) holds the descriptor and survives the daemon.
 * The holder may make it persistent, so it is deleted when its VM is gone, by index, which the kernel
 * does not use twice, and alias. Closing the last descriptor, and deleting, block for about 15 ms in the
 * kernel.
 */
#ifndef NET_TAP_H
#define NET_TAP_H

#include "base/err.h"
#include "net/facts.h"

struct rtnl;

struct tap {
	char name[IFNAMSIZ]; /* empty: none */
	int index;	     /* 0: not known, as in records of older versions */
};

/* A new tap named "vk0", "vk1"... with this alias (the kernel's limit is 255 bytes), down, shut as by
 * tap_quiet(). Returns its descriptor (CLOEXEC, non-blocking) or -errno. */
int tap_open(struct rtnl *r, const char *alias, struct tap *t, struct err *e);

/* Of any link. Best effort: /proc/sys may be read-only in a container, and a host may have no IPv6. */
void tap_sysctl(const char *link, const char *family, const char *key, const char *value);
/* The host takes no IPv6 from it and answers no ARP on it, so that it is of no use off its bridge. */
void tap_quiet(const struct tap *t);

/* Finds its index where only the name is known, of one that a living process holds. */
void tap_find(struct rtnl *r, const char *alias, struct tap *t);

/* Calls with the name of each tap that this process holds, as often as it does. Reads up to as many small files of
 * the kernel's as it has descriptors. */
void tap_held(pid_t pid, void (*with)(void *data, const char *name), void *data);

/* Its VM is gone: deletes what is left of it, whatever was done to it. One without a known index is
 * deleted only when no process holds it: its name may be another's by now. 1: there was something to
 * delete. */
int tap_remove(struct rtnl *r, const char *alias, const struct tap *t, struct err *e);

/* A tap of ours, by its alias, or of another vmkeepd on this host, that no process holds: left by a
 * VM that is gone. */
bool tap_is_left(const struct net_link *l);

/* The MAC of the tap, not of the guest: with the guest's own the host would keep its frames. First
 * byte fe, so that a bridge without MAC of its own would never take it. */
void tap_mac(uint8_t tap[ETH_ALEN], const uint8_t guest[ETH_ALEN]);

#endif
