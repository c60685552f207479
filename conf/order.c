/* SPDX-License-Identifier: MIT */
#include "conf/order.h"

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

static const char *order_nth(const struct order_vm *vm, size_t k)
{
	if (k < vm->after->n)
		return vm->after->item[k];
	k -= vm->after->n;
	return k < vm->requires->n ? vm->requires->item[k] : NULL;
}

bool order_follows(const struct order_vm *vm, const char *other)
{
	const char *name;

	for (size_t k = 0; (name = order_nth(vm, k)); k++)
		if (streq(name, other))
			return true;
	return false;
}

static void order_write_ring(
	const struct order_vm *vm, const size_t *from, size_t start, size_t last, struct buf *ring)
{
	struct buf text = BUF_INIT, longer = BUF_INIT;

	/* the path is walked backwards, so prepend each name */
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

		for (size_t k = 0; !found && (name = order_nth(&vm[at], k)); k++) {
			size_t next = order_find(vm, n, name);

			found = next == i;
			if (found && ring)
				order_write_ring(vm, from, i, at, ring);
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

/* Called for i and a direct dependency, other: updates the value of one of them. True if it
 * changed. */
typedef bool relax_fn(const struct order_vm *vm, size_t n, void *values, size_t i, size_t other);

/* Repeats until nothing changes, or for the given number of passes if there are cycles. */
static void order_relax(
	const struct order_vm *vm, size_t n, size_t passes, relax_fn *change, void *values)
{
	bool changed = true;
	const char *name;

	for (size_t pass = 0; changed && pass < passes; pass++) {
		changed = false;
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; (name = order_nth(&vm[i], k)); k++) {
				size_t other = order_find(vm, n, name);

				if (other != n)
					changed |= change(vm, n, values, i, other);
			}
	}
}

static bool order_lift(const struct order_vm *vm, size_t n, void *values, size_t i, size_t other)
{
	unsigned *level = values;

	if (level[i] > level[other] || level[i] >= n)
		return false;
	level[i] = level[other] + 1;
	return true;
}

void order_levels(const struct order_vm *vm, size_t n, unsigned *level)
{
	for (size_t i = 0; i < n; i++)
		level[i] = 1;
	order_relax(vm, n, n, order_lift, level);
}

static bool order_put_later(
	const struct order_vm *vm, size_t n, void *values, size_t i, size_t other)
{
	unsigned *step = values;

	if (other == i || step[other] > step[i] || step[other] > n)
		return false;
	step[other] = step[i] < n ? step[i] + 1 : (unsigned)n + 1;
	return true;
}

void order_steps(const struct order_vm *vm, size_t n, unsigned *step)
{
	for (size_t i = 0; i < n; i++)
		step[i] = 1;
	order_relax(vm, n, n + 1, order_put_later, step);
}

static uint64_t order_sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static bool order_raise_to(uint64_t *ms, uint64_t least)
{
	if (least <= *ms)
		return false;
	*ms = least;
	return true;
}

static bool order_add_below(
	const struct order_vm *vm, size_t n, void *values, size_t i, size_t other)
{
	uint64_t *ms = values;

	return other != i && order_raise_to(&ms[i], order_sum(vm[i].stop_ms, ms[other]));
}

void order_times(const struct order_vm *vm, size_t n, uint64_t *ms)
{
	for (size_t i = 0; i < n; i++)
		ms[i] = vm[i].stop_ms;
	order_relax(vm, n, n, order_add_below, ms);
}

static bool order_add_before(
	const struct order_vm *vm, size_t n, void *values, size_t i, size_t other)
{
	uint64_t *ms = values;

	return other != i && order_raise_to(&ms[other], order_sum(vm[i].stop_ms, ms[i]));
}

void order_times_before(const struct order_vm *vm, size_t n, uint64_t *ms)
{
	for (size_t i = 0; i < n; i++)
		ms[i] = 0;
	order_relax(vm, n, n, order_add_before, ms);
}

/* The direct dependency that takes longest; n: none. */
static size_t order_longest_below(const struct order_vm *vm, size_t n, const uint64_t *ms, size_t i)
{
	size_t longest = n;
	const char *name;

	for (size_t k = 0; (name = order_nth(&vm[i], k)); k++) {
		size_t other = order_find(vm, n, name);

		if (other < n && other != i && (longest == n || ms[other] > ms[longest]))
			longest = other;
	}
	return longest;
}

uint64_t order_below(const struct order_vm *vm, size_t n, const uint64_t *ms, size_t i)
{
	size_t longest = order_longest_below(vm, n, ms, i);

	return longest < n ? ms[longest] : 0;
}

size_t order_chain(
	const struct order_vm *vm, size_t n, const uint64_t *ms, size_t i, struct buf *chain)
{
	size_t members = 0;

	for (; i < n && members < n; i = order_longest_below(vm, n, ms, i))
		buf_printf(chain, "%s%s", members++ ? " -> " : "", vm[i].name);
	return members;
}

uint64_t order_share(uint64_t left, uint64_t own, uint64_t below, unsigned levels)
{
	uint64_t part = left / (levels ? levels : 1), rest = below < left ? left - below : 0;
	uint64_t share = part > rest ? part : rest;

	return share < own ? share : own;
}
