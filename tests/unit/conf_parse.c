/* SPDX-License-Identifier: MIT */
/*
 * Text becomes a struct: presets, [Defaults], drop-ins, lists, specifiers, implicit sections; and
 * every problem is reported with its line and its fix, all in one run.
 */
#include "conf/schema.h"

#include <stdio.h>

#include "tests/unit/conf_case.h"

#define ROOT "[Disk root]\nPath=web1.qcow2\n"

static void four_lines_make_a_vm(void **state)
{
	struct conf_vm c;

	(void)state;
	conf_case_good(&c, "[VM]\nMemory=512M\n" ROOT);
	assert_string_equal(c.name, "web1");
	assert_string_equal(c.place.file, "web1.vm");
	assert_int_equal(c.cpus, 1);
	assert_int_equal(c.memory, 512 << 20);
	assert_string_equal(c.machine, "q35");
	assert_int_equal(c.accel, CONF_ACCEL_KVM);
	assert_null(c.uuid);
	assert_true(c.balloon && c.deflate_on_oom && c.free_page_reporting && c.tablet);
	assert_int_equal(c.firmware, CONF_FIRMWARE_AUTO);
	assert_int_equal(c.clock, CONF_CLOCK_UTC);
	assert_string_equal(c.listen, "unix");
	assert_int_equal(c.port, 0);
	assert_string_equal(c.rng_source, "/dev/urandom");
	assert_int_equal(c.timeout_start_ms, 30000);
	assert_int_equal(c.timeout_stop_ms, 180000);
	assert_int_equal(c.on_stop_timeout, CONF_STOP_TIMEOUT_LEAVE);
	assert_int_equal(c.on_power_off, CONF_ENDING_STOP);
	assert_int_equal(c.on_reboot, CONF_ENDING_RESTART);
	assert_int_equal(c.restart, CONF_RESTART_ON_FAILURE);
	assert_int_equal(c.restart_ms, 5000);
	assert_int_equal(c.start_limit_burst, 5);
	assert_int_equal(c.start_limit_interval_ms, 600000);
	assert_int_equal(c.start_limit_per_day, 20);

	assert_int_equal(c.disks, 1);
	assert_string_equal(c.disk[0].id, "root");
	assert_int_equal(c.disk[0].place.line, 3);
	assert_string_equal(c.disk[0].path, "web1.qcow2");
	assert_int_equal(c.disk[0].format, CONF_FORMAT_AUTO);
	assert_int_equal(conf_disk_format(&c.disk[0]), CONF_FORMAT_QCOW2);
	assert_int_equal(c.disk[0].discard, CONF_DISCARD_UNMAP);
	assert_int_equal(c.disk[0].on_error, CONF_ON_ERROR_ENOSPC);

	assert_int_equal(c.nics, 1);
	assert_string_equal(c.nic[0].id, "lan");
	assert_null(c.nic[0].place.file);
	assert_string_equal(c.nic[0].network, "default");
	assert_true(c.nic[0].link);
	assert_int_equal(c.serials, 1);
	assert_string_equal(c.serial[0].id, "console");
	assert_int_equal(c.serial[0].log_size, 4 << 20);
	assert_int_equal(c.serial[0].log_keep, 3);
	conf_vm_release(&c);
	assert_null(c.arena.head);
}

static void problems_name_line_and_cure(void **state)
{
	static const struct conf_case cases[] = {
		{ ROOT "[Dsk a]\nPath=x\n",
			"web1.vm:3: [Dsk a]: unknown section, did you mean [Disk]?\n" },
		{ ROOT "[nic a]\n", "web1.vm:3: [nic a]: unknown section, did you mean [NIC]?\n" },
		{ ROOT "[Bananas]\n", "web1.vm:3: [Bananas]: unknown section\n" },
		{ ROOT "[VM]\nMemry=1G\n",
			"web1.vm:4: Memry: unknown key in [VM], did you mean 'Memory'?\n" },
		{ ROOT "[VM]\nMEMORY=1G\n",
			"web1.vm:4: MEMORY: unknown key in [VM], did you mean 'Memory'?\n" },
		{ ROOT "[VM]\nRestart=no\n",
			"web1.vm:4: Restart: unknown key in [VM], did you mean it in [Lifecycle]?\n" },
		{ ROOT "[VM]\nBananas=2\n", "web1.vm:4: Bananas: unknown key in [VM]\n" },
		{ ROOT "[VM]\n[CPU]\n[VM]\n",
			"web1.vm:5: [VM]: this section already began on line 3\n" },
		{ ROOT "[Disk  root]\n",
			"web1.vm:3: [Disk root]: this section already began on line 1\n" },
		{ ROOT "[Disk Root]\nPath=a.raw\n",
			"web1.vm:3: [Disk Root]: its id is taken by 'root' (web1.vm:1)\n" },
		{ ROOT "[CDROM root]\n",
			"web1.vm:3: [CDROM root]: its id is taken by 'root' (web1.vm:1)\n" },
		{ ROOT "[NIC a]\n[NIC A]\n",
			"web1.vm:4: [NIC A]: its id is taken by 'a' (web1.vm:3)\n" },
		{ ROOT "[NIC]\n", "web1.vm:3: [NIC]: needs an id, such as [NIC a]\n" },
		{ ROOT "[VM web1]\n", "web1.vm:3: [VM web1]: [VM] takes no id\n" },
		{ ROOT "[NIC -a]\n",
			"web1.vm:3: [NIC -a]: the id must be letters, digits, '.', '_' and '-', at most 31, "
			"and begin with a letter or digit\n" },
		{ ROOT "[NIC a b]\n",
			"web1.vm:3: [NIC a b]: the id must be letters, digits, '.', '_' and '-', at most "
			"31, and begin with a letter or digit\n" },
		{ ROOT "[NIC a123456789b123456789c123456789d1]\n",
			"web1.vm:3: [NIC a123456789b123456789c123456789d1]: the id must be letters, digits, "
			"'.', '_' and '-', at most 31, and begin with a letter or digit\n" },
		{ ROOT "[VM]\nX-a.b=c\n", "web1.vm:4: X-a.b: a key cannot hold a '.'\n" },
		/* all of them, in the order of the lines */
		{ ROOT "[VM]\nCPUs=two\nMemory=12X\nfoo\n[Wat]\nCPUs=0\n[VM]\n",
			"web1.vm:4: CPUs: 'two' is not a number from 1 to 1024\n"
			"web1.vm:5: Memory: '12X' is not a size such as 512M, at least 1M, at most 64T, a "
			"multiple of 1M\n"
			"web1.vm:6: no '=' here; lines are Key=value\n"
			"web1.vm:7: [Wat]: unknown section\n"
			"web1.vm:9: [VM]: this section already began on line 3\n" },
	};

	(void)state;
	conf_case_check(cases, ARRAY_SIZE(cases));
}

static void drop_ins_override_and_lists_accumulate(void **state)
{
	const struct conf_source src[] = {
		conf_case_source(
			"web1.vm", "[VM]\nCPUs=2\nMemory=2G\nOwner=a\nOwner=b\nMachine=pc\n" ROOT),
		conf_case_source("web1.vm.d/10-a.conf",
			"[VM]\nMemory=4G\nOwner=c\nMachine=\n[Disk root]\nCache=unsafe\n[NIC x]\n"),
		conf_case_source("web1.vm.d/20-b.conf", "[VM]\nOwner=\nOwner=d\n[Disk Root]\n"),
	};
	struct conf_problems p = { 0 };
	struct conf_vm c = CONF_VM_INIT;

	(void)state;
	conf_vm_parse(&c, "web1", src, 2, &conf_case_context, &p);
	conf_case_no_problems(&p);
	assert_int_equal(c.cpus, 2);
	assert_int_equal(c.memory, UINT64_C(4) << 30);
	assert_string_equal(c.machine, "q35"); /* empty: back to the preset */
	assert_int_equal(c.owner.n, 3);
	assert_int_equal(c.disks, 1);
	assert_string_equal(c.disk[0].path, "web1.qcow2");
	assert_int_equal(c.disk[0].cache, CONF_CACHE_UNSAFE);
	assert_int_equal(c.nics, 1);
	assert_string_equal(c.nic[0].id, "x");
	assert_string_equal(c.nic[0].place.file, "web1.vm.d/10-a.conf");
	conf_vm_release(&c);

	conf_vm_parse(&c, "web1", src, 3, &conf_case_context, &p);
	problems_are(
		&p, "web1.vm.d/20-b.conf:4: [Disk Root]: its id is taken by 'root' (web1.vm:7)\n");
	assert_int_equal(c.owner.n, 1);
	assert_string_equal(c.owner.item[0], "d");
	conf_problems_release(&p);
	conf_vm_release(&c);
}

/* As in unit files. */
static void the_last_of_equal_keys_holds(void **state)
{
	struct conf_vm c;

	(void)state;
	conf_case_good(&c, ROOT "[VM]\nCPUs=2\nCPUs=3\nMemory=2G\nMemory=\n");
	assert_int_equal(c.cpus, 3);
	assert_int_equal(c.memory, 1 << 30);
	conf_vm_release(&c);
}

static void sections_nobody_wrote(void **state)
{
	struct conf_vm c;

	(void)state;
	conf_case_good(&c, ROOT "[VM]\nNetworks=none\n");
	assert_int_equal(c.nics, 0);
	conf_vm_release(&c);

	conf_case_good(&c, ROOT "[VM]\nNetworks=none\n[NIC a]\n[Serial s]\nType=virtio\n");
	assert_int_equal(c.nics, 1);
	assert_string_equal(c.nic[0].network, "default");
	assert_int_equal(c.serials, 1);
	assert_string_equal(c.serial[0].id, "s");
	conf_vm_release(&c);

	conf_case_good(&c, "[Disk data]\nSize=20G\n[NIC a]\nBridge=br0\n");
	assert_string_equal(c.disk[0].path, "web1-data.qcow2");
	assert_string_equal(c.nic[0].bridge, "br0");
	assert_null(c.nic[0].network);
	conf_vm_release(&c);
}

/* The order of sections in the file does not matter: the machine is the same. */
static void disks_stand_before_cds(void **state)
{
	static const char *const ids[] = { "b", "a", "y", "x" };
	struct conf_vm c;

	(void)state;
	conf_case_good(&c, "[CDROM y]\n[Disk b]\nPath=b.raw\n[CDROM x]\n[Disk a]\nPath=a.raw\n"
			   "[NIC n]\n[Boot]\nOrder=a\n");
	assert_int_equal(c.disks, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(c.disk[i].id, ids[i]);
		assert_int_equal(c.disk[i].cdrom, i >= 2);
	}
	assert_string_equal(c.disk[0].path, "b.raw");
	assert_string_equal(c.disk[1].path, "a.raw");
	conf_vm_release(&c);
}

static void limits(void **state)
{
	struct buf text = BUF_INIT;
	struct conf_problems p = { 0 };
	struct conf_vm c;
	struct err e;

	(void)state;
	buf_adds(&text, ROOT);
	for (int i = 0; i <= 32; i++)
		buf_printf(&text, "[NIC n%d]\n", i);
	conf_case_vm(&c, text.data, &p);
	problems_are(&p, "web1.vm:35: [NIC n32]: at most 32 are possible\n");
	assert_int_equal(c.nics, 32);
	assert_string_equal(c.nic[31].id, "n31");
	conf_problems_release(&p);
	conf_vm_release(&c);
	buf_clear(&text);

	buf_adds(&text, ROOT "[VM]\n");
	for (int i = 0; i <= CONF_LIST_MAX; i++)
		buf_printf(&text, "Owner=u%d\n", i);
	conf_case_vm(&c, text.data, &p);
	problems_are(&p, "web1.vm:260: Owner: more than 256 of them\n");
	assert_int_equal(c.owner.n, CONF_LIST_MAX);
	assert_string_equal(c.owner.item[255], "u255");
	conf_problems_release(&p);
	conf_vm_release(&c);
	buf_clear(&text);

	buf_adds(&text, ROOT);
	for (int i = 0; i < 5000; i++)
		buf_printf(&text, "[X-%d]\n", i);
	conf_case_vm(&c, text.data, &p);
	assert_int_equal(p.count, CONF_PROBLEMS_MAX + 1); /* and no further */
	assert_true(problems_have(&p, "web1.vm:258: [X-255]: more than 256 sections\n"));
	assert_true(problems_have(&p, "[X-354]"));
	assert_false(problems_have(&p, "[X-355]"));
	assert_true(problems_have(&p, "\nmore problems follow; fix these first\n"));
	assert_true(conf_problems_err(&p, &e) < 0);
	assert_int_equal(e.class, ERR_INVALID_CONFIG);
	assert_non_null(strstr(e.text, " sections\nand "));
	assert_true(strlen(e.text) < ERR_TEXT_MAX - 1);
	conf_problems_release(&p);
	conf_vm_release(&c);
	buf_release(&text);
}

static void problems_become_an_error(void **state)
{
	struct conf_problems p = { 0 };
	const struct conf_place place = { "a.vm", 3 };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(conf_problems_err(&p, &e), 0);
	conf_problem(&p, &place, "Key", "%d", 1);
	conf_problem(&p, &(struct conf_place){ 0 }, NULL, "two");
	assert_true(conf_problems_err(&p, &e) < 0);
	assert_int_equal(e.class, ERR_INVALID_CONFIG);
	assert_string_equal(e.text, "a.vm:3: Key: 1\ntwo");
	conf_problems_release(&p);
}

static void problems_are_kept_apart(void **state)
{
	struct conf_problems all = { 0 }, own = { 0 };
	const struct conf_place place = { "a:1: b.vm", 7 };
	char longer[2 * ERR_TEXT_MAX];
	struct err e = ERR_INIT;

	(void)state;
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	conf_problem(&all, &place, NULL, "%s", longer);
	for (int i = 0; i < CONF_PROBLEMS_MAX + 5; i++)
		conf_problem(&own, &place, "Key: 2", "reason: %d", i);
	conf_problems_add(&all, &own);
	conf_problems_release(&own);
	assert_int_equal(all.count, CONF_PROBLEMS_MAX + 6);
	assert_int_equal(all.n, CONF_PROBLEMS_MAX + 2);
	assert_string_equal(all.item[1].place.file, "a:1: b.vm");
	assert_int_equal(all.item[1].place.line, 7);
	assert_string_equal(all.item[1].key, "Key: 2");
	assert_string_equal(all.item[1].reason, "reason: 0");
	assert_null(all.item[CONF_PROBLEMS_MAX + 1].place.file);
	assert_true(conf_problems_err(&all, &e) < 0);
	assert_true(
		strncmp(e.text, "a:1: b.vm:7: xxx", 16) == 0 && strlen(e.text) < ERR_TEXT_MAX - 1);
	assert_non_null(strstr(e.text, "x\nand 105 more"));
	conf_problems_release(&all);
}

static void foreign_keys_are_kept(void **state)
{
	struct conf_vm c;

	(void)state;
	conf_case_good(&c, "[X-Tool a]\nAnything=100%\n" ROOT "X-Note=b = c\n");
	assert_int_equal(c.ignored.n, 2);
	assert_string_equal(c.ignored.item[0], "X-Tool a.Anything=100%");
	assert_string_equal(c.ignored.item[1], "Disk root.X-Note=b = c");
	conf_vm_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_lines_make_a_vm),
		cmocka_unit_test(problems_name_line_and_cure),
		cmocka_unit_test(drop_ins_override_and_lists_accumulate),
		cmocka_unit_test(the_last_of_equal_keys_holds),
		cmocka_unit_test(sections_nobody_wrote),
		cmocka_unit_test(disks_stand_before_cds),
		cmocka_unit_test(limits),
		cmocka_unit_test(problems_become_an_error),
		cmocka_unit_test(problems_are_kept_apart),
		cmocka_unit_test(foreign_keys_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
