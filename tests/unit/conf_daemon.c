/* SPDX-License-Identifier: MIT */
/*
 * vmkeep.conf: [Daemon], and [Defaults], which apply to every VM that does not set the key. An
 * invalid default is reported once, at its line, and affects no VM.
 */
#include "tests/unit/conf_case.h"

static void parse(struct conf_daemon *d, const char *text, const char *problems)
{
	const struct conf_source src = conf_case_source("vmkeep.conf", text);
	struct conf_problems p = { 0 };

	*d = (struct conf_daemon)CONF_DAEMON_INIT;
	conf_daemon_parse(d, &src, 1, &p);
	problems_are(&p, problems);
	conf_problems_release(&p);
}

static void parse_vm(struct conf_vm *c, const struct conf_daemon *d, const char *text)
{
	const struct conf_context ctx = { .defaults = d, .uuid = UUID, .state_dir = "/s" };
	const struct conf_source src = conf_case_source("web1.vm", text);
	struct conf_problems p = { 0 };

	*c = (struct conf_vm)CONF_VM_INIT;
	conf_vm_parse(c, "web1", &src, 1, &ctx, &p);
	conf_case_no_problems(&p);
}

static void presets(void **state)
{
	struct conf_daemon d;

	(void)state;
	parse(&d, "", "");
	assert_null(d.image_dir);
	assert_string_equal(d.log_level, "info");
	assert_int_equal(d.max_clients, 256);
	assert_int_equal(d.max_clients_per_user, 64);
	assert_int_equal(d.health_check_ms, 300000);
	assert_int_equal(d.shutdown_ms, 300000);
	assert_int_equal(d.n_defaults, 0);
	conf_daemon_release(&d);

	parse(&d,
		"[Daemon]\nImageDir=/data\nLogLevel=debug\nMaxClients=9\nMaxClientsPerUser=3\nHealthCheckSec=infinity\nX-a=b\n"
		"[Shutdown]\nTimeoutSec=20min\n",
		"");
	assert_string_equal(d.image_dir, "/data");
	assert_string_equal(d.log_level, "debug");
	assert_int_equal(d.max_clients, 9);
	assert_int_equal(d.max_clients_per_user, 3);
	assert_int_equal(d.health_check_ms, UINT64_MAX);
	assert_int_equal(d.shutdown_ms, 1200000);
	assert_int_equal(d.ignored.n, 1);
	conf_daemon_release(&d);
}

static void the_host_goes_down_some_day(void **state)
{
	static const char *const bad[] = { "0", "999ms", "infinity", "25h", "soon" };
	struct conf_daemon d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(free_ptr) char *text = xasprintf("[Shutdown]\nTimeoutSec=%s\n", bad[i]);
		const struct conf_source src = conf_case_source("vmkeep.conf", text);
		struct conf_problems p = { 0 };

		d = (struct conf_daemon)CONF_DAEMON_INIT;
		conf_daemon_parse(&d, &src, 1, &p);
		assert_int_equal(p.count, 1);
		assert_int_equal(d.shutdown_ms, 300000);
		conf_problems_release(&p);
		conf_daemon_release(&d);
	}
}

static void defaults_hold_where_nothing_else_is_said(void **state)
{
	struct conf_daemon d;
	struct conf_vm c;

	(void)state;
	parse(&d,
		"[Defaults]\nVM.Accel=tcg\nVM.Memory=256M\nVM.Owner=alice\nVM.Description=%n of us\n"
		"Disk.Cache=writeback\nDisk.Bus=scsi\nNIC.Model=e1000\nSerial.Log=no\nX-Mine=1\n",
		"");
	assert_int_equal(d.n_defaults, 8);
	assert_string_equal(d.defaults[0].section, "VM");
	assert_string_equal(d.defaults[0].key, "Accel");
	assert_int_equal(d.defaults[0].place.line, 2);

	parse_vm(&c, &d,
		"[VM]\nMemory=1G\nOwner=bob\n[Disk a]\nPath=a.raw\n"
		"[Disk b]\nPath=b.raw\nCache=\n[CDROM cd]\n");
	assert_int_equal(c.accel, CONF_ACCEL_TCG);
	assert_int_equal(c.memory, 1 << 30);
	assert_int_equal(c.owner.n, 2); /* lists accumulate */
	assert_string_equal(c.description, "web1 of us");
	assert_int_equal(c.disk[0].cache, CONF_CACHE_WRITEBACK);
	assert_int_equal(c.disk[1].cache, CONF_CACHE_AUTO); /* empty: our preset */
	assert_int_equal(c.disk[1].bus, CONF_BUS_SCSI);
	assert_int_equal(c.disk[2].bus, CONF_BUS_AUTO);	  /* [CDROM] is not [Disk] */
	assert_int_equal(c.nic[0].model, CONF_NIC_E1000); /* the implicit ones too */
	assert_false(c.serial[0].log);
	conf_vm_release(&c);
	conf_daemon_release(&d);
}

static void a_default_gives_way_to_its_rival(void **state)
{
	struct conf_daemon d;
	struct conf_vm c;

	(void)state;
	parse(&d, "[Defaults]\nNIC.Bridge=br0\n", "");
	parse_vm(&c, &d, "[CDROM cd]\n[NIC a]\n[NIC b]\nNetwork=x\n");
	assert_string_equal(c.nic[0].bridge, "br0");
	assert_null(c.nic[0].network);
	assert_null(c.nic[1].bridge);
	assert_string_equal(c.nic[1].network, "x");
	conf_vm_release(&c);
	conf_daemon_release(&d);

	parse(&d, "[Defaults]\nNIC.Network=x\n", "");
	parse_vm(&c, &d, "[CDROM cd]\n[NIC a]\nBridge=br0\n[NIC b]\n");
	assert_null(c.nic[0].network);
	assert_string_equal(c.nic[1].network, "x");
	conf_vm_release(&c);
	conf_daemon_release(&d);
}

static void bad_defaults_are_told_and_dropped(void **state)
{
	struct conf_daemon d;
	struct conf_vm c;

	(void)state;
	parse(&d,
		"[Daemon]\nLogLevel=loud\nMaxClient=1\nImageDir=images\n[Defaults]\nMemory=1G\n"
		"Dsk.Cache=none\nBananas.X=1\nDisk.Cach=none\nDisk.Q=none\nDisk.Cache=best\n"
		"VM.UUID=" UUID "\nVM.Description=%x\nVM.Machine=pc\n[Defaults a]\n",
		"vmkeep.conf:2: LogLevel: 'loud' is not error, warning, info or debug\n"
		"vmkeep.conf:3: MaxClient: unknown key in [Daemon], did you mean 'MaxClients'?\n"
		"vmkeep.conf:4: ImageDir: 'images' is not an absolute path\n"
		"vmkeep.conf:6: Memory: a default is written Section.Key=value\n"
		"vmkeep.conf:7: Dsk.Cache: unknown section, did you mean 'Disk.Cache'?\n"
		"vmkeep.conf:8: Bananas.X: unknown section\n"
		"vmkeep.conf:9: Disk.Cach: unknown key, did you mean 'Disk.Cache'?\n"
		"vmkeep.conf:10: Disk.Q: unknown key\n"
		"vmkeep.conf:11: Disk.Cache: 'best' is not auto, none, writeback, writethrough, directsync "
		"or unsafe\n"
		"vmkeep.conf:12: VM.UUID: it is each VM's own and cannot be a default\n"
		"vmkeep.conf:13: VM.Description: unknown specifier: %n, %u, %s and %% are known\n"
		"vmkeep.conf:15: [Defaults a]: [Defaults] takes no id\n");
	assert_int_equal(d.n_defaults, 1);
	assert_string_equal(d.log_level, "info");
	parse_vm(&c, &d, "[CDROM cd]\n");
	assert_string_equal(c.machine, "pc");
	conf_vm_release(&c);
	conf_daemon_release(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presets),
		cmocka_unit_test(the_host_goes_down_some_day),
		cmocka_unit_test(defaults_hold_where_nothing_else_is_said),
		cmocka_unit_test(a_default_gives_way_to_its_rival),
		cmocka_unit_test(bad_defaults_are_told_and_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
