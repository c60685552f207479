/* SPDX-License-Identifier: MIT */
/*
 * Dump and diff, both from the table: a dump parses to the same values, every key can be written,
 * read back and seen by diff, and a diff lists exactly what changed and when it applies.
 */
#include "conf/schema.h"

#include "conf/value.h"
#include "tests/unit/conf_case.h"

static void write_change(void *data, const struct conf_change *c)
{
	buf_printf(data, "%s%s%s", c->section, c->id ? " " : "", c->id ? c->id : "");
	buf_printf(data, " %s: %s -> %s (%s)\n", c->key ? c->key : "*", c->from ? c->from : "-",
		c->to ? c->to : "-", conf_apply_name(c->apply));
}

static void assert_diff(const struct conf_vm *from, const struct conf_vm *to, const char *changes)
{
	struct buf b = BUF_INIT;

	conf_vm_diff(from, to, write_change, &b);
	assert_string_equal(b.data ? b.data : "", changes);
	buf_release(&b);
}

static void assert_round_trip(const struct conf_vm *c, bool all)
{
	struct buf first = BUF_INIT, second = BUF_INIT;
	struct conf_vm back;

	conf_vm_dump(c, all, &first);
	conf_case_good(&back, first.data);
	assert_diff(c, &back, "");
	assert_diff(&back, c, "");
	conf_vm_dump(&back, all, &second);
	assert_string_equal(first.data, second.data);
	buf_release(&first);
	buf_release(&second);
	/* replaces the existing file; also works for a new name */
	assert_int_equal(conf_vm_copy(&back, c, NULL), 0);
	assert_string_equal(back.name, c->name);
	assert_diff(c, &back, "");
	conf_vm_release(&back);
}

static const char *const texts[] = {
	"[Disk root]\nPath=web1.qcow2\n",
	"[VM]\nNetworks=none\nDescription=100%% ; # of it\n[CDROM cd]\n[Disk a.b]\nSize=20G\n",
	"[VM]\nX-a=1\nUUID=" UUID "\nOwner=a @b\n[CPU]\nFeatures=+a -b\nX-b=%\n[X-c d]\ne=f.g=h\n"
	"[Boot]\nKernel=/k\nAppend=a, b\nAppend=c\nOrder=lan\n[Disk a]\nPath=a.raw\nX-c=d\n"
	"[Disk a.b]\nPath=b.raw\nX-c=e\n",
	"[Disk a]\nPath=/x y/%%n,=\"'.raw\nBase=b.raw\nFormat=qcow2\nBus=scsi\nCache=unsafe\nAIO=threads\n"
	"Discard=ignore\nDetectZeroes=on\nOnError=ignore\nReadOnly=yes\nIOThread=yes\nSerial=s\n"
	"[NIC n]\nBridge=br0\nMACAddress=52:54:00:00:00:01\nLink=down\n[NIC m]\nNetwork=x\n"
	"Address=10.0.0.1\n[Display]\nListen=::\nPort=5901\nPassword=p\n[RNG]\nSource=none\nRate=1K\n"
	"[Watchdog]\nModel=i6300esb\n[VSock]\nCID=7\n[Boot]\nVMGenID=no\n"
	"[Serial a]\nType=virtio\nLog=no\n[Serial b]\nLogSize=1M\nLogKeep=0\n"
	"[Lifecycle]\nTimeoutStopSec=infinity\nRestartSec=0\nOnPanic=pause\n[QEMU]\nArgs=-S\n",
};

static void what_is_dumped_parses_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct conf_vm c;

		conf_case_good(&c, texts[i]);
		assert_round_trip(&c, false);
		assert_round_trip(&c, true);
		conf_vm_release(&c);
	}
}

static void dumps_canonically(void **state)
{
	struct buf b = BUF_INIT;
	struct conf_vm c;

	(void)state;
	conf_case_good(&c,
		"[CDROM cd]\n[Disk root]\nSize=2048M\nX-Note=a ;b\n[VM]\nMemory=1024M\nCPUs=02\n"
		"Description=50%%\n[X-Mine]\nb=1\n[Lifecycle]\nRestart=no\n");
	conf_vm_dump(&c, false, &b);
	assert_string_equal(b.data, "[VM]\nDescription=50%%\nCPUs=2\n"
				    "\n[Disk root]\nPath=web1-root.qcow2\nSize=2G\nX-Note=a ;b\n"
				    "\n[CDROM cd]\n"
				    "\n[NIC lan]\n"
				    "\n[Serial console]\n"
				    "\n[Lifecycle]\nRestart=no\n"
				    "\n[X-Mine]\nb=1\n");
	buf_release(&b);
	conf_vm_dump(&c, true, &b);
	assert_non_null(strstr(b.data, "\nMemory=1G\nMachine=q35\nAccel=kvm\nUUID=\n"));
	assert_non_null(strstr(b.data, "\n[NIC lan]\nNetwork=default\nBridge=\nModel=virtio\n"));
	assert_non_null(strstr(b.data, "\nTimeoutStopSec=3min\n"));
	buf_release(&b);
	conf_vm_release(&c);
}

static void x_sections_of_several_files_join(void **state)
{
	const struct conf_source src[] = {
		conf_case_source("a", "[X-a]\nb=1\n[X-c]\nd=2\n[CDROM x]\n"),
		conf_case_source("b", "[X-a]\ne=3\n"),
	};
	struct conf_problems p = { 0 };
	struct conf_vm c = CONF_VM_INIT;
	struct buf b = BUF_INIT;

	(void)state;
	conf_vm_parse(&c, "web1", src, 2, &conf_case_context, &p);
	conf_case_no_problems(&p);
	conf_vm_dump(&c, false, &b);
	assert_non_null(strstr(b.data, "\n[X-a]\nb=1\ne=3\n\n[X-c]\nd=2\n"));
	buf_release(&b);
	assert_round_trip(&c, false);
	conf_vm_release(&c);
}

static void diff_tells_what_changed(void **state)
{
	struct conf_vm a, b;

	(void)state;
	conf_case_good(&a,
		"[VM]\nMemory=1G\nOwner=a b\n[Disk root]\nPath=r.raw\n[Disk old]\nPath=o.raw\n"
		"[CDROM cd]\nPath=1.iso\n[NIC lan]\n");
	conf_case_good(&b, "[Disk new]\nPath=n.raw\n[Disk root]\nPath=r.raw\nCache=unsafe\n"
			   "[VM]\nMemory=2G\nOwner=a\nDescription=50%%\n[CDROM cd]\n"
			   "[NIC lan]\nBridge=br0\n[Lifecycle]\nTimeoutStopSec=10s\n");
	assert_diff(&a, &a, "");
	assert_diff(&a, &b,
		"VM Description: - -> 50% (live)\n"
		"VM Memory: 1G -> 2G (start)\n"
		"VM Owner: a, b -> a (live)\n"
		"Disk old *: [Disk old] -> - (start)\n"
		"Disk new *: - -> [Disk new] (start)\n"
		"Disk root Cache: auto -> unsafe (start)\n"
		"CDROM cd Path: 1.iso -> - (start)\n"
		"NIC lan Network: default -> - (start)\n"
		"NIC lan Bridge: - -> br0 (start)\n"
		"Lifecycle TimeoutStopSec: 3min -> 10s (start)\n");
	conf_vm_release(&a);
	conf_vm_release(&b);
}

/* A list is compared by its items, not by how they are written. */
static void lists_differ_by_items(void **state)
{
	struct conf_vm a, b;

	(void)state;
	conf_case_good(&a, "[QEMU]\nArgs=a, b\n");
	conf_case_good(&b, "[QEMU]\nArgs=a\nArgs=b\n");
	assert_diff(&a, &b, "QEMU Args: a, b -> a, b (start)\n");
	conf_vm_release(&a);
	conf_vm_release(&b);
}

static void a_disk_that_became_a_cd(void **state)
{
	struct conf_vm a, b;

	(void)state;
	conf_case_good(&a, "[Disk a]\nPath=a.raw\n");
	conf_case_good(&b, "[CDROM a]\nPath=a.raw\n");
	assert_diff(&a, &b, "Disk a *: [Disk a] -> - (start)\nCDROM a *: - -> [CDROM a] (start)\n");
	conf_vm_release(&a);
	conf_vm_release(&b);
}

static void network_round_trip(void **state)
{
	const struct conf_source src = conf_case_source("a",
		"[Network]\nAddress=10.0.0.1/24\nMTUBytes=9000\n[DHCPServer]\nEnable=no\nLeaseSec=infinity\n"
		"Range=10.0.0.2-10.0.0.9\nDomain=%n.example\n[DNS]\nForward=1.1.1.1,::1\nX-a=b\n");
	struct conf_network c = CONF_NETWORK_INIT, back = CONF_NETWORK_INIT;
	struct conf_problems p = { 0 };
	struct buf first = BUF_INIT, second = BUF_INIT;
	struct conf_source dumped;

	(void)state;
	conf_network_parse(&c, "lan", &src, 1, &p);
	conf_network_dump(&c, false, &first);
	assert_string_equal(first.data,
		"[Network]\nAddress=10.0.0.1/24\nMTUBytes=9000\n"
		"\n[DHCPServer]\nEnable=no\nRange=10.0.0.2-10.0.0.9\nLeaseSec=infinity\n"
		"Domain=lan.example\n"
		"\n[DNS]\nForward=1.1.1.1\nForward=::1\nX-a=b\n");
	dumped = conf_case_source("b", first.data);
	conf_network_parse(&back, "lan", &dumped, 1, &p);
	conf_network_dump(&back, false, &second);
	assert_string_equal(first.data, second.data);
	conf_case_no_problems(&p);
	buf_release(&first);
	buf_release(&second);
	conf_network_release(&c);
	conf_network_release(&back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_dumped_parses_back),
		cmocka_unit_test(dumps_canonically),
		cmocka_unit_test(x_sections_of_several_files_join),
		cmocka_unit_test(diff_tells_what_changed),
		cmocka_unit_test(lists_differ_by_items),
		cmocka_unit_test(a_disk_that_became_a_cd),
		cmocka_unit_test(network_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
