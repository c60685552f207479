/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/order.h - who comes before whom: After= and Requires= as a graph, pure
 *
 * Strings and lists are borrowed. Names that are none of the given VMs' (networks, unknown ones)
 * are passed over.
 */
#ifndef SUPERVISOR_VM_ORDER_H
#define SUPERVISOR_VM_ORDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "conf/vm.h"

struct order_vm {
	const char *name;
	const struct conf_list *after, *requires;
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

#endif
