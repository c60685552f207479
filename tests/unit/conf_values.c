/* SPDX-License-Identifier: MIT */
/* Proves that each kind of value accepts exactly its own texts, that paths and names cannot lead
 * elsewhere, and that specifiers cannot produce endless text. */
#include "conf/schema.h"

#include <stdio.h>

#include "tests/unit/conf_case.h"

#define ROOT "[Disk root]\nPath=web1.qcow2\n"

static void values_of_every_type(void **state)
{
	static const uint8_t mac[ETH_ALEN] = { 0x52, 0x54, 0, 0xab, 0xcd, 0xef };
	struct conf_vm c;

	(void)state;
	conf_case_good(&c,
		"[VM]\nDescription=a  b ; c\nCPUs=4\nMemory=2G\nAccel=tcg\nUUID=" UUID
		"\nOwner=alice, @staff bob\nOwner=_x\n"
		"[CPU]\nModel=host\nFeatures=+avx2,-svm\nCores=2\nThreads=2\n"
		"[Boot]\nOrder=cd root lan\nKernel=/boot/vmlinuz\nAppend=a b\nAppend=c\nMenu=TRUE\n"
		"[Disk root]\nPath=/dev/vg0/a b,c=d\nCache=directsync\nAIO=native\nIOThread=1\n"
		"[CDROM cd]\n"
		"[NIC lan]\nMACAddress=52:54:00:AB:cd:ef\nAddress=192.168.122.20\nLink=down\n"
		"[Lifecycle]\nTimeoutStopSec=1h 30min\nRestartSec=90\nStartLimitIntervalSec=infinity\n"
		"[VSock]\nCID=4294967294\n"
		"[QEMU]\nArgs=-device x,y=z\nArgs=-S\n");
	assert_string_equal(c.description, "a  b ; c");
	assert_int_equal(c.owner.n, 4);
	assert_string_equal(c.owner.item[1], "@staff");
	assert_string_equal(c.owner.item[3], "_x");
	assert_string_equal(c.uuid, UUID);
	assert_string_equal(c.cpu_features.item[1], "-svm");
	assert_int_equal(c.order.n, 3);
	assert_int_equal(c.append.n, 2);
	assert_string_equal(c.append.item[0], "a b");
	assert_true(c.menu);
	assert_string_equal(c.disk[0].path, "/dev/vg0/a b,c=d");
	assert_int_equal(c.disk[0].cache, CONF_CACHE_DIRECTSYNC);
	assert_true(c.disk[0].iothread);
	assert_true(c.disk[1].cdrom && c.disk[1].read_only);
	assert_null(c.disk[1].path);
	assert_memory_equal(c.nic[0].mac.byte, mac, sizeof mac);
	assert_false(c.nic[0].link);
	assert_int_equal(c.timeout_stop_ms, 5400000);
	assert_int_equal(c.restart_ms, 90000);
	assert_true(c.start_limit_interval_ms == UINT64_MAX);
	assert_true(streq(c.vsock_cid, "4294967294"));
	assert_int_equal(c.args.n, 2);
	assert_string_equal(c.args.item[0], "-device x,y=z");
	conf_vm_release(&c);
}

/* A path is normalized: the same file always has the same text, in all later uses. */
static void paths_are_plain(void **state)
{
	static const char *const cases[][2] = {
		{ "/data/imgs/", "/data/imgs" },
		{ "//data//imgs///", "/data/imgs" },
		{ "/data/./imgs/.", "/data/imgs" },
		{ "./a.raw", "a.raw" },
		{ "a//b/./c.raw/", "a/b/c.raw" },
		{ "/a", "/a" },
		{ ".a/..b/c..", ".a/..b/c.." },
		{ "a b,//c", "a b,/c" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_problems p = { 0 };
		struct conf_vm c = CONF_VM_INIT;
		struct conf_context ctx = { .uuid = "" };
		_cleanup_(free_ptr) char *text = xasprintf(
			"[Disk a]\nFormat=raw\nPath=%s\nBase=%s\n", cases[i][0], cases[i][0]);
		struct conf_source source = { "a.vm", text, strlen(text) };

		conf_vm_parse(&c, "a", &source, 1, &ctx, &p);
		assert_string_equal(c.disk[0].path, cases[i][1]);
		assert_string_equal(c.disk[0].base.item[0], cases[i][1]);
		conf_vm_release(&c);
		conf_problems_release(&p);
	}
}

static void bad_values(void **state)
{
	static const struct {
		const char *section, *line, *problem;
	} cases[] = {
		{ "[VM]", "CPUs=0", "CPUs: '0' is not a number from 1 to 1024" },
		{ "[VM]", "CPUs=99999999999999999999",
			"CPUs: '99999999999999999999' is not a number from 1 to 1024" },
		{ "[VM]", "CPUs=-1", "CPUs: '-1' is not a number from 1 to 1024" },
		{ "[VM]", "Accel=fast", "Accel: 'fast' is not kvm, tcg or auto" },
		{ "[VM]", "Machine=microvm",
			"Machine: 'microvm' is not q35, pc or a version of these such as pc-q35-7.2" },
		{ "[VM]", "Machine=pc-q35-7.2,x=y",
			"Machine: 'pc-q35-7.2,x=y' is not q35, pc or a version of these such as pc-q35-7.2" },
		{ "[VM]", "Enable=perhaps", "Enable: 'perhaps' is not no, yes or last" },
		{ "[VM]", "UUID=1",
			"UUID: '1' is not a UUID such as 7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d" },
		{ "[VM]", "Owner=a @", "Owner: 'a @' is not a user name or @group" },
		{ "[CPU]", "Model=host,-x",
			"Model: 'host,-x' is not a CPU model of QEMU such as host or EPYC-Rome" },
		{ "[VSock]", "CID=4294967295",
			"CID: '4294967295' is not auto or a number from 3 to 4294967294" },
		{ "[CloudInit]", "User=root",
			"User: 'root' is not a user name other than root, such as anna" },
		{ "[CloudInit]", "User=an:na",
			"User: 'an:na' is not a user name other than root, such as anna" },
		{ "[CloudInit]", "SSHKey=-----BEGIN OPENSSH PRIVATE KEY-----",
			"SSHKey: '-----BEGIN OPENSSH PRIVATE KEY-----' is not a public key of ssh, as in a file id_*.pub" },
		{ "[CloudInit]", "SSHKey=ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
			"SSHKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5' is not a public key of ssh, as in a file id_*.pub" },
		{ "[CloudInit]", "UserData=user-data",
			"UserData: 'user-data' is not an absolute path" },
		{ "[CloudInit]", "HostName=web_1",
			"HostName: 'web_1' is not a host name such as web1 or web1.example.org" },
		{ "[CPU]", "Features=avx", "Features: 'avx' is not +FEATURE or -FEATURE" },
		{ "[Memory]", "Max=1",
			"Max: '1' is not a size such as 512M, at least 1M, at most 64T, a multiple of 1M; did you mean 1M?" },
		{ "[VM]", "Memory=10GB",
			"Memory: '10GB' is not a size such as 512M, at least 1M, at most 64T, a multiple of 1M; did you mean 10G?" },
		{ "[VM]", "Memory=2 gib",
			"Memory: '2 gib' is not a size such as 512M, at least 1M, at most 64T, a multiple of 1M; did you mean 2G?" },
		{ "[VM]", "Memory=99999T",
			"Memory: '99999T' is not a size such as 512M, at least 1M, at most 64T, a multiple of 1M" },
		{ "[VM]", "Memory=1GX",
			"Memory: '1GX' is not a size such as 512M, at least 1M, at most 64T, a multiple of 1M" },
		{ "[Memory]", "Balloon=maybe", "Balloon: 'maybe' is not yes or no" },
		{ "[Boot]", "Order=a,b/c",
			"Order: 'a,b/c' is not an id: letters, digits, '.', '_' and '-', at most 31" },
		{ "[Boot]", "Kernel=/a/../b", "Kernel: '..' is not allowed in a path" },
		{ "[Disk a]", "Path=./", "Path: './' does not name a file" },
		{ "[Boot]", "Kernel=//", "Kernel: '//' does not name a file" },
		{ "[Disk a]", "Path=..", "Path: '..' is not allowed in a path" },
		{ "[Disk a]", "Path=../x", "Path: '..' is not allowed in a path" },
		{ "[Disk a]", "Path=x/..", "Path: '..' is not allowed in a path" },
		{ "[Disk a]", "Path=\"x.raw\"", "Path: no quotes here: write Path=x.raw" },
		{ "[Boot]", "Kernel='/k'", "Kernel: no quotes here: write Kernel=/k" },
		{ "[VM]", "Memory=\"512M\"", "Memory: no quotes here: write Memory=512M" },
		{ "[Disk a]", "Cache='none'", "Cache: no quotes here: write Cache=none" },
		{ "[NIC a]", "MACAddress=\"52:54:00:1:2:3\"",
			"MACAddress: no quotes here: write MACAddress=52:54:00:1:2:3" },
		{ "[Lifecycle]", "ReadyWhen=\"agent\"",
			"ReadyWhen: no quotes here: write ReadyWhen=agent" },
		{ "[Disk a]", "Serial=a b",
			"Serial: 'a b' is not a serial number of at most 20 letters, digits, '.', '_' and '-'" },
		{ "[CDROM a]", "Bus=virtio", "Bus: 'virtio' is not auto, scsi, sata or ide" },
		{ "[NIC a]", "Network=a b",
			"Network: 'a b' is not a name: letters, digits, '.', '_' and '-', at most 63" },
		{ "[NIC a]", "Bridge=0123456789abcdef",
			"Bridge: '0123456789abcdef' is not an interface name of at most 15 bytes" },
		{ "[NIC a]", "MACAddress=01:00:5e:00:00:01",
			"MACAddress: '01:00:5e:00:00:01' is not a MAC address such as 52:54:00:12:34:56" },
		{ "[NIC a]", "MACAddress=00:00:00:00:00:00",
			"MACAddress: '00:00:00:00:00:00' is not a MAC address such as 52:54:00:12:34:56" },
		{ "[NIC a]", "MACAddress=52:54:00:12:34",
			"MACAddress: '52:54:00:12:34' is not a MAC address such as 52:54:00:12:34:56" },
		{ "[NIC a]", "MACAddress=52:54:00:12:34:567",
			"MACAddress: '52:54:00:12:34:567' is not a MAC address such as 52:54:00:12:34:56" },
		{ "[NIC a]", "Address=10.0.0.256",
			"Address: '10.0.0.256' is not an IPv4 address, with Bridge= one with a prefix length" },
		{ "[NIC a]", "HostName=a.b", "HostName: 'a.b' is not a host name without dots" },
		{ "[NIC a]", "Link=sideways", "Link: 'sideways' is not down or up" },
		{ "[Display]", "Listen=localhost",
			"Listen: 'localhost' is not unix or an IP address" },
		{ "[Display]", "Port=0", "Port: '0' is not auto or a number from 1 to 65535" },
		{ "[Display]", "Password=../x",
			"Password: '../x' is not the name of a file in the configuration directory" },
		{ "[RNG]", "Source=random", "Source: 'random' is not an absolute path or none" },
		{ "[Lifecycle]", "TimeoutStartSec=soon",
			"TimeoutStartSec: 'soon' is not a time such as 5min or infinity, at least 1s" },
		{ "[Lifecycle]", "RestartSec=2d",
			"RestartSec: '2d' is not a time such as 5min, at most 24h" },
		{ "[QEMU]", "Binary=qemu", "Binary: 'qemu' is not an absolute path" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(free_ptr) char *text =
			xasprintf(ROOT "%s\n%s\n", cases[i].section, cases[i].line);
		_cleanup_(free_ptr) char *problem = xasprintf("web1.vm:4: %s\n", cases[i].problem);
		const struct conf_case c = { text, problem };

		conf_case_check(&c, 1);
	}
}

/* Yes and no as values of an enum have the spellings of a boolean. */
static void yes_and_no_among_others(void **state)
{
	static const struct {
		const char *text;
		enum conf_enable is;
	} cases[] = {
		{ "no", CONF_ENABLE_NO },
		{ "off", CONF_ENABLE_NO },
		{ "False", CONF_ENABLE_NO },
		{ "yes", CONF_ENABLE_YES },
		{ "1", CONF_ENABLE_YES },
		{ "true", CONF_ENABLE_YES },
		{ "last", CONF_ENABLE_LAST },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(free_ptr) char *text = xasprintf(ROOT "[VM]\nEnable=%s\n", cases[i].text);
		struct conf_vm c;

		conf_case_good(&c, text);
		assert_int_equal(c.enable, cases[i].is);
		conf_vm_release(&c);
	}
}

static void a_bad_value_leaves_the_preset(void **state)
{
	struct conf_problems p = { 0 };
	struct conf_vm c;

	(void)state;
	conf_case_vm(&c, ROOT "[VM]\nMemory=lots\nMachine=x\nAccel=y\n", &p);
	assert_int_equal(p.count, 3);
	assert_int_equal(c.memory, 1 << 30);
	assert_string_equal(c.machine, "q35");
	assert_int_equal(c.accel, CONF_ACCEL_KVM);
	assert_int_equal(c.nics, 1);
	conf_problems_release(&p);
	conf_vm_release(&c);
}

static void specifiers(void **state)
{
	static const struct conf_case bad[] = {
		{ "[Disk a]\nPath=%x.raw\n",
			"web1.vm:2: Path: unknown specifier: %n, %u, %s and %% are known\n" },
		{ "[Disk a]\nPath=a%-.raw\n",
			"web1.vm:2: Path: unknown specifier: %n, %u, %s and %% are known\n" },
	};
	const struct conf_context bare = { 0 };
	const struct conf_source src =
		conf_case_source("a.vm", "[Disk a]\nPath=%u%s.raw\n"
					 "[NIC b]\nHostName=%s\n[VM]\nDescription=%u\n");
	struct conf_problems p = { 0 };
	struct conf_vm c;

	(void)state;
	conf_case_good(&c, "[VM]\nDescription=100%%n %n %u\n[Disk a]\nPath=%s/%n.raw\n");
	assert_string_equal(c.description, "100%n web1 " UUID);
	assert_string_equal(c.disk[0].path, "/var/lib/vmkeep/web1.raw");
	conf_vm_release(&c);
	conf_case_check(bad, ARRAY_SIZE(bad));

	conf_vm_parse(&c, "a", &src, 1, &bare, &p);
	problems_are(&p, "a.vm:2: Path: %u is not known here\n"
			 "a.vm:4: HostName: %s has no meaning here\n"
			 "a.vm:6: Description: %u is not known here\n");
	conf_problems_release(&p);
	conf_vm_release(&c);
}

static void specifiers_cannot_make_endless_text(void **state)
{
	struct buf text = BUF_INIT;
	struct conf_problems p = { 0 };
	struct conf_vm c;

	(void)state;
	buf_adds(&text, ROOT "[VM]\nDescription=");
	for (int i = 0; i < 4000; i++)
		buf_adds(&text, "%n");
	conf_case_vm(&c, text.data, &p);
	problems_are(&p, "web1.vm:4: Description: too long once its specifiers are expanded\n");
	conf_problems_release(&p);
	conf_vm_release(&c);
	buf_release(&text);
}

static void names(void **state)
{
	static const struct {
		const char *name;
		bool ok;
		const char *dns;
	} cases[] = {
		{ "web1", true, "web1" },
		{ "Web_1.b", true, "web-1-b" },
		{ "1", true, "1" },
		{ "", false, "" },
		{ ".a", false, "-a" },
		{ "-a", false, "-a" },
		{ "a b", false, "a-b" },
		{ "a/b", false, "a-b" },
		{ "\xc3\xa4", false, "--" },
		{ "a23456789b123456789c123456789d123456789e123456789f123456789g123", true,
			"a23456789b123456789c123456789d123456789e123456789f123456789g123" },
		{ "a23456789b123456789c123456789d123456789e123456789f123456789g1234", false,
			"a23456789b123456789c123456789d123456789e123456789f123456789g123" },
	};
	const struct conf_source src = conf_case_source("a b.vm", ROOT);
	struct conf_problems p = { 0 };
	struct conf_vm c = CONF_VM_INIT;
	char dns[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(conf_name_ok(cases[i].name), cases[i].ok);
		assert_string_equal(conf_dns_name(cases[i].name, dns), cases[i].dns);
	}
	conf_vm_parse(&c, "a b", &src, 1, &conf_case_context, &p);
	problems_are(&p,
		"a b.vm: the name must be letters, digits, '.', '_' and '-', at most 63, and begin with "
		"a letter or digit\n");
	conf_problems_release(&p);
	conf_vm_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_of_every_type),
		cmocka_unit_test(paths_are_plain),
		cmocka_unit_test(yes_and_no_among_others),
		cmocka_unit_test(bad_values),
		cmocka_unit_test(a_bad_value_leaves_the_preset),
		cmocka_unit_test(specifiers),
		cmocka_unit_test(specifiers_cannot_make_endless_text),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("conf/values", tests, NULL, NULL);
}
