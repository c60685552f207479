/* SPDX-License-Identifier: MIT */
/*
 * Command lines contain what the configuration means, word by word, and configurations that cannot
 * work are refused with an error about the configuration. For whole command lines see
 * qemu_golden.c, for places on buses qemu_slots.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/command.h"

static bool has_word(const struct argv *a, const char *word)
{
	for (size_t i = 0; i < a->n; i++)
		if (streq(a->word[i], word))
			return true;
	return false;
}

static void test_topology(void **state)
{
	/* clang-format off */
	static const struct {
		const char *keys, *smp;
	} cases[] = {
		{"",					"8,sockets=1,cores=8,threads=1"},
		{ "[CPU]\nThreads=2\n",			"8,sockets=1,cores=4,threads=2"},
		{ "[CPU]\nSockets=2\n",			"8,sockets=2,cores=4,threads=1"},
		{ "[CPU]\nCores=2\n",			      "8,sockets=4,cores=2,threads=1"},
		{ "[CPU]\nSockets=2\nThreads=2\n",	   "8,sockets=2,cores=2,threads=2"},
		{ "[CPU]\nCores=2\nThreads=2\n",		 "8,sockets=2,cores=2,threads=2"},
		{ "[CPU]\nSockets=2\nCores=2\n",		 "8,sockets=2,cores=2,threads=2"},
		{ "[CPU]\nSockets=4\nCores=2\nThreads=1\n", "8,sockets=4,cores=2,threads=1"},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = xasprintf("[VM]\nCPUs=8\n[Disk root]\nPath=r.raw\n%s", cases[i].keys);
		struct identity id = IDENTITY_INIT;
		struct argv a = ARGV_INIT;

		assert_int_equal(build(&a, text, &id, &usual, NULL), 0);
		assert_string_equal(value(&a, "-smp", 0), cases[i].smp);
		argv_release(&a);
		identity_release(&id);
		free(text);
	}
}

static void test_boot_order(void **state)
{
	static const char devs[] =
		"[NIC n]\n[CDROM c]\n[Disk b]\nPath=b.raw\n[Disk a]\nPath=a.raw\n";
	/* clang-format off */
	static const struct {
		const char *order;
		int b, a, c, n; /* 0: not a boot device */
	} cases[] = {
		{"",			    1, 2, 3, 4},
		{ "[Boot]\nOrder=a\nOrder=n\n", 0, 1, 0, 2},
		{ "[Boot]\nOrder=c\n",	       0, 0, 1, 0},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = xasprintf("%s%s", devs, cases[i].order);
		struct identity id = IDENTITY_INIT;
		json_t *all = devices_of(text, &id);
		const struct {
			const char *id;
			int index;
		} want[] = { { "disk-b", cases[i].b }, { "disk-a", cases[i].a },
			{ "cd-c", cases[i].c }, { "nic-n", cases[i].n } };

		for (size_t j = 0; j < ARRAY_SIZE(want); j++)
			assert_int_equal(json_integer_value(json_object_get(
						 json_object_get(all, want[j].id), "bootindex")),
				want[j].index);
		json_decref(all);
		identity_release(&id);
		free(text);
	}
}

/* A command line for pasting has no fd and names none of the daemon's sockets, but has the same
 * devices. */
static void test_paste(void **state)
{
	static const char text[] =
		"[VM]\nMemory=1G\n[Disk root]\nPath=r.qcow2\nBase=b.raw\n[CDROM cd]\nPath=c.iso\n"
		"[Serial s]\n[Serial t]\n[NIC lan]\n[Lifecycle]\nReadyWhen=notify\n";
	struct argv_context ctx = usual;
	struct identity id = IDENTITY_INIT;
	struct argv a = ARGV_INIT, b = ARGV_INIT;
	json_t *one, *two;

	(void)state;
	assert_int_equal(build(&a, text, &id, &ctx, NULL), 0);
	ctx.paste = true;
	assert_int_equal(build(&b, text, &id, &ctx, NULL), 0);
	assert_true(has_word(&a, "-S") && !has_word(&b, "-S"));
	assert_true(has_word(&a, "-no-shutdown") && !has_word(&b, "-no-shutdown"));
	assert_true(has_word(&a, "-add-fd") && !has_word(&b, "-add-fd"));
	assert_string_equal(value(&b, "-name", 0), "guest=t,debug-threads=on");
	assert_string_equal(value(&b, "-chardev", 0), "stdio,id=char-s,mux=on,signal=off");
	assert_string_equal(value(&b, "-mon", 0), "chardev=char-s,mode=readline");
	assert_string_equal(value(&b, "-chardev", 1), "null,id=char-t");
	assert_string_equal(value(&b, "-netdev", 0), "{\"type\":\"user\",\"id\":\"net-lan\"}");
	assert_false(has_word(&b, "-vnc"));
	for (size_t i = 0; i < b.n; i++) /* not just "fd": a new GUID may contain these letters */
		if (strstr(b.word[i], "fd\":") || strstr(b.word[i], "fd=") ||
			strstr(b.word[i], "fdset") || strstr(b.word[i], "path=") ||
			strstr(b.word[i], "\"locking\":\"off\""))
			fail_msg("'%s' cannot be pasted", b.word[i]);
	one = devices(&a);
	two = devices(&b);
	assert_true(json_equal(one, two));
	json_decref(one);
	json_decref(two);
	argv_release(&a);
	argv_release(&b);
	identity_release(&id);
}

/* Comments survive shells that do not support them, such as zsh at its prompt. */
static void test_paste_comments(void **state)
{
	static const struct {
		const char *text, *has, *lacks;
		bool running;
	} cases[] = {
		{ "[Disk root]\nPath=r.raw\n", "does not start while this runs", "fails", false },
		{ "[Disk root]\nPath=r.raw\n", "this fails until it stops", "does not start",
			true },
		{ "[Disk r]\nPath=r.qcow2\nBase=b.img\n", "of disk r is a guess", "cdrom", false },
		{ "[CDROM cd]\nPath=r.iso\n", "first serial port share", "same disks", true },
		{ "[Disk r]\nPath=r.raw\n[NIC n]\n", "user-mode", "UEFI", false },
		{ "[Disk r]\nPath=r.raw\n[Agent]\nEnable=no\n", "-display gtk", "agent", false },
		{ "[Disk r]\nPath=r.raw\n[Display]\nType=none\n", "agent", "gtk", false },
	};
	struct argv_context ctx = usual;

	(void)state;
	ctx.paste = true;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct identity id = IDENTITY_INIT;
		struct argv a = ARGV_INIT;
		struct conf_vm c;
		char *text, *line, *rest;

		assert_int_equal(build(&a, cases[i].text, &id, &ctx, NULL), 0);
		parse(&c, cases[i].text);
		text = argv_paste(&a, &c, &id, &ctx, cases[i].running);
		assert_non_null(strstr(text, cases[i].has));
		assert_null(strstr(text, cases[i].lacks));
		for (line = strtok_r(text, "\n", &rest); *line == '#';
			line = strtok_r(NULL, "\n", &rest))
			assert_null(strpbrk(line, "'\"`$\\();&|<>*?[]{}~!="));
		assert_string_equal(line, "/usr/bin/qemu-system-x86_64 \\");
		free(text);
		conf_vm_release(&c);
		argv_release(&a);
		identity_release(&id);
	}
}

static void test_own_words(void **state)
{
	struct argv_context ctx = usual;
	struct identity id = IDENTITY_INIT;
	struct argv a = ARGV_INIT;

	(void)state;
	assert_int_equal(build(&a, "[Disk root]\nPath=r.raw\n[QEMU]\nArgs=-x\nArgs=-y  a b\n", &id,
				 &ctx, NULL),
		0);
	assert_string_equal(a.word[a.n - 3], "-x"); /* the operator's Args= come last */
	assert_string_equal(a.word[a.n - 2], "-y");
	assert_string_equal(a.word[a.n - 1], "a b");
	assert_null(a.word[a.n]);
	argv_release(&a);
	identity_release(&id);
}

/* Refusals */

static void test_refused(void **state)
{
	/* clang-format off */
	static const struct {
		const char *text, *kept, *says;
		enum err_class class;
	} cases[] = {
		{"[VM]\nMachine=pc-q35-9.9\n[Disk r]\nPath=r.raw\n",				      NULL,
			"'/usr/bin/qemu-system-x86_64' has no machine 'pc-q35-9.9'",														 ERR_INVALID_CONFIG},
		{ "[Disk r]\nPath=r.raw\n",							     "pc-q35-9.9",
			"'/usr/bin/qemu-system-x86_64' has no machine 'pc-q35-9.9', which this VM was created with",
			ERR_QEMU_FAILED																						},
		{ "[Disk r]\nPath=r.raw\n",							     "microvm",    "machine 'microvm' is not supported",
			ERR_INVALID_CONFIG																					     },
		{ "[Disk r]\nPath=r.raw\nBus=scsi\nIOThread=yes\n",					    NULL,
			"disk 'r': IOThread= needs Bus=virtio",																      ERR_INVALID_CONFIG},
		{ "[Disk r]\nPath=r.raw\nBus=sata\nReadOnly=yes\n",					    NULL,
			"disk 'r': ReadOnly=yes needs Bus=virtio or scsi",															   ERR_INVALID_CONFIG},
		{ "[Disk r]\nPath=r.raw\n[Serial a]\n[Serial b]\n[Serial c]\n[Serial d]\n[Serial e]\n",
			NULL,												"a machine has 4 serial ports, but 5 are configured; use Type=virtio for some",
			ERR_INVALID_CONFIG																					     },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct identity id = IDENTITY_INIT;
		struct argv a = ARGV_INIT;
		struct err e = ERR_INIT;

		if (cases[i].kept)
			identity_pin_machine(&id, "q35", cases[i].kept);
		assert_true(build(&a, cases[i].text, &id, &usual, &e) < 0);
		assert_string_equal(e.text, cases[i].says);
		assert_int_equal(e.class, cases[i].class);
		assert_int_equal(a.n, 0);
		identity_release(&id);
	}
}

/* Names and numbers of CPUs, with the key and a suggestion. */
static void test_cpus(void **state)
{
	/* clang-format off */
	static const struct {
		const char *text, *key, *says, *hint;
	} cases[] = {
		{ "[CPU]\nModel=EPYC-Genoa\n", "Model",
			"'/usr/bin/qemu-system-x86_64' has no CPU model 'EPYC-Genoa'",
			"similar ones are EPYC, EPYC-IBPB, EPYC-Milan, EPYC-Rome; " },
		{ "[CPU]\nModel=Penrin\n", "Model",
			"'/usr/bin/qemu-system-x86_64' has no CPU model 'Penrin'", "similar ones are Penryn; " },
		{ "[CPU]\nModel=nonsense\n", "Model",
			"'/usr/bin/qemu-system-x86_64' has no CPU model 'nonsense'",
			"/usr/bin/qemu-system-x86_64 -cpu help lists all" },
		{ "[CPU]\nModel=host-passthrough\n", "Model",
			"'/usr/bin/qemu-system-x86_64' has no CPU model 'host-passthrough'", "write Model=host" },
		{ "[CPU]\nModel=host-model\n", "Model",
			"'/usr/bin/qemu-system-x86_64' has no CPU model 'host-model'", "write Model=host" },
		{ "[CPU]\nModel=x86-64-v2-AES\n", "Model",
			"'/usr/bin/qemu-system-x86_64' has no CPU model 'x86-64-v2-AES'",
			"QEMU's nearest model is Model=Westmere" },
		{ "[CPU]\nModel=host\n", "Model", "CPU model 'host' needs KVM, but this VM runs without it",
			"write Model=max" },
		{ "[CPU]\nFeatures=+avx\nFeatures=-avx512ff\n", "Features",
			"'/usr/bin/qemu-system-x86_64' has no CPU feature 'avx512ff'", "did you mean -avx512f?" },
		{ "[CPU]\nFeatures=+family\n", "Features",
			"'/usr/bin/qemu-system-x86_64' has no CPU feature 'family'", "" },
		{ "[CPU]\nFeatures=+hv-time\n", "Features",
			"CPU feature 'hv-time' needs KVM, but this VM runs without it", "remove it from" },
		{ "[VM]\nCPUs=289\n", "CPUs", "289 CPUs, but machine 'pc-q35-7.2' supports at most 288",
			"write CPUs=288 or fewer" },
		{ "[VM]\nMachine=pc\nCPUs=256\n", "CPUs",
			"256 CPUs, but machine 'pc-i440fx-7.2' supports at most 255", "write CPUs=255 or fewer" },
		{ "[CPU]\nModel=EPYC-v3\nFeatures=+sse4_1\nFeatures=-sse4.2\n", NULL, NULL, NULL },
	};
	/* clang-format on */
	struct argv_context tcg = usual;

	(void)state;
	tcg.accel = CONF_ACCEL_TCG;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(free_ptr) char *text =
			xasprintf("%s[Disk r]\nPath=r.raw\n", cases[i].text);
		struct identity id = IDENTITY_INIT;
		struct argv a = ARGV_INIT;
		struct err e = ERR_INIT;

		build(&a, text, &id, &tcg, &e);
		assert_string_equal(e.text, cases[i].says ? cases[i].says : "");
		if (cases[i].says) {
			assert_int_equal(e.class, ERR_INVALID_CONFIG);
			assert_memory_equal(e.hint, cases[i].hint, strlen(cases[i].hint));
			assert_string_equal(a.key, cases[i].key);
		}
		argv_release(&a);
		identity_release(&id);
	}
}

/* The probe of an older vmkeep has no names: QEMU itself decides. */
static void test_cpus_unknown(void **state)
{
	json_t *cpus = json_incref(json_object_get(probe.doc, "cpus")),
	       *features = json_incref(json_object_get(probe.doc, "features"));
	struct identity id = IDENTITY_INIT;
	struct argv a = ARGV_INIT;

	(void)state;
	json_object_del(probe.doc, "cpus");
	json_object_del(probe.doc, "features");
	assert_int_equal(
		build(&a, "[CPU]\nModel=x\nFeatures=+y\n[Disk r]\nPath=r.raw\n", &id, &usual, NULL),
		0);
	json_object_set_new(probe.doc, "cpus", cpus);
	json_object_set_new(probe.doc, "features", features);
	argv_release(&a);
	identity_release(&id);
}

/* The section that is at fault. */
static void test_place(void **state)
{
	_cleanup_(buf_release) struct buf text = BUF_INIT;
	struct identity id = IDENTITY_INIT;
	struct argv a = ARGV_INIT;
	struct err e = ERR_INIT;
	struct conf_vm c;

	(void)state;
	buf_adds(&text, "[VM]\nMachine=pc\n");
	for (int i = 0; i < 30; i++)
		buf_printf(&text, "[Disk d%d]\nPath=%d.raw\n", i, i);
	parse(&c, text.data);
	assert_true(build_parsed(&a, &c, &id, &usual, &e) < 0);
	assert_string_equal(e.text, "no free PCI slot for 'disk-d29'");
	assert_int_equal(a.place->line, 2 + 29 * 2 + 1);
	conf_vm_release(&c);
	identity_release(&id);
}

/* Known from the probe, without a trial. */
static void test_missing_device(void **state)
{
	struct identity id = IDENTITY_INIT;
	struct argv a = ARGV_INIT;
	struct err e = ERR_INIT;

	(void)state;
	json_object_del(json_object_get(probe.doc, "devices"), "qxl-vga");
	assert_true(build(&a, "[Disk r]\nPath=r.raw\n[Display]\nVideo=qxl\n", &id, &usual, &e) < 0);
	assert_string_equal(e.text, "'/usr/bin/qemu-system-x86_64' has no device 'qxl-vga'");
	identity_release(&id);
}

/* Files */

static void test_files(void **state)
{
	static const char text[] =
		"[Boot]\nKernel=/k\nInitrd=sub/i\n"
		"[Disk root]\nPath=r.qcow2\nBase=/b/1.qcow2\nBase=2.raw\nSize=1G\n"
		"[Disk seed]\nPath=/dev/x\nReadOnly=yes\nCache=unsafe\n[CDROM cd]\nPath=a.iso\n[CDROM no]\n";
	/* clang-format off */
	static const struct argv_file want[] = {
		{ ARGV_FILE_DISK, "disk 'root'", "root", "/i/r.qcow2", "/i", true, CONF_FORMAT_QCOW2, true, true, 1 << 30, 0, NULL, false, false, NULL },
		{ ARGV_FILE_BASE, "base of disk 'root'", "root", "/b/1.qcow2", NULL, false, CONF_FORMAT_AUTO, true, true, 0,
		  CONF_FORMAT_QCOW2, NULL, false, false, NULL },
		{ ARGV_FILE_BASE, "base of disk 'root'", "root", "/i/2.raw", "/i", false, CONF_FORMAT_AUTO, true, false, 0,
		  CONF_FORMAT_RAW, NULL, false, false, NULL },
		{ ARGV_FILE_DISK, "disk 'seed'", "seed", "/dev/x", NULL, false, CONF_FORMAT_RAW, false, false, 0, 0, NULL, false, false, NULL },
		{ ARGV_FILE_CDROM, "cdrom 'cd'", "cd", "/nas/a.iso", "/nas", false, CONF_FORMAT_RAW, true, false, 0, 0, NULL, true, false, NULL },
		{ ARGV_FILE_KERNEL, "kernel", NULL, "/k", NULL, false, CONF_FORMAT_AUTO, false, false, 0, 0, NULL, false, false, NULL },
		{ ARGV_FILE_KERNEL, "initrd", NULL, "/i/sub/i", "/i", false, CONF_FORMAT_AUTO, false, false, 0, 0, NULL, false, false, NULL },
		{ ARGV_FILE_FIRMWARE, "UEFI firmware", NULL, "/c.fd", NULL, false, CONF_FORMAT_RAW, false, false, 0, 0, NULL, false, false, NULL },
		{ ARGV_FILE_NVRAM, "UEFI variables", NULL, "/n.qcow2", NULL, true, CONF_FORMAT_QCOW2, false, false, 0, 0, NULL, false, false, NULL },
	};
	/* clang-format on */
	static char code[] = "/c.fd", vars[] = "/v.fd";
	const struct firmware firmware = { code, vars, CONF_FORMAT_RAW, CONF_FORMAT_RAW, false };
	struct argv_context ctx = usual;
	struct conf_vm c;
	struct identity id = IDENTITY_INIT;
	struct arena arena = ARENA_INIT;
	struct argv_file got[16];
	size_t n;

	(void)state;
	ctx.firmware = &firmware;
	ctx.nvram = "/n.qcow2";
	parse(&c, text);
	c.disk[2].dir = "/nas"; /* the CD's store */
	c.disk[2].dir_mounted = true;
	assert_int_equal(identity_complete(&id, &c, "/i", NULL, NULL, NULL), 0);
	n = argv_files(&c, &id, &ctx, &arena, got, ARRAY_SIZE(got));
	assert_int_equal(n, ARRAY_SIZE(want));
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(got[i].kind, want[i].kind);
		assert_string_equal(got[i].what, want[i].what);
		assert_true(streq(got[i].id, want[i].id));
		assert_string_equal(got[i].path, want[i].path);
		assert_true(streq(got[i].beneath, want[i].beneath));
		assert_int_equal(got[i].mounted, want[i].mounted);
		assert_true(streq(got[i].volume_of, want[i].volume_of));
		assert_int_equal(got[i].write, want[i].write);
		assert_int_equal(got[i].format, want[i].format);
		assert_int_equal(got[i].by_name, want[i].by_name);
		assert_int_equal(got[i].direct, want[i].direct);
		assert_null(got[i].known);
		assert_int_equal(got[i].has_base, want[i].has_base);
		assert_int_equal(got[i].create, want[i].create);
	}
	assert_int_equal(argv_files(&c, &id, &ctx, &arena, got, 2), 2);
	arena_release(&arena);
	identity_release(&id);
	conf_vm_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_topology), cmocka_unit_test(test_boot_order),
		cmocka_unit_test(test_paste), cmocka_unit_test(test_paste_comments),
		cmocka_unit_test(test_own_words), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cpus), cmocka_unit_test(test_cpus_unknown),
		cmocka_unit_test(test_place), cmocka_unit_test(test_files),
		cmocka_unit_test(test_missing_device), /* spoils the probe, so it comes last */
	};

	return cmocka_run_group_tests_name("vm argv", tests, setup, teardown);
}
