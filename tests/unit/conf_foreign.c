/* SPDX-License-Identifier: MIT */
/*
 * Proves that keys of libvirt, qm, Incus and systemd in a file are answered with ours: each is
 * known as another spelling, or has a text. tests/system/test_hints.py checks what the texts name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <strings.h>
#include <cmocka.h>

#include "base/mem.h"
#include "conf/foreign.h"
#include "conf/schema.h"
#include "tests/unit/conf_case.h"

#define DISK "[Disk d]\nPath=a.raw\n"

/* clang-format off */
/* Options of qm(1) of Proxmox VE 8, of Incus 6's instances and their devices, elements of libvirt
 * 9's domains, and keys of systemd 252's units and networks, as far as they apply to a VM or
 * network. */
static const char *const words[] = {
	"acpi", "affinity", "agent", "args", "audio0", "autostart", "balloon", "bios", "boot", "bootdisk", "cdrom",
	"cicustom", "cipassword", "ciuser", "cores", "cpu", "cpulimit", "cpuunits", "description", "efidisk0",
	"freeze", "hookscript", "hostpci0", "hotplug", "ide2", "ipconfig0", "keyboard", "kvm", "localtime", "lock", "machine",
	"memory", "name", "nameserver", "net0", "numa", "numa0", "onboot", "ostype", "parallel0", "protection", "rng0", "sata0",
	"scsi0", "scsi30", "scsihw", "searchdomain", "serial0", "shares", "smbios1", "sockets", "sshkeys", "startup", "tablet",
	"tags", "template", "tpmstate0", "unused0", "usb0", "vcpus", "vga", "virtio0", "virtio15", "vmgenid", "watchdog",
	"limits.memory", "limits.cpu", "limits.cpu.allowance", "boot.autostart", "boot.autostart.delay", "boot.autostart.priority",
	"boot.host_shutdown_timeout", "boot.stop.priority", "cloud-init.user-data", "security.secureboot", "security.nesting",
	"raw.qemu", "image.os", "volatile.uuid", "hwaddr", "nictype", "parent", "ipv4.address", "pool", "source", "path", "size",
	"snapshots.schedule", "cluster.evacuate", "migration.stateful",
	"vcpu", "currentMemory", "maxMemory", "title", "os", "loader", "nvram", "on_poweroff", "on_reboot", "on_crash", "emulator",
	"disk", "interface", "mac", "model", "target", "graphics", "video", "console", "channel", "input", "memballoon", "rng",
	"controller", "hostdev", "filesystem", "sound", "backingStore", "driver", "uuid", "seclabel", "cputune", "features",
	"ExecStart", "ExecStop", "ExecStartPre", "User", "Group", "WantedBy", "RequiredBy", "Wants", "BindsTo", "Before", "OnFailure",
	"TimeoutSec", "MemoryLimit", "MemoryHigh", "CPUShares", "CPUAffinity", "LimitNOFILE", "Nice", "Environment", "Documentation",
	"KillMode", "StandardOutput", "ProtectSystem", "PrivateTmp", "NoNewPrivileges", "Slice", "WorkingDirectory", "OOMScoreAdjust",
	"[Unit]", "[Service]", "[Install]",
	"Gateway", "DHCP", "IPMasquerade", "IPForward", "PoolSize", "PoolOffset", "DefaultLeaseTimeSec", "Domains", "forward", "mtu",
	"[Match]",
};
/* clang-format on */

static bool is_ours(const struct conf_schema *s, const char *word)
{
	for (size_t i = 0; i < s->sections; i++)
		for (size_t k = 0; k < s->section[i].keys; k++)
			if (strcasecmp(s->section[i].key[k].name, word) == 0)
				return true;
	return false;
}

static void each_word_has_a_way(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!is_ours(&conf_vm_schema, words[i]) &&
			!is_ours(&conf_network_schema, words[i]) && !conf_foreign_way(words[i]))
			fail_msg("%s", words[i]);
}

static void our_own_are_not_foreign(void **state)
{
	(void)state;
	for (size_t i = 0; i < conf_vm_schema.sections; i++) {
		_cleanup_(free_ptr) char *header =
			xasprintf("[%s]", conf_vm_schema.section[i].name);

		assert_null(conf_foreign_way(header));
	}
	assert_null(conf_foreign_way("Memry"));
	assert_null(conf_foreign_way(""));
	assert_string_equal(conf_foreign_way("scsi0"), conf_foreign_way("SCSI12"));
}

static void the_parser_says_it(void **state)
{
	/* clang-format off */
	static const struct conf_case cases[] = {
		{ DISK "[VM]\ncores=2\n",
		  "web1.vm:4: cores: unknown key in [VM]; write CPUs= in [VM]; Sockets=, Cores= and Threads= in [CPU] only divide them\n" },
		{ DISK "[VM]\nlimits.memory=2G\n", "web1.vm:4: limits.memory: unknown key in [VM]; write Memory= in [VM]\n" },
		{ DISK "[VM]\nmemory=2G\n", "web1.vm:4: memory: unknown key in [VM], did you mean 'Memory'?\n" },
		{ DISK "[VM]\nMACAddress=52:54:00:00:00:01\n",
		  "web1.vm:4: MACAddress: unknown key in [VM], did you mean it in [NIC]?\n" },
		{ DISK "[Service]\nType=simple\n",
		  "web1.vm:3: [Service]: unknown section; write [VM] and [Disk root], see vmkeep.vm(5), and Restart= in [Lifecycle]\n" },
	};
	/* clang-format on */

	(void)state;
	conf_case_check(cases, ARRAY_SIZE(cases));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_word_has_a_way),
		cmocka_unit_test(our_own_are_not_foreign),
		cmocka_unit_test(the_parser_says_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
