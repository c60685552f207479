/* SPDX-License-Identifier: MIT */
/*
 * Two VM files that claim the same UUID, image, MAC, address or port are both reported, each at its
 * own line; what may be shared, and what the daemon would choose again, is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "supervisor/check/duplicates.h"
#include "tests/unit/command.h"

#define DISK(path)	  "[Disk d]\nPath=" path "\n"
#define VNC(listen, port) "[Display]\nListen=" listen "\nPort=" port "\nAllowNoPassword=yes\n"

static const struct {
	const char *name, *one, *two;
	const char *says; /* "INDEX:LINE:KEY: text" of the first problem; NULL: none */
	unsigned times;
} cases[] = {
	/* clang-format off */
	{ "nothing in common", DISK("a.raw"), DISK("b.raw"), NULL, 0 },
	{ "UUID", "UUID=7F1D1D4E-7c3b-4a69-9f0e-0d8f1a2b3c4d\n", "UUID=7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d\n",
	  "0:4:UUID: VM 'two' also has 7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d, as its UUID", 2 },
	{ "one image", DISK("a.raw"), DISK("a.raw"), "0:5:Path: disk 'd': VM 'two' also has /i/a.raw, as its disk 'd'", 2 },
	{ "relative and absolute", DISK("a.raw"), DISK("/i/a.raw"), "0:5:Path: ", 2 },
	{ "both only read", DISK("a.raw") "ReadOnly=yes\n", DISK("a.raw") "ReadOnly=yes\n", NULL, 0 },
	{ "one only reads", DISK("a.raw"), DISK("a.raw") "ReadOnly=yes\n", "0:5:Path: ", 2 },
	{ "a CD for two", "[CDROM d]\nPath=a.iso\n", "[CDROM d]\nPath=a.iso\n", NULL, 0 },
	{ "a base for two", DISK("a.qcow2") "Base=c.qcow2\n", DISK("b.qcow2") "Base=c.qcow2\n", NULL, 0 },
	{ "a base that is written", DISK("a.qcow2"), DISK("b.qcow2") "Base=a.qcow2\n",
	  "0:5:Path: disk 'd': VM 'two' also has /i/a.qcow2, as its base of disk 'd'", 2 },
	{ "MAC", "[NIC n]\nMACAddress=52:54:00:00:00:01\n", "[NIC n]\nMACAddress=52:54:00:00:00:01\n",
	  "0:5:MACAddress: nic 'n': VM 'two' also has 52:54:00:00:00:01, as its nic 'n'", 2 },
	{ "MAC of our choice", "[NIC n]\n", "[NIC n]\nMACAddress=52:54:00:00:00:99\n", "0:4:MACAddress: ", 2 },
	{ "address", "[NIC n]\nAddress=10.0.0.2\n", "[NIC n]\nAddress=10.0.0.2\n",
	  "0:5:Address: nic 'n': VM 'two' also has 10.0.0.2 on network 'default', as its nic 'n'", 2 },
	{ "address on a bridge", "[NIC n]\nBridge=br0\nAddress=10.0.0.2/24\n[CloudInit]\nUser=anna\n",
	  "[NIC m]\nBridge=br0\nAddress=10.0.0.2/16\n[CloudInit]\nUser=anna\n",
	  "0:6:Address: nic 'n': VM 'two' also has 10.0.0.2 on bridge 'br0', as its nic 'm'", 2 },
	{ "address on another bridge", "[NIC n]\nBridge=br0\nAddress=10.0.0.2/24\n[CloudInit]\nUser=anna\n",
	  "[NIC n]\nBridge=br1\nAddress=10.0.0.2/24\n[CloudInit]\nUser=anna\n", NULL, 0 },
	{ "address elsewhere", "[NIC n]\nAddress=10.0.0.2\n", "[NIC n]\nNetwork=lab\nAddress=10.0.0.2\n", NULL, 0 },
	{ "port", VNC("127.0.0.1", "5901"), VNC("127.0.0.1", "5901"), "0:6:Port: VNC: VM 'two' also has port 5901", 2 },
	{ "port of all addresses", VNC("0.0.0.0", "5901"), VNC("127.0.0.1", "5901"), "0:6:Port: ", 2 },
	{ "port of two addresses", VNC("127.0.0.2", "5901"), VNC("127.0.0.1", "5901"), NULL, 0 },
	{ "automatic ports", VNC("127.0.0.1", "auto"), VNC("127.0.0.1", "auto"), NULL, 0 },
	/* clang-format on */
};

struct heard {
	unsigned times;
	char first[256];
};

static void found(void *data, const char *vm, const char *other, const struct conf_place *place,
	const char *key, const char *text, const char *hint)
{
	struct heard *h = data;

	assert_true(hint && *hint);
	if (!h->times++)
		snprintf(h->first, sizeof h->first, "%d:%u:%s: %s", streq(vm, "two"), place->line,
			key, text);
}

static void read_vm(struct conf_vm *c, const char *name, const char *parts)
{
	struct buf text = BUF_INIT;
	struct conf_problems problems = { 0 };
	struct conf_context ctx = { .uuid = uuid, .state_dir = "/s" };

	buf_printf(&text, "[VM]\nMemory=16M\nNetworks=none\n%s[Boot]\nKernel=/k\n", parts);
	conf_vm_parse(
		c, name, &(struct conf_source){ "t.vm", text.data, text.len }, 1, &ctx, &problems);
	if (problems.count)
		fail_msg("%s", problems.item[0].reason);
	conf_problems_release(&problems);
	buf_release(&text);
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct identity_nic nic = { .id = xstrdup("n"),
			.mac = { 0x52, 0x54, 0, 0, 0, 0x99 } };
		struct identity first = { .nic = &nic, .nics = 1 }, second = IDENTITY_INIT;
		struct conf_vm one = CONF_VM_INIT, two = CONF_VM_INIT;
		struct heard h = { 0 };

		read_vm(&one, "one", cases[i].one);
		read_vm(&two, "two", cases[i].two);
		const struct duplicates_vm both[] = { { &one, &first }, { &two, &second } };

		duplicates_find(both, 2, "/i", found, &h);
		if (h.times != cases[i].times || (cases[i].says && !strstr(h.first, cases[i].says)))
			fail_msg("%s: %u times, '%s'", cases[i].name, h.times, h.first);
		free(nic.id);
		conf_vm_release(&one);
		conf_vm_release(&two);
	}
}

static void test_many(void **state)
{
	enum { VMS = 300 };
	struct conf_vm *c = xcalloc(VMS, sizeof *c);
	struct duplicates_vm *vm = xcalloc(VMS, sizeof *vm);
	struct identity none = IDENTITY_INIT;
	struct heard h = { 0 };

	(void)state;
	for (size_t i = 0; i < VMS; i++) {
		_cleanup_(free_ptr) char *parts =
			xasprintf("[Disk d]\nPath=%zu.raw\n", i / 2 ? i : 0);

		read_vm(&c[i], "x", parts);
		vm[i] = (struct duplicates_vm){ &c[i], &none };
	}
	duplicates_find(vm, VMS, "/i", found, &h);
	assert_int_equal(h.times, 2);
	h.times = 0;
	duplicates_find(NULL, 0, "/i", found, &h);
	assert_int_equal(h.times, 0);
	for (size_t i = 0; i < VMS; i++)
		conf_vm_release(&c[i]);
	free(c);
	free(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
