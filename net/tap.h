/* SPDX-License-Identifier: MIT */
/*
 * net/tap.h - a guest's end of a bridge
 *
 * Non-persistent: it lives exactly as long as somebody (QEMU) holds the descriptor, survives the
 * daemon and needs no cleaning. Closing the last descriptor blocks for about 15 ms in the kernel.
 */
#ifndef NET_TAP_H
#define NET_TAP_H

#include "base/err.h"
#include "net/facts.h"

struct rtnl;

/* A new tap named "vk0", "vk1"... with this alias (the kernel's limit is 255 bytes), down, without
 * IPv6 address. Returns its descriptor (CLOEXEC, non-blocking) or -errno. */
int tap_open(struct rtnl *r, const char *alias, char name[IFNAMSIZ], struct err *e);

/* The MAC of the tap, not of the guest: with the guest's own the host would keep its frames. First
 * byte fe, so that a bridge without MAC of its own would never take it. */
void tap_mac(uint8_t tap[ETH_ALEN], const uint8_t guest[ETH_ALEN]);

#endif
