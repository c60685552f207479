/* SPDX-License-Identifier: MIT */
/*
 * conf/order.h - the After=/Requires= graph: start and stop order, and how long a shutdown takes;
 * pure
 *
 * Strings and lists are borrowed. Names other than those of the given VMs (networks, unknown
 * names) are ignored.
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
	uint64_t stop_ms; /* time it may take to stop; UINT64_MAX: no limit */
};

/* The array is sorted by name; n: not found. */
size_t order_find(const struct order_vm *vm, size_t n, const char *name);
/* True if vm lists other in After= or Requires=: it starts after it and stops before it. */
bool order_follows(const struct order_vm *vm, const char *other);
/* True if i depends on itself; ring then gets the shortest such cycle, "a -> b -> a". */
bool order_ring(const struct order_vm *vm, size_t n, size_t i, struct buf *ring);
/* Minimum number of steps to stop it and then everything it depends on: 1 without dependencies.
 * In cycles, at most n. */
void order_levels(const struct order_vm *vm, size_t n, unsigned *level);
/* The other direction: the step in which it may stop, 1 for the first. n + 1: never, because it
 * is in a cycle or waits for one. */
void order_steps(const struct order_vm *vm, size_t n, unsigned *step);
/* Maximum time to stop it and then, one after the other, everything it depends on, along the
 * longest chain. UINT64_MAX: no limit. With cycles it terminates, but the result means nothing. */
void order_times(const struct order_vm *vm, size_t n, uint64_t *ms);
/* The longest order_times() among its direct dependencies; 0: none. */
uint64_t order_below(const struct order_vm *vm, size_t n, const uint64_t *ms, size_t i);
/* Writes that chain, "web -> app -> db", and returns its length. Not for cycles. */
size_t order_chain(
	const struct order_vm *vm, size_t n, const uint64_t *ms, size_t i, struct buf *chain);
/* Maximum time until everything that stops before it, directly or indirectly, has stopped:
 * without its own stop time. */
void order_times_before(const struct order_vm *vm, size_t n, uint64_t *ms);
/* A guest's share of the remaining budget: what its dependencies leave, but no less than an equal
 * part and no more than its own time. below: its order_below(); levels: its order_levels(). */
uint64_t order_share(uint64_t left, uint64_t own, uint64_t below, unsigned levels);

#endif
