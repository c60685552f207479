/* SPDX-License-Identifier: MIT */
/*
 * Each check of the host reports PASS, WARN or FAIL from files of /proc and /sys, recreated here in
 * a directory; each check that does not pass has a fix. Memory that a guest asks for is compared
 * with what is available.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/check/host.h"
#include "supervisor/host/kvm.h"
#include "supervisor/host/meminfo.h"

#define UDP \
	"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"

static const struct {
	void (*fn)(const struct host_facts *f, struct host_row *row);
	const char *path, *content; /* one file; NULL: an empty host */
	enum host_verdict verdict;
	const char *says;
} cases[] = {
	/* clang-format off */
	{ host_cpu, NULL, NULL, HOST_FAIL, "neither vmx nor svm" },
	{ host_cpu, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vmx sse\n", HOST_PASS, "vmx" },
	{ host_cpu, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu svm\nbugs\t\t: x vmx\n", HOST_PASS, "svm" },
	{ host_cpu, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu svm_lock vmx_x\nvmx flags\t: vmx\n", HOST_FAIL, "" },
	{ host_cpu, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse\nbugs\t\t: x vmx\n", HOST_FAIL, "" },
	{ host_kvm_device, "dev/kvm", "", HOST_FAIL, "not the KVM device" },
	{ host_kvm_device, "proc/cpuinfo", "p: 0\nflags\t: vmx\n", HOST_FAIL, "the module kvm_intel is not loaded" },
	{ host_kvm_device, "sys/class/misc/kvm/dev", "10:232", HOST_FAIL, "the kernel has KVM" },
	{ host_nested, NULL, NULL, HOST_SILENT, "" },
	{ host_nested, "sys/module/kvm_intel/parameters/nested", "Y\n", HOST_PASS, "can use KVM" },
	{ host_nested, "sys/module/kvm_amd/parameters/nested", "0\n", HOST_PASS, "kvm_amd nested=1" },
	{ host_iommu, NULL, NULL, HOST_WARN, "" },
	{ host_iommu, "sys/kernel/iommu_groups/0", "", HOST_PASS, "on" },
	{ host_programs, NULL, NULL, HOST_FAIL, "qemu-img, nft, dnsmasq" },
	{ host_cgroups, NULL, NULL, HOST_WARN, "not mounted" },
	{ host_cgroups, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids\n", HOST_PASS, "version 2" },
	{ host_cgroups, "sys/fs/cgroup/cgroup.controllers", "cpuset memory\n", HOST_WARN, "without cpu, io, pids" },
	{ host_cgroups, "sys/fs/cgroup/memory/tasks", "", HOST_PASS, "version 1" },
	{ host_memory, "proc/meminfo", "MemTotal: 4194304 kB\nMemAvailable: 2097152 kB\n", HOST_PASS, "2G of 4G" },
	{ host_memory, "proc/meminfo", "MemTotal: 4194304 kB\nMemAvailable: 20480 kB\n", HOST_WARN, "20M of 4G" },
	{ host_huge_pages, "proc/meminfo", "HugePages_Total: 8\nHugePages_Free: 3\nHugepagesize: 2048 kB\n", HOST_PASS,
	  "3 of 8 free, 2M each" },
	{ host_room, NULL, NULL, HOST_WARN, "'/images'" },
	{ host_clock_source, "sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n", HOST_PASS, "tsc" },
	{ host_clock_source, "sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n", HOST_WARN, "hpet" },
	{ host_security, "sys/fs/selinux/enforce", "1", HOST_WARN, "SELinux" },
	{ host_security, "sys/module/apparmor/parameters/enabled", "Y\n", HOST_PASS, "AppArmor" },
	{ host_tun, NULL, NULL, HOST_FAIL, "/dev/net/tun" },
	{ host_bridge, NULL, NULL, HOST_WARN, "" },
	{ host_bridge, "sys/module/bridge/refcnt", "0", HOST_PASS, "" },
	{ host_forward, NULL, NULL, HOST_WARN, "nft did not list" },
	{ host_iptables, "proc/net/ip_tables_names", "nat\nfilter\n", HOST_WARN, "" },
	{ host_iptables, "proc/net/ip_tables_names", "nat\n", HOST_PASS, "" },
	{ host_ip_forward, "proc/sys/net/ipv4/ip_forward", "1\n", HOST_PASS, "on" },
	{ host_port_dns, "proc/net/udp", UDP "  10: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101"
	  "        0 4711 2 0000000000000000 0\n", HOST_WARN, "somebody uses it" },
	{ host_port_dns, "proc/net/udp", UDP "  10: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101"
	  "        0 4711 2 0000000000000000 0\n", HOST_PASS, "" },
	{ host_port_dns, "proc/net/tcp6", UDP "   0: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 0A"
	  " 00000000:00000000 00:00000000 00000000     0        0 12 1 0000000000000000 100 0 0 10 0\n", HOST_WARN, "" },
	{ host_port_dhcp, "proc/net/udp", UDP "  10: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000   101"
	  "        0 4711 2 0000000000000000 0\n", HOST_WARN, "somebody uses it" },
	{ host_libvirt, NULL, NULL, HOST_SILENT, "" },
	{ host_libvirt, "sys/class/net/virbr0/bridge/x", "", HOST_WARN, "libvirt" },
	/* clang-format on */
};

static void put(int root, const char *top, const char *path, const char *content)
{
	_cleanup_(free_ptr) char *dir = xasprintf("%s/%s", top, path);

	*strrchr(dir, '/') = '\0';
	assert_int_equal(file_mkdirs(dir, 0755, NULL), 0);
	assert_int_equal(file_replace(root, path, 0644, content, strlen(content), false, NULL), 0);
}

static char images[] = "/images", own[] = "/my images";

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char top[] = "/tmp/vmkeep-host-XXXXXX";
		struct store_seen store = { .path = images, .state = STORE_MISSING };
		struct host_facts f = { .store = &store, .stores = 1 };
		struct host_row row = { .verdict = HOST_SILENT };

		assert_non_null(mkdtemp(top));
		f.root = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (cases[i].path)
			put(f.root, top, cases[i].path, cases[i].content);
		cases[i].fn(&f, &row);
		if (row.verdict != cases[i].verdict || !strstr(row.text, cases[i].says))
			fail_msg("case %zu (%s): %s '%s'", i,
				cases[i].path ? cases[i].path : "nothing",
				host_verdict_name(row.verdict), row.text);
		if (row.verdict > HOST_PASS)
			assert_true(row.cure[0]);
		close(f.root);
		assert_int_equal(file_remove_tree(AT_FDCWD, top, NULL), 0);
	}
}

/* Each state of /dev/kvm has its own text and its own fix. */
static void test_kvm_cures(void **state)
{
	static const struct {
		struct kvm_seen seen;
		const char *text, *hint;
		bool awaited;
	} rows[] = {
		/* clang-format off */
		{ { .flag = "svm", .loaded = true }, "", "", false },
		{ { .loaded = true }, "", "", false }, /* tested on the device, whatever the CPU flags say */
		{ { .flag = "svm", .error = ENOENT }, "module kvm_amd is not", "modprobe kvm_amd;", true },
		{ { .flag = "vmx", .error = ENOENT }, "module kvm_intel is not", "modprobe kvm_intel;", true },
		{ { .flag = "svm", .error = ENODEV }, "'/dev/kvm' has no driver, because the module kvm_amd", "modprobe kvm_amd;", true },
		{ { .error = ENOENT }, "neither vmx nor svm", "nested", false },
		{ { .error = ENODEV }, "neither vmx nor svm", "BIOS", false },
		{ { .flag = "vmx", .loaded = true, .error = ENOENT }, "there is no '/dev/kvm' here", "mknod", false },
		{ { .flag = "vmx", .loaded = true, .error = EPERM }, "no permission", "DeviceAllow=", false },
		{ { .flag = "vmx", .loaded = true, .error = EACCES }, "no permission", "DeviceAllow=", false },
		{ { .flag = "svm", .odd = true }, "not the KVM device", "mknod", false },
		{ { .flag = "svm", .loaded = true, .error = EMFILE }, "Too many open files", "dmesg", false },
		/* clang-format on */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = ERR_INIT;

		assert_int_equal(kvm_judge(&rows[i].seen, &e) < 0, rows[i].text[0] != '\0');
		if (!strstr(e.text, rows[i].text) || !strstr(e.hint, rows[i].hint))
			fail_msg("row %zu: '%s' (%s)", i, e.text, e.hint);
		if (e.text[0])
			assert_int_equal(e.class, ERR_NO_RESOURCES);
		assert_int_equal(kvm_is_awaited(&rows[i].seen), rows[i].awaited);
	}
}

/* Other users need no rights on the image directory; the fix can be pasted. */
static void test_image_access(void **state)
{
	static const struct {
		unsigned mode;
		enum host_verdict verdict;
	} rows[] = { { 0, HOST_SILENT }, { 0700, HOST_PASS }, { 0500, HOST_PASS },
		{ 0701, HOST_WARN }, { 0711, HOST_WARN }, { 0750, HOST_WARN },
		{ 01777, HOST_WARN } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct store_seen store = { .path = own, .mode = rows[i].mode };
		struct host_facts f = { .store = &store, .stores = 1 };
		struct host_row row = { .verdict = HOST_SILENT };

		host_image_access(&f, &row);
		assert_int_equal(row.verdict, rows[i].verdict);
		if (row.verdict == HOST_WARN)
			assert_string_equal(row.cure, "chmod 0700 '/my images'");
	}
}

/* One row for each store: the worst that is to be said of it. */
static void test_stores(void **state)
{
	static const struct {
		enum store_state state;
		bool read_only;
		uint64_t room; /* of 100G */
		unsigned mode;
		enum host_verdict verdict;
		const char *text, *cure;
		unsigned owner;
	} rows[] = {
		/* clang-format off */
		{ STORE_OK, false, 16, 0700, HOST_PASS, "16G of 100G left in '/my images'", "", 0 },
		{ STORE_OK, false, 15, 0700, HOST_WARN, "15G of 100G left in '/my images'", "free space", 0 },
		{ STORE_OK, false, 0, 0755, HOST_WARN, "0 of 100G left", "free space", 0 },
		{ STORE_OK, false, 50, 0755, HOST_WARN, "has mode 0755", "chmod 0700 '/my images'", 0 },
		{ STORE_READ_ONLY, true, 0, 0755, HOST_PASS, "is read-only", "", 0 },
		{ STORE_READ_ONLY, false, 50, 0700, HOST_WARN, "is read-only", "findmnt -T '/my images'", 0 },
		{ STORE_OK, false, 50, 0700, HOST_WARN, "belongs to uid 4711", "chown root '/my images'", 4711 },
		{ STORE_READ_ONLY, true, 50, 0755, HOST_WARN, "belongs to uid 4711", "chown root", 4711 },
		{ STORE_MISSING, false, 0, 0, HOST_WARN, "'/my images' is missing", "mounted?", 0 },
		{ STORE_NOT_MOUNTED, true, 0, 0, HOST_WARN, "'/my images' is not mounted", "mounted?", 0 },
		{ STORE_NO_ANSWER, false, 0, 0755, HOST_WARN, "'/my images' is not answering", "mounted?", 0 },
		/* clang-format on */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool there = rows[i].state == STORE_OK || rows[i].state == STORE_READ_ONLY;
		struct store_seen s = { .path = own,
			.read_only = rows[i].read_only,
			.state = rows[i].state,
			.size = there ? UINT64_C(100) << 30 : 0,
			.room = rows[i].room << 30,
			.mode = rows[i].mode,
			.owner = rows[i].owner };
		struct host_row row = { .verdict = HOST_SILENT };

		host_store(&s, &row);
		if (row.verdict != rows[i].verdict || !strstr(row.text, rows[i].text) ||
			!strstr(row.cure, rows[i].cure))
			fail_msg("row %zu: '%s' (%s)", i, row.text, row.cure);
		assert_int_equal(row.cure[0] != '\0', row.verdict == HOST_WARN);
	}
}

static void test_report(void **state)
{
	static char name[] = "nas", path[] = "/";
	struct store_seen store[] = { { .name = name, .path = path },
		{ .name = name, .path = path, .state = STORE_NOT_MOUNTED } };
	struct host_facts f = {
		.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), .store = store, .stores = 2
	};
	json_t *table = host_report(&f), *row;
	size_t i;

	(void)state;
	assert_true(json_array_size(json_object_get(table, "rows")) > 15);
	row = json_array_get(json_object_get(table, "rows"),
		json_array_size(json_object_get(table, "rows")) - 1);
	assert_string_equal(json_string_value(json_array_get(row, 0)), "store nas");
	assert_string_equal(json_string_value(json_array_get(row, 1)), "WARN");
	assert_string_equal(json_string_value(json_array_get(row, 2)), "'/' is not mounted");
	json_array_foreach (json_object_get(table, "rows"), i, row) {
		assert_int_equal(json_array_size(row), 4);
		if (!streq(json_string_value(json_array_get(row, 1)), "PASS"))
			assert_true(json_is_string(json_array_get(row, 3)));
	}
	json_decref(table);
	close(f.root);
}

static void test_memory(void **state)
{
	static const struct {
		uint64_t wanted;
		bool fits;
	} rows[] = { { 1, true }, { 3 << 20, true }, { 4 << 20, true }, { (4 << 20) + 1, false },
		{ UINT64_MAX, false } };
	struct err e = ERR_INIT;
	struct meminfo m;

	(void)state;
	meminfo_parse(&m,
		"MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable:    3072 kB\nSwapTotal: 5 kB\nSwapFree: 1024 kB");
	assert_int_equal(m.available, 3 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(meminfo_fits(&m, rows[i].wanted, &e) == 0, rows[i].fits);
	assert_int_equal(e.class, ERR_NO_RESOURCES);
	assert_true(e.hint[0]);
	meminfo_parse(&m, "");
	assert_int_equal(m.total, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_kvm_cures),
		cmocka_unit_test(test_image_access),
		cmocka_unit_test(test_stores),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
