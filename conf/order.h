/* SPDX-License-Identifier: MIT */
/*
 * conf/order.h - who comes before whom: After= and Requires= as a graph, pure; how long the way
 * down takes
 *
 * Strings and lists are borrowed. Names that are none of the given VMs' (networks, unknown ones)
 * are passed over.
 */
#ifndef CONF_ORDER_H
#define CONF_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/vm.h"

struct order_vm {
	const char *name;
	const struct conf_list *after, *requires;
	uint64_t stop_ms; /* that it may take to go down; UINT64_MAX: no limit */
};

/* The list's sorted by name; n: not there. */
size_t order_find(const struct order_vm *vm, size_t n, const char *name);
/* Does it come before the other one? */
bool order_follows(const struct order_vm *vm, const char *other);
/* Is it, by way of others, to come after itself? Then the shortest such ring, "a -> b -> a". */
bool order_ring(const struct order_vm *vm, size_t n, size_t i, struct buf *ring);
/* How many steps, at the least, it takes to stop it and then all that it comes after: 1 for who
 * comes after none. Rings count as far as n. */
void order_levels(const struct order_vm *vm, size_t n, unsigned *level);
/* The other way round: when it is its turn to go down, 1 for those that go first. n + 1: never, for
 * it is in a ring or waits for one. */
void order_steps(const struct order_vm *vm, size_t n, unsigned *step);
/* How long it takes at most to stop it and then, one after the other, all that it comes after:
 * along the longest such chain. UINT64_MAX: no limit. Of rings it is only said that they end. */
void order_times(const struct order_vm *vm, size_t n, uint64_t *ms);
/* That of the longest of those that it comes right after; 0: none. */
uint64_t order_below(const struct order_vm *vm, size_t n, const uint64_t *ms, size_t i);
/* That chain, "web -> app -> db". How many VMs it has; not for rings. */
size_t order_chain(
	const struct order_vm *vm, size_t n, const uint64_t *ms, size_t i, struct buf *chain);
/* Which others it goes before, by way of others too: the longest way here, stop times without its
 * own. */
void order_times_before(const struct order_vm *vm, size_t n, uint64_t *ms);
/* Of what is left of the budget of all, what a guest gets: its own time, where those that wait for
 * it have theirs too; else its part. below: its order_below(); levels: its order_levels(). */
uint64_t order_share(uint64_t left, uint64_t own, uint64_t below, unsigned levels);

#endif
