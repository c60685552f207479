/* SPDX-License-Identifier: MIT */
/* Proves which keys the arguments of create become, in the spellings of virt-install too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/verbs/create.h"

#define HEAD(memory, firmware) \
	"VM.UUID=u VM.Memory=" memory " VM.Enable=no Boot.Firmware=" firmware " "

/* clang-format off */
static const struct {
	const char *arguments, *words; /* words: "error: TEXT" */
} cases[] = {
	{ "{'disk': ['20G']}", HEAD("1G", "uefi") "Disk.root.Size=20G" },
	{ "{'memory': '2G', 'cpus': '4', 'firmware': 'bios', 'enable': true, 'iso': 'x.iso'}",
	  "VM.UUID=u VM.Memory=2G VM.CPUs=4 VM.Enable=last Boot.Firmware=bios CDROM.cd.Path=x.iso" },
	/* without a unit, MiB and GiB */
	{ "{'memory': '512', 'disk': ['size=20', '30']}",
	  HEAD("512M", "uefi") "Disk.root.Size=20G Disk.data.Size=30G" },
	{ "{'disk': ['path=/data/kvm.raw,size=8,bus=sata,readonly=on']}",
	  HEAD("1G", "uefi") "Disk.root.Path=/data/kvm.raw Disk.root.Size=8G Disk.root.Bus=sata Disk.root.ReadOnly=on" },
	{ "{'disk': ['/data/kvm.raw', 'b.qcow2', '1T', 'SIZE=2M']}",
	  HEAD("1G", "uefi") "Disk.root.Path=/data/kvm.raw Disk.data.Path=b.qcow2 Disk.data2.Size=1T Disk.data3.Size=2M" },
	{ "{'disk': ['20G,,cache=none,']}", HEAD("1G", "uefi") "Disk.root.Size=20G Disk.root.Cache=none" },
	{ "{'disk': ['nosuch=1']}", HEAD("1G", "uefi") "Disk.root.nosuch=1" },
	{ "{'iso': 'x', 'network': ['none']}", HEAD("1G", "uefi") "CDROM.cd.Path=x VM.Networks=none" },
	{ "{'iso': 'x', 'network': ['network=lab,model=e1000,mac=52:54:00:11:22:33'], 'address': '10.0.0.7'}",
	  HEAD("1G", "uefi") "CDROM.cd.Path=x NIC.lan.Network=lab NIC.lan.Model=e1000 "
	  "NIC.lan.MACAddress=52:54:00:11:22:33 NIC.lan.Address=10.0.0.7" },
	{ "{'iso': 'x', 'network': ['lab', 'bridge=br0'], 'bridge': ['br1']}",
	  HEAD("1G", "uefi") "CDROM.cd.Path=x NIC.lan.Network=lab NIC.lan2.Bridge=br0 NIC.lan3.Bridge=br1" },
	{ "{'iso': 'x', 'address': '10.0.0.7'}", HEAD("1G", "uefi") "CDROM.cd.Path=x NIC.lan.Address=10.0.0.7" },
	{ "{'iso': 'x', 'network': ['lab', 'lab2'], 'address': '10.0.0.7'}",
	  "error: --address is for a VM with one NIC, this one has 2" },
	{ "{'iso': 'x', 'network': ['none'], 'address': '10.0.0.7'}",
	  "error: --address is for a VM with one NIC, this one has 0" },
	{ "{'iso': 'x', 'bridge': ['br0'], 'address': '10.0.0.5/24', 'gateway': '10.0.0.1'}",
	  HEAD("1G", "uefi") "CDROM.cd.Path=x NIC.lan.Bridge=br0 NIC.lan.Address=10.0.0.5/24 NIC.lan.Gateway=10.0.0.1" },
	{ "{'disk': ['a'], 'user': 'anna', 'ssh-key': ['k 1', 'k 2'], 'cloud-init': '/u'}",
	  HEAD("1G", "uefi") "Disk.root.Path=a CloudInit.User=anna CloudInit.SSHKey=k 1 CloudInit.SSHKey+=k 2 "
	  "CloudInit.UserData=/u" },
	{ "{'keys': ['VM.Memory=3G', 'Boot.Kernel=/k']}",
	  HEAD("1G", "uefi") "VM.Memory=3G Boot.Kernel=/k" },
	{ "{'image': 'debian-13'}", HEAD("1G", "uefi") "Disk.root.Base=images/debian-13.qcow2" },
	{ "{'image': 'ubuntu-24.04', 'disk': ['20G', '1G']}",
	  HEAD("1G", "uefi") "Disk.root.Base=images/ubuntu-24.04.qcow2 Disk.root.Size=20G Disk.data.Size=1G" },
	{ "{'image': 'a/b'}", HEAD("1G", "uefi") "Disk.root.Base=a/b" },
	{ "{'image': 'a.qcow2'}", HEAD("1G", "uefi") "Disk.root.Base=a.qcow2" },
	{ "{'image': 'a.img'}", HEAD("1G", "uefi") "Disk.root.Base=a.img" },
	{ "{'image': '/a/b.qcow2'}", "error: image '/a/b.qcow2' is not in a store" },
	{ "{'memory': '3G'}", "error: there would be nothing to boot from" },
};
/* clang-format on */

static char *words_of(const char *quoted)
{
	_cleanup_(free_ptr) char *text = xstrdup(quoted);
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	json_t *arguments, *words, *word;
	size_t i;

	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	arguments = json_loads(text, 0, NULL);
	assert_non_null(arguments);
	words = create_words(arguments, "u", NULL, &e);
	if (!words)
		buf_printf(&b, "error: %s", e.text);
	json_array_foreach (words, i, word)
		buf_printf(&b, "%s%s", i ? " " : "", json_string_value(word));
	json_decref(words);
	json_decref(arguments);
	err_clear(&e);
	return b.data;
}

static void arguments_become_keys(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(free_ptr) char *words = words_of(cases[i].arguments);

		assert_string_equal(words, cases[i].words);
	}
}

static void a_disk_is_as_large_as_its_image(void **state)
{
	json_t *words = json_pack("[s, s, s]", "VM.Memory=1G", "Disk.root.Base=images/a.qcow2",
		       "Disk.root.Store=fast"),
	       *small = json_pack("[s]", "Disk.root.Size=512");
	struct err e = ERR_INIT;

	assert_string_equal(create_words_base(words), "images/a.qcow2");
	assert_string_equal(create_words_store(words), "fast");
	assert_int_equal(create_words_size(words, 1536, &e), 0);
	assert_string_equal(json_string_value(json_array_get(words, 3)), "Disk.root.Size=1536");
	assert_int_equal(create_words_size(words, 1536, &e), 0);
	assert_int_equal(json_array_size(words), 4);
	assert_null(create_words_base(small));
	assert_string_equal(create_words_store(small), "default");
	assert_true(create_words_size(small, 1024, &e) < 0);
	assert_string_equal(e.text, "a disk of 512 is too small for the image, which has 1K");
	err_clear(&e);
	json_decref(words);
	json_decref(small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_become_keys),
		cmocka_unit_test(a_disk_is_as_large_as_its_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
