/* SPDX-License-Identifier: MIT */
#include "conf/foreign.h"

#include <fnmatch.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"

/* The first row with a matching pattern counts; case does not. What the ways name must exist:
 * tests/system/test_hints.py reads them. */
/* clang-format off */
static const struct {
	const char *words, *way;
} rows[] = {
	/* --- the machine --- */
	{ "mem ram maxmem maxmemory currentmemory memorysize limits.memory limits.memory.*",
	  "write Memory= in [VM]" },
	{ "core cores vcpu vcpus cpus cpu_count ncpu ncpus smp maxvcpus sockets limits.cpu",
	  "write CPUs= in [VM]; Sockets=, Cores= and Threads= in [CPU] only divide them" },
	{ "cpu cputype cpumodel cpu_model cpu_type",
	  "write Model= in [CPU], or CPUs= in [VM] for how many" },
	{ "cpulimit cpuunits cpushares startupcpu* limits.cpu.allowance limits.cpu.priority",
	  "write CPUQuota= or CPUWeight= in [Limits]" },
	{ "limits.disk.priority blkio* io*weight limits.read limits.write limits.max",
	  "write IOWeight= in [Limits]" },
	{ "memorylimit memoryhigh memorylow memorymin memoryswapmax",
	  "write MemoryMax= in [Limits]" },
	{ "maxballoon minballoon shares memballoon limits.memory.hotplug",
	  "write Min= and Max= in [Memory], for what vmkeep set-memory may give" },
	{ "bios uefi loader nvram pflash efidisk* ovmf",
	  "write Firmware=uefi in [Boot]; UEFI variables are kept by vmkeepd" },
	{ "security.secureboot security.csm",
	  "write SecureBoot=yes in [Boot]" },
	{ "bootdisk bootorder boot_order boot.priority boot",
	  "write Order= in [Boot], with the ids of disks, CDs and NICs" },
	{ "ostype os os_type os_variant osinfo guest_os image.os",
	  "leave it out, no setting depends on the guest's system; Windows wants Clock=localtime in [Boot]" },
	{ "localtime",
	  "write Clock=localtime in [Boot]" },
	{ "kvm acceleration virttype domain_type",
	  "write Accel= in [VM]" },
	{ "smbios* volatile.uuid",
	  "write UUID= in [VM]" },
	{ "args raw.qemu raw.qemu.* qemu_args commandline emulator",
	  "write Args= or Binary= in [QEMU]" },

	/* --- devices --- */
	{ "scsi[0-9]* virtio[0-9]* sata[0-9]* ide[0-9]* hd[a-d] vd[a-z] sd[a-z] disk disk[0-9]* disks root rootfs drive unused[0-9]*",
	  "write a section such as [Disk root], with Path= in it" },
	{ "scsihw controller target driver",
	  "leave it out: Bus= in a [Disk] section chooses the controller" },
	{ "cdrom iso media floppy",
	  "write a section such as [CDROM cd], with Path= in it" },
	{ "file image diskpath filename volume",
	  "write Path= in a [Disk] section: a relative one is below the image directory" },
	{ "pool storage",
	  "write Store= in a [Disk] section, and [Store NAME] with Path= in vmkeep.conf" },
	{ "source parent",
	  "write Path= in a [Disk] section, Network= or Bridge= in a [NIC] section" },
	{ "backing backingstore backing_file",
	  "write Base= in the [Disk] section" },
	{ "net net[0-9]* nic nics interface interfaces eth[0-9]* nictype",
	  "write a section such as [NIC lan], with Network= or Bridge= in it" },
	{ "mac macaddr mac_address hwaddr volatile.*.hwaddr",
	  "write MACAddress= in the [NIC] section" },
	{ "ip ipv4 ip4 ipaddr ipv4.address ipconfig[0-9]*",
	  "write Address= in the [NIC] section of a VM, or in [Network] of a network" },
	{ "vga graphics video display spice vnc qxl",
	  "write Type=, Listen= and Video= in [Display]" },
	{ "keyboard",
	  "write Keymap= in [Display]" },
	{ "tablet input",
	  "write Tablet= in [Display]" },
	{ "serial serial[0-9]* console",
	  "write a section such as [Serial console]" },
	{ "rng rng[0-9]*",
	  "write Source= in [RNG]" },
	{ "watchdog",
	  "write Model= in [Watchdog]" },
	{ "agent guest-agent guest_agent guestagent channel security.agent.metrics",
	  "write Enable= in [Agent]" },
	{ "vsock",
	  "write CID= in [VSock]" },
	{ "hostpci[0-9]* usb[0-9]* hostdev pci gpu tpm tpm* tpmstate[0-9]* audio[0-9]* sound virtiofs[0-9]* filesystem parallel[0-9]*",
	  "there is no such device here; Args= in [QEMU] takes QEMU's own options" },
	{ "cicustom cipassword citype ciupgrade ciuser sshkeys nameserver searchdomain cloud-init.* user.*",
	  "make an ISO of the user data, and name it at Path= in a [CDROM] section" },

	/* --- life --- */
	{ "onboot autostart autoboot boot.autostart start_on_boot wantedby requiredby [Install]",
	  "write Enable=yes in [VM]" },
	{ "startup boot.autostart.* boot.stop.priority before wants bindsto requisite partof upholds dependson",
	  "write After= or Requires= in [Lifecycle]" },
	{ "boot.host_shutdown_timeout boot.host_shutdown_action timeoutsec timeoutabortsec shutdown_timeout",
	  "write TimeoutStopSec= in [Lifecycle], or TimeoutStartSec= for starts" },
	{ "on_poweroff",
	  "write OnPowerOff= in [Lifecycle]" },
	{ "on_reboot",
	  "write OnReboot= in [Lifecycle]" },
	{ "on_crash",
	  "write OnPanic= or Restart= in [Lifecycle]" },
	{ "onfailure hookscript",
	  "write Failed= in [Hooks]" },

	/* --- what is not set --- */
	{ "name title vmid id",
	  "leave it out: a VM or a network has the name of its file" },
	{ "desc notes tags metadata documentation",
	  "write Description= in [VM], or keys of your own that begin with X-" },
	{ "exec[a-z]* type killmode killsignal pidfile notifyaccess remainafterexit",
	  "leave it out, vmkeepd starts and stops QEMU itself; Args= in [QEMU] adds to its options" },
	{ "user group dynamicuser uid gid",
	  "leave it out, each VM has a user of its own; Owner= in [VM] says who may operate it" },
	{ "environment environmentfile workingdirectory standard* syslog* logs*",
	  "leave it out: what QEMU prints is in vmkeep log NAME qemu" },
	{ "protect* private* restrict* nonewprivileges capability* ambientcap* systemcall* readonly?* inaccessible* "
	  "security.* apparmor* seclabel lockpersonality memorydeny* umask rootdirectory",
	  "leave it out: every guest is confined, as vmkeep-security(7) tells" },
	{ "limit[a-z]* nice io*class oom* affinity cpuaffinity allowedcpus slice delegate *accounting cputune memtune numatune numa "
	  "numa[0-9]* limits.*",
	  "there is no such limit here; [Limits] has CPUQuota=, CPUWeight=, IOWeight=, MemoryMax= and TasksMax=" },
	{ "acpi template protection lock hotplug freeze migrat* snapshots.* cluster.* volatile.* image.* snapstate parentsnap",
	  "leave it out: there is no such setting here" },
	{ "[Unit]",
	  "write Description= in [VM], After= and Requires= in [Lifecycle]" },
	{ "[Service]",
	  "write [VM] and [Disk root], see vmkeep.vm(5), and Restart= in [Lifecycle]" },

	/* --- networks --- */
	{ "gateway ipv4.gateway",
	  "leave it out: Address= in [Network] is the guests' gateway" },
	{ "forward ipmasquerade ipforward nat ipv4.nat ipv4forwarding",
	  "write Mode= in [Network]" },
	{ "dhcp dhcpserver ipv4.dhcp",
	  "write Enable= in [DHCPServer]" },
	{ "pooloffset poolsize ipv4.dhcp.ranges dhcp_range",
	  "write Range= in [DHCPServer]" },
	{ "defaultleasetimesec maxleasetimesec ipv4.dhcp.expiry leasetime",
	  "write LeaseSec= in [DHCPServer]" },
	{ "domain dns.domain domains",
	  "write Domain= in [DHCPServer]" },
	{ "dns dns.* raw.dnsmasq",
	  "write Enable= or Forward= in [DNS]" },
	{ "mtu bridge.mtu",
	  "write MTUBytes= in [Network]" },
	{ "[Match] [Link] [NetDev]",
	  "leave it out: vmkeepd makes the bridge, see vmkeep.network(5)" },
};
/* clang-format on */

static bool foreign_has(const char *words, const char *word)
{
	while (*words) {
		size_t len = strcspn(words, " ");
		_cleanup_(free_ptr) char *one = xstrndup(words, len);

		/* a section is no pattern */
		if (*one == '[' ? strcasecmp(one, word) == 0
				: fnmatch(one, word, FNM_CASEFOLD) == 0)
			return true;
		words += len + strspn(words + len, " ");
	}
	return false;
}

const char *conf_foreign_way(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (foreign_has(rows[i].words, word))
			return rows[i].way;
	return NULL;
}
