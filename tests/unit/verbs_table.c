/* SPDX-License-Identifier: MIT */
/*
 * Proves that each verb of the api has one handler, in the server or in the table; that the table
 * has no other verbs; and that only verbs for a VM have requirements about it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/control/server.h"
#include "supervisor/verbs/verb.h"

static size_t handlers_of(const char *execute)
{
	size_t n = 0;

	for (size_t i = 0; i < verb_table_n; i++)
		if (streq(verb_table[i].execute, execute) &&
			(verb_table[i].on_vm || verb_table[i].on_daemon))
			n++;
	return n;
}

static void each_verb_has_one_handler(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_verbs_n; i++) {
		const char *execute = api_verbs[i].execute;

		if (handlers_of(execute) + server_answers(execute) != 1)
			fail_msg("%s has %zu handlers", execute, handlers_of(execute));
	}
	for (size_t i = 0; i < verb_table_n; i++) {
		const struct verb_row *row = &verb_table[i];
		const struct api_verb *v = api_verb_by_execute(row->execute);

		assert_non_null(v);
		assert_true(!row->on_vm == !!row->on_daemon);
		assert_int_equal(
			row->on_vm != NULL, (v->target == API_VM || v->target == API_VMS) &&
						    !(v->traits & API_NAME_ONLY));
	}
}

static void only_a_verb_with_a_vm_needs_something_of_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_verbs_n; i++) {
		const struct api_verb *v = &api_verbs[i];

		assert_true(
			!(v->traits & API_NEEDS) || v->target == API_VM || v->target == API_VMS);
		assert_true(
			!(v->traits & API_NAME_ONLY) || (v->traits & API_NEEDS) == API_NAME_ONLY);
		assert_true(
			!(v->traits & API_JOINS) || v->traits & (API_NOT_BUSY | API_NEEDS_GUEST));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_verb_has_one_handler),
		cmocka_unit_test(only_a_verb_with_a_vm_needs_something_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
