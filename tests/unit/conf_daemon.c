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
	assert_null(d.image_ca);
	assert_null(d.image_proxy);
	assert_int_equal(d.image_stall_ms, 60000);
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

static void stores_hold_images(void **state)
{
	const struct conf_source src = conf_case_source("web1.vm",
		"[Disk root]\nSize=1G\n[Disk data]\nStore=nas\nPath=d.raw\n"
		"[Disk dev]\nPath=/dev/x\n[CDROM cd]\nStore=iso\nPath=a.iso\n[CDROM empty]\n");
	const struct conf_context ctx = { .uuid = UUID, .state_dir = "/s" };
	struct conf_problems p = { 0 };
	struct conf_vm c, copy = CONF_VM_INIT, alone = CONF_VM_INIT;
	struct conf_daemon d;

	(void)state;
	parse(&d,
		"[Store nas]\nPath=/mnt/nas/\nRequireMount=yes\n[Store iso]\nType=dir\nPath=/srv/iso\n"
		"ReadOnly=yes\n[Defaults]\nDisk.Store=nas\n",
		"");
	assert_int_equal(d.stores, 2);
	assert_string_equal(d.store[0].path, "/mnt/nas");
	assert_true(d.store[0].require_mount && !d.store[0].read_only);
	assert_true(d.store[1].read_only && !d.store[1].require_mount);

	parse_vm(&c, &d, src.text);
	assert_string_equal(c.disk[0].store, "nas"); /* by default */
	assert_string_equal(c.disk[0].dir, "/mnt/nas");
	assert_true(c.disk[0].dir_mounted);
	assert_string_equal(c.disk[1].dir, "/mnt/nas");
	assert_string_equal(c.disk[2].store, "default"); /* its path is whole */
	assert_null(c.disk[2].dir);
	assert_string_equal(c.disk[3].dir, "/srv/iso");
	assert_false(c.disk[3].dir_mounted);
	assert_string_equal(c.disk[4].store, "default");
	assert_int_equal(conf_vm_copy(&copy, &c, NULL), 0);
	assert_string_equal(copy.disk[0].dir, "/mnt/nas");
	assert_true(copy.disk[0].dir_mounted);
	assert_null(copy.disk[2].dir);
	conf_vm_release(&copy);
	conf_vm_release(&c);

	/* without vmkeep.conf nobody knows which there are */
	conf_vm_parse(&alone, "web1", &src, 1, &ctx, &p);
	assert_int_equal(p.count, 0);
	assert_string_equal(alone.disk[1].store, "nas");
	assert_null(alone.disk[1].dir);
	conf_vm_place(&alone, &d);
	assert_string_equal(alone.disk[1].dir, "/mnt/nas");
	conf_vm_release(&alone);
	conf_daemon_release(&d);
}

static void bad_stores_are_told(void **state)
{
	struct conf_daemon d;

	(void)state;
	parse(&d,
		"[Daemon]\nImageDir=/images\n[Store Default]\nPath=/d\n[Store a]\nPath=/a\n[Store b]\n"
		"Path=/a/\n[Store c]\nPath=/images\n[Store A]\nPath=/e\n",
		"vmkeep.conf:11: [Store A]: its id is taken by 'a' (vmkeep.conf:5)\n"
		"vmkeep.conf:3: store 'Default' is the image directory: write ImageDir= in [Daemon]\n"
		"vmkeep.conf:8: Path: store 'a' has the same\n"
		"vmkeep.conf:10: Path: ImageDir= is the same\n");
	conf_daemon_release(&d);
	parse(&d, "[Store a]\n", "vmkeep.conf:1: Path: missing in [Store a]\n");
	conf_daemon_release(&d);
	parse(&d, "[Store]\nPath=/a\n[Store ..]\nPath=/a\n",
		"vmkeep.conf:1: [Store]: needs an id, such as [Store a]\n"
		"vmkeep.conf:3: [Store ..]: the id must be letters, digits, '.', '_' and '-', at most "
		"31, and begin with a letter or digit\n");
	conf_daemon_release(&d);
	parse(&d, "[Store a]\nPath=a\nType=nfs\nReadOnly=perhaps\nPth=/b\n",
		"vmkeep.conf:2: Path: 'a' is not an absolute path\n"
		"vmkeep.conf:3: Type: 'nfs' is not dir or program\n"
		"vmkeep.conf:4: ReadOnly: 'perhaps' is not yes or no\n"
		"vmkeep.conf:5: Pth: unknown key in [Store], did you mean 'Path'?\n");
	conf_daemon_release(&d);
}

static void disks_fit_their_stores(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "Store=nas\nPath=a.raw", "" },
		{ "Store=nas\nPath=sub/a.raw\nBase=b.raw\nSize=1M\nFormat=qcow2", "" },
		{ "Store=default\nPath=a.raw", "" },
		{ "Store=iso\nPath=a.raw\nReadOnly=yes", "" },
		{ "Store=nsa\nPath=a.raw",
			"web1.vm:2: Store: vmkeep.conf has no store 'nsa', did you mean 'nas'?\n" },
		{ "Store=Nas\nPath=a.raw",
			"web1.vm:2: Store: vmkeep.conf has no store 'Nas', did you mean 'nas'?\n" },
		{ "Store=elsewhere\nPath=a.raw",
			"web1.vm:2: Store: vmkeep.conf has no store 'elsewhere'\n" },
		{ "Store=a/b\nPath=a.raw", "web1.vm:2: Store: 'a/b' is not the name of a store\n" },
		{ "Store=nas\nPath=/nas/a.raw",
			"web1.vm:2: Store: an absolute Path= is in no store; write only one\n" },
		{ "Store=iso\nPath=a.raw",
			"web1.vm:2: Store: store 'iso' is read-only: write ReadOnly=yes\n" },
		{ "Store=iso\nSize=1M",
			"web1.vm:3: Size: store 'iso' is read-only: no image is created in it\n" },
		/* the same name in two stores is two images */
		{ "Path=a.raw\n[Disk b]\nStore=nas\nPath=a.raw", "" },
		{ "Store=nas\nPath=a.raw\n[Disk b]\nStore=nas\nPath=a.raw",
			"web1.vm:6: Path: disk 'a' has the same\n" },
	};
	struct conf_daemon d;

	(void)state;
	parse(&d, "[Store nas]\nPath=/nas\n[Store iso]\nPath=/iso\nReadOnly=yes\n", "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(free_ptr) char *text = xasprintf("[Disk a]\n%s\n", cases[i].text);
		const struct conf_context ctx = { .defaults = &d, .uuid = UUID, .state_dir = "/s" };
		const struct conf_source src = conf_case_source("web1.vm", text);
		struct conf_problems p = { 0 };
		struct conf_vm c = CONF_VM_INIT;

		conf_vm_parse(&c, "web1", &src, 1, &ctx, &p);
		problems_are(&p, cases[i].says);
		conf_problems_release(&p);
		conf_vm_release(&c);
	}
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
		cmocka_unit_test(stores_hold_images),
		cmocka_unit_test(bad_stores_are_told),
		cmocka_unit_test(disks_fit_their_stores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
