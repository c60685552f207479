/* SPDX-License-Identifier: MIT */
/* After= and Requires= as a graph: cycles are found and named; levels, steps and times of the
 * shutdown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "conf/order.h"

enum { VMS_MAX = 8, NAMES_MAX = 4 };

struct graph {
	const char *name;
	/* sorted; each: name, after.., NULL */
	const char *vm[VMS_MAX][NAMES_MAX + 2];
	const char *ring[VMS_MAX]; /* NULL: none */
	unsigned level[VMS_MAX];   /* 0: any, for members of a cycle */
	unsigned step[VMS_MAX];	   /* 0: likewise */
	uint64_t ms[VMS_MAX];	   /* a takes 10, b 20, ... */
	const char *chain;	   /* the chain of a */
};

static const struct graph graphs[] = {
	{ "alone", { { "a" } }, { NULL }, { 1 }, { 1 }, { 10 }, "a" },
	{ "chain", { { "a", "b" }, { "b", "c" }, { "c" } }, { NULL }, { 3, 2, 1 }, { 1, 2, 3 },
		{ 60, 50, 30 }, "a -> b -> c" },
	{ "diamond", { { "a", "b", "c" }, { "b", "d" }, { "c", "d" }, { "d" } }, { NULL },
		{ 3, 2, 2, 1 }, { 1, 2, 2, 3 }, { 80, 60, 70, 40 }, "a -> c -> d" },
	{ "others are passed over", { { "a", "default", "zz" }, { "b", "a" } }, { NULL }, { 1, 2 },
		{ 2, 1 }, { 10, 30 }, "a" },
	{ "itself", { { "a", "a" } }, { "a -> a" }, { 0 }, { 1 }, { 10 }, NULL },
	{ "two", { { "a", "b" }, { "b", "a" } }, { "a -> b -> a", "b -> a -> b" }, { 0 }, { 3, 3 },
		{ 0 }, NULL },
	{ "three and who waits for them",
		{ { "a", "b" }, { "b", "c" }, { "c", "a" }, { "d", "a" } },
		{ "a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c", NULL }, { 0 },
		{ 5, 5, 5, 1 }, { 0 }, NULL },
	{ "the shortest", { { "a", "b", "c" }, { "b", "c" }, { "c", "a" } },
		{ "a -> c -> a", "b -> c -> a -> b", "c -> a -> c" }, { 0 }, { 4, 4, 4 }, { 0 },
		NULL },
};

static size_t make(const struct graph *g, struct order_vm *vm, struct conf_list *list)
{
	static const struct conf_list none = { 0 };
	size_t n = 0;

	for (; n < VMS_MAX && g->vm[n][0]; n++) {
		list[n] = (struct conf_list){ .item = (const char **)(uintptr_t)(g->vm[n] + 1) };
		while (g->vm[n][list[n].n + 1])
			list[n].n++;
		/* names of VMs and networks are treated alike */
		vm[n] = (struct order_vm){ g->vm[n][0], n % 2 ? &none : &list[n],
			n % 2 ? &list[n] : &none, (n + 1) * 10 };
	}
	return n;
}

static void rings_and_levels(void **state)
{
	struct order_vm vm[VMS_MAX];
	struct conf_list list[VMS_MAX];
	unsigned level[VMS_MAX], step[VMS_MAX];

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(graphs); k++) {
		const struct graph *g = &graphs[k];
		size_t n = make(g, vm, list);

		print_message("  %s\n", g->name);
		for (size_t i = 0; i < n; i++) {
			struct buf ring = BUF_INIT;

			assert_int_equal(order_ring(vm, n, i, &ring), g->ring[i] != NULL);
			if (g->ring[i])
				assert_string_equal(ring.data, g->ring[i]);
			buf_release(&ring);
		}
		order_levels(vm, n, level);
		for (size_t i = 0; i < n; i++) {
			if (g->level[i])
				assert_int_equal(level[i], g->level[i]);
		}
		order_steps(vm, n, step);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(step[i], g->step[i]);
	}
}

static void times_and_chains(void **state)
{
	struct order_vm vm[VMS_MAX];
	struct conf_list list[VMS_MAX];
	uint64_t ms[VMS_MAX];

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(graphs); k++) {
		const struct graph *g = &graphs[k];
		size_t n = make(g, vm, list);
		struct buf chain = BUF_INIT;

		order_times(vm, n, ms); /* terminates even if there are cycles */
		for (size_t i = 0; i < n; i++) {
			if (g->ms[i])
				assert_int_equal(ms[i], g->ms[i]);
		}
		order_chain(vm, n, ms, 0, &chain);
		if (g->chain)
			assert_string_equal(chain.data, g->chain);
		buf_release(&chain);
	}
	vm[0].stop_ms = UINT64_MAX;
	order_times(vm, 1, ms);
	assert_true(ms[0] == UINT64_MAX);
}

/* A VM's share of the time leaves enough for those that wait for it. */
static void shares(void **state)
{
	static const struct {
		uint64_t left, own, below;
		unsigned levels;
		uint64_t share;
	} cases[] = {
		{ 300, 180, 0, 1, 180 },
		{ 300, 400, 0, 1, 300 },
		{ 300, 200, 100, 2,
			200 }, /* it fits: with half of the time it would be cut short */
		{ 300, 280, 50, 2, 250 },
		{ 300, 200, 200, 2, 150 },
		{ 300, UINT64_MAX, UINT64_MAX, 3, 100 },
		{ 300, UINT64_MAX, 100, 2, 200 },
		{ 0, 200, 100, 2, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(
			order_share(cases[i].left, cases[i].own, cases[i].below, cases[i].levels),
			cases[i].share);
}

static void names_are_found(void **state)
{
	struct order_vm vm[VMS_MAX];
	struct conf_list list[VMS_MAX];
	size_t n = make(&graphs[2], vm, list);

	(void)state;
	assert_int_equal(order_find(vm, n, "a"), 0);
	assert_int_equal(order_find(vm, n, "d"), 3);
	assert_int_equal(order_find(vm, n, "e"), n);
	assert_true(order_follows(&vm[0], "c"));
	assert_false(order_follows(&vm[0], "d"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings_and_levels),
		cmocka_unit_test(times_and_chains),
		cmocka_unit_test(shares),
		cmocka_unit_test(names_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
