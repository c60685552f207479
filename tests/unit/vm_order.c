/* SPDX-License-Identifier: MIT */
/* After= and Requires= as a graph: rings are found and named, levels count the way down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/vm/order.h"

enum { VMS_MAX = 8, NAMES_MAX = 4 };

struct graph {
	const char *name;
	/* sorted; each: name, after.., NULL */
	const char *vm[VMS_MAX][NAMES_MAX + 2];
	const char *ring[VMS_MAX]; /* NULL: none */
	unsigned level[VMS_MAX];   /* 0: any, of a ring */
};

static const struct graph graphs[] = {
	{ "alone", { { "a" } }, { NULL }, { 1 } },
	{ "chain", { { "a", "b" }, { "b", "c" }, { "c" } }, { NULL }, { 3, 2, 1 } },
	{ "diamond", { { "a", "b", "c" }, { "b", "d" }, { "c", "d" }, { "d" } }, { NULL },
		{ 3, 2, 2, 1 } },
	{ "others are passed over", { { "a", "default", "zz" }, { "b", "a" } }, { NULL },
		{ 1, 2 } },
	{ "itself", { { "a", "a" } }, { "a -> a" }, { 0 } },
	{ "two", { { "a", "b" }, { "b", "a" } }, { "a -> b -> a", "b -> a -> b" }, { 0 } },
	{ "three and who waits for them",
		{ { "a", "b" }, { "b", "c" }, { "c", "a" }, { "d", "a" } },
		{ "a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c", NULL }, { 0 } },
	{ "the shortest", { { "a", "b", "c" }, { "b", "c" }, { "c", "a" } },
		{ "a -> c -> a", "b -> c -> a -> b", "c -> a -> c" }, { 0 } },
};

static size_t make(const struct graph *g, struct order_vm *vm, struct conf_list *list)
{
	static const struct conf_list none = { 0 };
	size_t n = 0;

	for (; n < VMS_MAX && g->vm[n][0]; n++) {
		list[n] = (struct conf_list){ .item = (const char **)(uintptr_t)(g->vm[n] + 1) };
		while (g->vm[n][list[n].n + 1])
			list[n].n++;
		/* one kind of name is as good as the other */
		vm[n] = (struct order_vm){ g->vm[n][0], n % 2 ? &none : &list[n],
			n % 2 ? &list[n] : &none };
	}
	return n;
}

static void rings_and_levels(void **state)
{
	struct order_vm vm[VMS_MAX];
	struct conf_list list[VMS_MAX];
	unsigned level[VMS_MAX];

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
	}
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
		cmocka_unit_test(names_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
