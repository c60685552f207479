/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/order.h"

#include "base/mem.h"

size_t order_find(const struct order_vm *vm, size_t n, const char *name)
{
	size_t from = 0, to = n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = strcmp(name, vm[middle].name);

		if (order == 0)
			return middle;
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return n;
}

static const char *nth(const struct order_vm *vm, size_t k)
{
	if (k < vm->after->n)
		return vm->after->item[k];
	k -= vm->after->n;
	return k < vm->requires->n ? vm->requires->item[k] : NULL;
}

bool order_follows(const struct order_vm *vm, const char *other)
{
	const char *name;

	for (size_t k = 0; (name = nth(vm, k)); k++)
		if (streq(name, other))
			return true;
	return false;
}

static void write_ring(
	const struct order_vm *vm, const size_t *from, size_t start, size_t last, struct buf *ring)
{
	struct buf text = BUF_INIT, longer = BUF_INIT;

	/* walked backwards: each one is put in front */
	buf_adds(&text, vm[start].name);
	for (size_t i = last; i != start; i = from[i]) {
		buf_printf(&longer, "%s -> %s", vm[i].name, text.data);
		buf_release(&text);
		text = longer;
		longer = (struct buf)BUF_INIT;
	}
	buf_printf(ring, "%s -> %s", vm[start].name, text.data);
	buf_release(&text);
}

bool order_ring(const struct order_vm *vm, size_t n, size_t i, struct buf *ring)
{
	size_t *from, *queue, head = 0, tail = 0;
	bool found = false;
	const char *name;

	if (!vm[i].after->n && !vm[i].requires->n)
		return false;
	from = xcalloc(n, sizeof *from);
	queue = xcalloc(n, sizeof *queue);
	for (size_t k = 0; k < n; k++)
		from[k] = n;
	queue[tail++] = i;
	while (head < tail && !found) {
		size_t at = queue[head++];

		for (size_t k = 0; !found && (name = nth(&vm[at], k)); k++) {
			size_t next = order_find(vm, n, name);

			found = next == i;
			if (found && ring)
				write_ring(vm, from, i, at, ring);
			if (next == n || next == i || from[next] != n)
				continue;
			from[next] = at;
			queue[tail++] = next;
		}
	}
	free(from);
	free(queue);
	return found;
}

void order_levels(const struct order_vm *vm, size_t n, unsigned *level)
{
	bool changed = true;
	const char *name;

	for (size_t i = 0; i < n; i++)
		level[i] = 1;
	for (size_t pass = 0; changed && pass < n; pass++) {
		changed = false;
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; (name = nth(&vm[i], k)); k++) {
				size_t other = order_find(vm, n, name);

				if (other == n || level[i] > level[other] || level[i] >= n)
					continue;
				level[i] = level[other] + 1;
				changed = true;
			}
	}
}
