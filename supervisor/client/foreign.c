/* SPDX-License-Identifier: MIT */
#include "supervisor/client/foreign.h"

#include <fnmatch.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"

/* What a row promises must work today: tests/unit/client_foreign.c and scripts/check-hints read it. */
/* clang-format off */
static const struct foreign rows[] = {
	/* --- a VM is a file --- */
	{ "virt-install init launch new add qemu-attach",
	  "vmkeep create %n --memory 1G --disk 20G --iso FILE --start; --ram, --vcpus, --disk, --cdrom and --network of virt-install work there too" },
	{ "desc metadata domxml-from-native config-edit config-set config-unset device device-add device-remove "
	  "device-set device-unset device-get device-list device-show device-override",
	  "vmkeep edit %n, or vmkeep set %n VM.Memory=2G for single keys; vmkeep diff %n shows what takes effect only after vmkeep reboot %n" },
	{ "config-device config-metadata config-template config-trust",
	  "a device is a section of the VM's file, such as [Disk data] or [NIC lan]: vmkeep edit NAME, or vmkeep set NAME NIC.lan.Link=down" },
	{ "config config-show config-get show",
	  "vmkeep cat %n prints its file, vmkeep cat --effective %n all keys with their values" },
	{ "pending",
	  "vmkeep diff %n shows what the next start changes" },
	{ "showcmd",
	  "vmkeep cmdline %n" },
	{ "rm remove undefine qm-destroy pct-destroy",
	  "vmkeep delete %n, once it is shut down; its disk images stay, or go to the trash with --disks" },
	{ "move mv",
	  "vmkeep rename %n NEW, once it is shut down" },
	{ "copy cp virt-clone",
	  "vmkeep clone %n NEW, once it is shut down" },
	{ FOREIGN_PROGRAMS,
	  "leave that word out; vmkeep help lists the commands" },
	{ "halt",
	  "vmkeep stop %n shuts the guest down" },
	{ "qm-stop pct-stop",
	  "vmkeep kill %n powers it off at once; vmkeep stop %n shuts the guest down" },
	{ "template profile profile-* project project-*",
	  "[Defaults] in %d/vmkeep.conf applies to all VMs: see vmkeepd(8); drop-ins in NAME.vm.d for one: see vmkeep.vm(5)" },
	{ "autostart",
	  "vmkeep enable %n starts it with the host, vmkeep disable %n does not" },
	{ "set-lifecycle-action",
	  "write OnPowerOff=, OnReboot= or OnPanic= in [Lifecycle] of %f" },
	{ "unlock",
	  "a lock ends with the process that holds it: vmkeep check %n names it" },
	{ "rescan cleanup mtunnel nbdstop dbus-vmstate enroll-efi-keys debug debug-*",
	  "not needed: vmkeepd watches files and processes itself; vmkeep check %n shows what it finds" },

	/* --- devices --- */
	{ "attach-disk detach-disk disk-unlink",
	  "vmkeep disk attach %n ID Path=FILE attaches a disk to a running guest, vmkeep disk detach %n ID removes it from the guest; --persistent writes %f, too" },
	{ "attach-interface detach-interface",
	  "vmkeep nic attach %n ID plugs a NIC into a running guest, vmkeep nic detach %n ID takes it out; --persistent writes %f, too" },
	{ "attach-device detach-device detach-device-alias "
	  "update-device update-memory-device dom-fd-associate nic-* unlink",
	  "devices are sections of %f, such as [Disk data] or [NIC lan]: edit it, then vmkeep check %n and vmkeep reboot %n" },
	{ "change-media eject insert",
	  "vmkeep cd %n insert FILE changes the CD of a running guest, vmkeep cd %n eject takes it out; --persistent writes %f, too" },
	{ "cloudinit cloudinit-dump cloudinit-pending cloudinit-update",
	  "write User= and SSHKey= in [CloudInit] of %f before the first start; or vmkeep create --user, --ssh-key and --cloud-init" },
	{ "nodedev-* hostdev*",
	  "no key passes devices of the host through; Args= in [QEMU] of %f takes QEMU's own options" },
	{ "blockresize resize disk-resize vol-resize",
	  "shut the guest down, run qemu-img resize on the image that vmkeep info %n names, then vmkeep start %n" },
	{ "image-import image-copy image-show image-info image-edit image-delete image-export image-refresh image-alias",
	  "images for new VMs are files images/NAME.qcow2 in a store: vmkeep image list shows them, vmkeep image fetch brings one" },
	{ "importdisk importovf disk-import import import-* vol-* "
	  "find-storage-pool-sources* move-disk move_disk move-volume move_volume disk-move disk-rescan",
	  "disk images are files: qemu-img creates, converts and resizes them; name one at Path= in a [Disk] section of %f" },
	{ "pool-* storage storage-*",
	  "a store is [Store NAME] in %d/vmkeep.conf, with Path= in it: see vmkeepd(8); vmkeep store list lists them" },
	{ "blockcommit blockcopy blockpull blockjob",
	  "shut the guest down and use qemu-img commit, convert or rebase on the image that vmkeep info %n names" },
	{ "setvcpus setvcpu",
	  "write CPUs= in [VM] of %f, then vmkeep reboot %n" },
	{ "setmaxmem",
	  "write Memory= in [VM] of %f, or Max= in [Memory] for what vmkeep set-memory may give, then vmkeep reboot %n" },
	{ "memtune blkiotune schedinfo cpulimit blkdeviotune domiftune",
	  "[Limits] in %f has CPUQuota=, CPUWeight=, IOWeight=, MemoryMax= and TasksMax=, for the VM as a whole" },
	{ "vcpupin emulatorpin iothreadpin numatune iothreadadd iothreaddel iothreadset cpusets affinity",
	  "no key pins vCPUs; until the next start: taskset -acp LIST PID, with the pid from vmkeep info %n" },

	/* --- what it does --- */
	{ "top stats domstats cpu-stats virt-top perf dommemstat domblkstat domifstat nodecpustats nodememstats",
	  "vmkeep list shows state and memory; top -p PID, with the pid from vmkeep info %n, what the process uses" },
	{ "domid domname domuuid domcontrol domblklist domblkinfo domblkerror domiflist domif-getlink vcpuinfo vcpucount "
	  "guestvcpus iothreadinfo domlaunchsecinfo",
	  "vmkeep info %n" },
	{ "ps",
	  "vmkeep list" },
	{ "logs journal show-log",
	  "vmkeep log %n for its console, vmkeep log %n qemu for QEMU, vmkeep history %n for what happened" },
	{ "operation operation-*",
	  "vmkeep jobs lists what is under way" },
	{ "warning warning-*",
	  "vmkeep check shows what is wrong with VMs, vmkeep host check what is wrong with the host" },
	{ "monitor",
	  "vmkeep events prints what happens, vmkeep qmp %n query-status asks QEMU" },
	{ "net-event pool-event nodedev-event secret-event qemu-monitor-event",
	  "vmkeep events prints what happens" },
	{ "exec enter shell login guest-cmd agent guest-exec-status",
	  "vmkeep guest exec %n -- COMMAND runs one in the guest, vmkeep console %n is its serial port" },
	{ "fstrim",
	  "vmkeep guest trim %n" },
	{ "df",
	  "vmkeep guest fs %n lists what the guest has mounted" },
	{ "fsck",
	  "vmkeep console %n, and check file systems in the guest; qemu-img check is for its images, while it is shut down" },
	{ "domhostname guest-agent-timeout get-user-sshkeys",
	  "vmkeep guest info %n shows what the agent knows" },
	{ "set-user-sshkeys send-process-signal",
	  "vmkeep guest exec %n -- COMMAND runs the command for it in the guest" },
	{ "file file-push file-pull push pull",
	  "vmkeep guest push %n FILE PATH copies a file into the guest, vmkeep guest pull %n PATH FILE out of it" },
	{ "file-edit file-create file-delete file-mount mount unmount umount",
	  "copy over the network, with scp, to the address that vmkeep ip %n prints" },
	{ "terminal mon serial attach",
	  "vmkeep console %n" },
	{ "vncdisplay domdisplay vncproxy vnc spice view viewer virt-viewer screenshot webui display",
	  "connect a VNC viewer to the address that vmkeep info %n shows as vnc" },
	{ "send-key sendkey sendkeys",
	  "vmkeep qmp %n '{\"execute\": \"send-key\", \"arguments\": {\"keys\": [{\"type\": \"qcode\", \"data\": \"ret\"}]}}'" },
	{ "inject-nmi nmi",
	  "vmkeep qmp %n inject-nmi" },
	{ "dompmwakeup",
	  "vmkeep qmp %n system_wakeup" },
	{ "domblkthreshold domdirtyrate-calc domsetlaunchsecstate",
	  "vmkeep qmp %n COMMAND sends QEMU any command, as root" },

	/* --- states that are kept --- */
	{ "save managedsave managedsave-* save-image-* restore hibernate dompmsuspend dump",
	  "vmkeep snapshot create %n SNAPSHOT keeps disks and memory; vmkeep snapshot revert %n SNAPSHOT goes back to them" },
	{ "backup backup-* checkpoint-* export export-* publish vzdump download",
	  "shut the guest down, copy %f and the images that vmkeep info %n names, then vmkeep start %n" },
	{ "delsnapshot",
	  "vmkeep snapshot delete %n SNAPSHOT" },
	{ "rollback snapshot-restore",
	  "vmkeep snapshot revert %n SNAPSHOT; what came after the snapshot is lost" },
	{ "listsnapshot listsnapshots snapshot-current snapshot-info snapshot-dumpxml snapshot-edit snapshot-parent "
	  "snapshot-show snapshot-rename snapshots",
	  "vmkeep snapshot list %n" },
	{ "migrate migrate-* remote-migrate evacuate",
	  "vmkeepd manages one host: shut the guest down, copy %f and its images to the other host, "
	  "remove %f here, and start it there" },
	{ "rebuild",
	  "shut the guest down, put a fresh image at Path= of its [Disk] section, then vmkeep start %n" },

	/* --- networks --- */
	{ "net-create net-define net-edit net-update network-create network-edit network-set network-unset network-get",
	  "a network is a file %d/NAME.network, see vmkeep.network(5): edit it, then vmkeep check and vmkeep net start NAME" },
	{ "net-undefine network-delete network-rename",
	  "a network is a file %d/NAME.network: vmkeep net stop NAME takes it down, then remove the file" },
	{ "net-autostart",
	  "a network comes up with the first VM that needs it: there is nothing to set" },
	{ "net-name net-uuid net-port-* network-show network-info",
	  "vmkeep net show NAME" },
	{ "network-list",
	  "vmkeep net list" },
	{ "network-list-leases",
	  "vmkeep net leases NAME" },
	{ "network network-*",
	  "vmkeep net list and vmkeep net show NAME show them; a network is a file %d/NAME.network, see vmkeep.network(5)" },
	{ "nwfilter-*",
	  "there are no filters to write: what a guest can reach on a network is in vmkeep-security(7)" },
	{ "iface-*",
	  "vmkeep does not configure the host's interfaces: ip link shows them; Bridge= in a [NIC] section of %f uses a bridge" },

	/* --- the host and the program itself --- */
	{ "capabilities domcapabilities cpu-models cpu-baseline cpu-compare hypervisor-cpu-* maxvcpus nodeinfo nodesevinfo "
	  "sysinfo freecell freepages allocpages nodecpumap node-memory-tune hostname",
	  "vmkeep host check shows what this host can do; lscpu and free -h show its processors and memory" },
	{ "nodesuspend",
	  "systemctl suspend; HostSuspend= in [Lifecycle] of %f sets what the guest does meanwhile" },
	{ "secret-*",
	  "the only secret is Password= in [Display], which names a file" },
	{ "connect uri remote remote-* cluster cluster-*",
	  "vmkeep talks to the daemon of this host, or to the one that --run DIR names" },
	{ "admin admin-*",
	  "systemctl status vmkeepd, and vmkeepd(8)" },
	{ "query",
	  "vmkeep schema prints the protocol, see vmkeep-api(7)" },
	{ "manpage",
	  "man vmkeep" },
	{ "alias alias-*",
	  "use a shell alias" },
	{ "cd pwd echo exit quit lxc-enter-namespace",
	  "vmkeep has no prompt of its own: type vmkeep and a command in your shell; 'vmkeep help' lists them" },
};
/* clang-format on */

static bool foreign_has(const char *words, const char *word, bool patterns)
{
	while (*words) {
		size_t len = strcspn(words, " ");
		_cleanup_(free_ptr) char *one = xstrndup(words, len);

		if (patterns ? fnmatch(one, word, 0) == 0 : streq(one, word))
			return true;
		words += len + strspn(words + len, " ");
	}
	return false;
}

const struct foreign *foreign_find(const char *first, const char *second, unsigned *used)
{
	_cleanup_(free_ptr) char *both = second ? xasprintf("%s-%s", first, second) : NULL;

	/* patterns last: the second word of "backup web1" is a VM */
	for (unsigned pass = 0; pass < 4; pass++) {
		const char *word = pass % 2 ? first : both;

		*used = pass % 2 ? 1 : 2;
		for (size_t i = 0; word && i < ARRAY_SIZE(rows); i++)
			if (foreign_has(rows[i].words, word, pass >= 2))
				return &rows[i];
	}
	return NULL;
}

bool foreign_is_program(const char *word)
{
	return foreign_has(FOREIGN_PROGRAMS, word, false);
}

void foreign_way(const struct foreign *f, const char *dir, const char *vm, struct buf *b)
{
	if (!vm || !conf_name_ok(vm))
		vm = "NAME";
	for (const char *p = f->way; *p; p++)
		if (*p != '%')
			buf_addc(b, *p);
		else if (*++p == 'n')
			buf_adds(b, vm);
		else if (*p == 'f')
			buf_printf(b, "%s/%s.vm", dir, vm);
		else
			buf_adds(b, dir);
}
