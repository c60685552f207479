/* SPDX-License-Identifier: MIT */
/*
 * Proves that a key which was renamed, moved or dropped still works with a warning that says until
 * when, in a file and in [Defaults]; and that each row of the real table leads to a key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "conf/renamed.h"
#include "conf/schema.h"

static const struct conf_renamed rows[] = {
	{ "VM", "RAM", NULL, "Memory", "0.2", "0.4" },
	{ "VM", "Ballooning", "Memory", "Balloon", "0.2", "0.4" },
	{ "VM", "Turbo", NULL, NULL, "0.3", "0.5" },
	{ "Disk", "Driver", NULL, "Bus", "0.2", "0.4" },
	{ 0 },
};

static struct conf_source source(const char *file, const char *text)
{
	return (struct conf_source){ .file = file, .text = text, .len = strlen(text) };
}

static void assert_text(const struct conf_problems *p, const char *expected)
{
	_cleanup_(free_ptr) char *text = conf_problems_text(p);

	assert_string_equal(text, expected);
}

static void old_keys_work_with_a_warning(void **state)
{
	const struct conf_source src = source("a.vm",
		"[VM]\nRAM=64M\nBallooning=no\nTurbo=yes\nCPUs=2\n[Disk root]\nPath=a.raw\nDriver=scsi\n");
	const struct conf_context ctx = { .uuid = "", .state_dir = "" };
	struct conf_problems p = { 0 }, all = { 0 };
	struct conf_vm c = CONF_VM_INIT;

	(void)state;
	conf_vm_parse(&c, "a", &src, 1, &ctx, &p);
	assert_int_equal(p.count, 0);
	assert_int_equal(p.warnings, 4);
	assert_int_equal(c.memory, 64 << 20);
	assert_int_equal(c.cpus, 2);
	assert_false(c.balloon);
	assert_int_equal(c.disk[0].bus, CONF_BUS_SCSI);
	assert_text(&p,
		"a.vm:2: RAM: is 'Memory' in [VM] since vmkeep 0.2; the old name is an error from 0.4 on\n"
		"a.vm:3: Ballooning: is 'Balloon' in [Memory] since vmkeep 0.2; the old name is an error "
		"from 0.4 on\n"
		"a.vm:4: Turbo: has no effect since vmkeep 0.3, and is an error from 0.5 on\n"
		"a.vm:8: Driver: is 'Bus' in [Disk] since vmkeep 0.2; the old name is an error from 0.4 on\n");
	conf_problems_add(&all, &p);
	assert_int_equal(all.count, 0);
	assert_int_equal(all.warnings, 4);
	assert_int_equal(conf_problems_err(&all, NULL), 0);
	conf_problems_release(&all);
	conf_problems_release(&p);
	conf_vm_release(&c);
}

static void a_bad_value_is_an_error_all_the_same(void **state)
{
	const struct conf_source src =
		source("a.vm", "[VM]\nRAM=lots\nTurbos=1\n[Disk root]\nPath=a.raw\n");
	const struct conf_context ctx = { .uuid = "", .state_dir = "" };
	struct conf_problems p = { 0 }, all = { 0 };
	struct conf_vm c = CONF_VM_INIT;

	(void)state;
	conf_vm_parse(&c, "a", &src, 1, &ctx, &p);
	assert_int_equal(p.warnings, 1);
	assert_int_equal(p.count, 2);
	conf_problems_add(&all, &p);
	assert_int_equal(all.count, 2);
	conf_problems_release(&all);
	conf_problems_release(&p);
	conf_vm_release(&c);
}

static void defaults_too(void **state)
{
	const struct conf_source conf = source("vmkeep.conf",
					 "[Defaults]\nVM.RAM=32M\nVM.Ballooning=no\nVM.Turbo=1\n"),
				 src = source("a.vm", "[VM]\n[Disk root]\nPath=a.raw\n");
	struct conf_daemon d = CONF_DAEMON_INIT;
	const struct conf_context ctx = { .defaults = &d, .uuid = "", .state_dir = "" };
	struct conf_problems p = { 0 };
	struct conf_vm c = CONF_VM_INIT;

	(void)state;
	conf_daemon_parse(&d, &conf, 1, &p);
	assert_int_equal(p.count, 0);
	assert_int_equal(p.warnings, 3);
	conf_vm_parse(&c, "a", &src, 1, &ctx, &p);
	assert_int_equal(p.count, 0);
	assert_int_equal(c.memory, 32 << 20);
	assert_false(c.balloon);
	conf_problems_release(&p);
	conf_vm_release(&c);
	conf_daemon_release(&d);
}

static const struct conf_schema *const schemas[] = { &conf_vm_schema, &conf_network_schema,
	&conf_daemon_schema, &conf_image_schema };

/* The old key no longer exists, the new one does, and can be reached. */
static void each_row_leads_to_a_key(void **state)
{
	(void)state;
	for (const struct conf_renamed *r = conf_renamed_keys; r->section; r++) {
		const char *to = r->to_section ? r->to_section : r->section;
		bool found = !r->to_key;

		for (size_t i = 0; i < ARRAY_SIZE(schemas); i++) {
			const struct conf_section *old = conf_section_find(schemas[i], r->section),
						  *s = conf_section_find(schemas[i], to);

			if (old && conf_key_find(old, r->key))
				fail_msg("%s.%s is still a key", r->section, r->key);
			found |= old && s && r->to_key && conf_key_find(s, r->to_key) &&
				 (!r->to_section || !s->size);
		}
		if (!found || !r->since || !r->until)
			fail_msg("%s.%s leads nowhere", r->section, r->key);
	}
}

static int put_rows(void **state)
{
	(void)state;
	conf_renamed_keys = rows;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_leads_to_a_key), /* of the real table */
		cmocka_unit_test_setup(old_keys_work_with_a_warning, put_rows),
		cmocka_unit_test(a_bad_value_is_an_error_all_the_same),
		cmocka_unit_test(defaults_too),
		cmocka_unit_test(each_row_leads_to_a_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
