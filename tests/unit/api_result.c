/* SPDX-License-Identifier: MIT */
/*
 * Proves that what verbs return is described in one place: each verb has its JSON schema in
 * tests/golden/schema (UPDATE_GOLDEN=1 writes them: then read the diff), and the daemon's answers
 * become objects with all of their keys, integers for bytes and seconds, and null for unknown
 * values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/api/result.h"

#define SCHEMAS "tests/golden/schema"

static void the_schema_of_each_verb_is_golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_verbs_n; i++) {
		char *path = xasprintf(SCHEMAS "/%s.json", api_verbs[i].execute);
		json_t *schema, *golden;

		if (api_verbs[i].command) {
			schema = api_json_schema(&api_verbs[i]);
			if (getenv("UPDATE_GOLDEN"))
				assert_int_equal(json_dump_file(schema, path, JSON_INDENT(1)), 0);
			golden = json_load_file(path, 0, NULL);
			if (!json_equal(schema, golden))
				fail_msg("%s is another", path);
			json_decref(golden);
			json_decref(schema);
		}
		free(path);
	}
}

static void each_field_has_what_its_type_needs(const struct api_field *f)
{
	for (; f && f->name; f++) {
		bool nested = f->type == API_OBJECT || f->type == API_LIST || f->type == API_TABLE;

		assert_true(nested == (f->of != NULL));
		each_field_has_what_its_type_needs(f->of);
	}
}

static void fields_are_well_formed(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_verbs_n; i++) {
		const struct api_result *r[] = { &api_verbs[i].returns, &api_verbs[i].other };

		for (size_t k = 0; k < ARRAY_SIZE(r); k++) {
			each_field_has_what_its_type_needs(r[k]->members);
			each_field_has_what_its_type_needs(r[k]->columns);
			assert_true((r[k]->members && r[k]->columns) == (r[k]->rows != NULL));
		}
		assert_null(r[0]->with);
	}
}

static void results_become_objects(void **state)
{
	static const struct {
		const char *execute, *with, *target, *wire, *json;
	} rows[] = {
		/* one object per row, whatever the order and number of the columns */
		{ "vm-ip", NULL, "a",
			"{'columns': ['address', 'nic', 'new'], 'rows': [['10.0.0.2', 'lan', 1]]}",
			"[{'vm': 'a', 'nic': 'lan', 'network': null, 'mac': null, 'address': '10.0.0.2', 'seen': null}]" },
		{ "vm-diff", NULL, "a", "{'columns': ['section'], 'rows': []}", "[]" },
		/* members missing on the wire are added; fractions of seconds are dropped */
		{ "vm-start", NULL, "a", "{'state': 'running', 'changed': true}",
			"[{'name': 'a', 'state': 'running', 'changed': true, 'reason': null, 'notes': []}]" },
		{ "guest-freeze", NULL, "a", "{'frozen': 2, 'seconds': 10.9}",
			"[{'name': 'a', 'frozen': 2, 'seconds': 10}]" },
		{ "vm-start", NULL, "a", "{'job': 7}", "[{'name': 'a', 'job': 7}]" },
		/* names on the wire that are changed for --json */
		{ "guest-exec", NULL, "a", "{'exit': 0, 'out-data': 'aGk='}",
			"[{'name': 'a', 'exit': 0, 'signal': null, 'out_base64': 'aGk=', 'err_base64': null,"
			" 'truncated': false}]" },
		{ "net-leases", NULL, "default",
			"{'columns': ['name', 'expires'], 'rows': [['a', 5]]}",
			"[{'network': 'default', 'address': null, 'mac': null, 'vm': null, 'nic': null,"
			" 'hostname': 'a', 'expires': 5, 'seen': null}]" },
		/* a table beside members */
		{ "net-stop", "dry-run", "lan",
			"{'state': 'up', 'refused': {'class': 'Conflict', 'desc': 'no'},"
			" 'columns': ['what'], 'rows': [['nic']]}",
			"[{'name': 'lan', 'state': 'up', 'refused': {'class': 'Conflict', 'desc': 'no', 'hint': null},"
			" 'parts': [{'what': 'nic', 'name': null, 'vm': null, 'nic': null, 'address': null}]}]" },
		/* any JSON */
		{ "vm-qmp", NULL, "a", "[1]", "[{'name': 'a', 'return': [1]}]" },
		{ "query-schema", NULL, NULL, "{'api': 1}", "[{'api': 1}]" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct api_verb *v = api_verb_by_execute(rows[i].execute);
		char *texts[] = { xstrdup(rows[i].wire), xstrdup(rows[i].json) };
		json_t *doc[2], *arguments = json_object(), *objects;

		for (size_t k = 0; k < 2; k++) {
			for (char *p = texts[k]; *p; p++)
				*p = *p == '\'' ? '"' : *p;
			doc[k] = json_loads(texts[k], JSON_ALLOW_NUL, NULL);
			assert_non_null(doc[k]);
			free(texts[k]);
		}
		if (rows[i].with)
			json_object_set_new(arguments, rows[i].with, json_true());
		objects = api_objects(v, api_result_of(v, arguments), rows[i].target, doc[0]);
		if (!json_equal(objects, doc[1]))
			fail_msg("%s: %s", rows[i].execute, json_dumps(objects, JSON_COMPACT));
		json_decref(objects);
		json_decref(arguments);
		json_decref(doc[0]);
		json_decref(doc[1]);
	}
}

static void what_is_printed_is_an_array_or_one(void **state)
{
	static const struct {
		const char *execute;
		bool usual, other;
	} rows[] = {
		{ "vm-info", true, true },
		{ "vm-list", true, true },
		{ "net-show", true, true },
		{ "query-version", false, false },
		{ "reload", true, false },
		{ "vms-shutdown", true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct api_verb *v = api_verb_by_execute(rows[i].execute);

		assert_int_equal(api_is_array(v, &v->returns), rows[i].usual);
		if (v->other.with)
			assert_int_equal(api_is_array(v, &v->other), rows[i].other);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_schema_of_each_verb_is_golden),
		cmocka_unit_test(fields_are_well_formed),
		cmocka_unit_test(results_become_objects),
		cmocka_unit_test(what_is_printed_is_an_array_or_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
