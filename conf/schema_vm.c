/* SPDX-License-Identifier: MIT */
#include "conf/row.h"
#include "conf/word.h"

#define NAME_TABLE(table, n, ...)                           \
	static const char *const table[] = { __VA_ARGS__ }; \
	_Static_assert(ARRAY_SIZE(table) == (n), "a value of " #table " has no name")

/* clang-format off */
NAME_TABLE(accel_names, CONF_ACCELS,
	[CONF_ACCEL_KVM] = "kvm", [CONF_ACCEL_TCG] = "tcg", [CONF_ACCEL_AUTO] = "auto");
NAME_TABLE(networks_names, CONF_NETWORKS_N,
	[CONF_NETWORKS_DEFAULT] = "default", [CONF_NETWORKS_NONE] = "none");
NAME_TABLE(enable_names, CONF_ENABLES,
	[CONF_ENABLE_NO] = "no", [CONF_ENABLE_YES] = "yes", [CONF_ENABLE_LAST] = "last");
NAME_TABLE(firmware_names, CONF_FIRMWARES,
	[CONF_FIRMWARE_AUTO] = "auto", [CONF_FIRMWARE_BIOS] = "bios",
	[CONF_FIRMWARE_UEFI] = "uefi");
NAME_TABLE(clock_names, CONF_CLOCKS,
	[CONF_CLOCK_UTC] = "utc", [CONF_CLOCK_LOCALTIME] = "localtime");
NAME_TABLE(format_names, CONF_FORMATS,
	[CONF_FORMAT_AUTO] = "auto", [CONF_FORMAT_RAW] = "raw", [CONF_FORMAT_QCOW2] = "qcow2");
NAME_TABLE(bus_names, CONF_BUSES,
	[CONF_BUS_AUTO] = "auto", [CONF_BUS_VIRTIO] = "virtio", [CONF_BUS_SCSI] = "scsi",
	[CONF_BUS_SATA] = "sata", [CONF_BUS_IDE] = "ide");
NAME_TABLE(cdrom_bus_names, CONF_BUSES, /* there is no CD on virtio */
	[CONF_BUS_AUTO] = "auto", [CONF_BUS_SCSI] = "scsi", [CONF_BUS_SATA] = "sata",
	[CONF_BUS_IDE] = "ide");
NAME_TABLE(cache_names, CONF_CACHES,
	[CONF_CACHE_AUTO] = "auto", [CONF_CACHE_NONE] = "none",
	[CONF_CACHE_WRITEBACK] = "writeback", [CONF_CACHE_WRITETHROUGH] = "writethrough",
	[CONF_CACHE_DIRECTSYNC] = "directsync", [CONF_CACHE_UNSAFE] = "unsafe");
NAME_TABLE(aio_names, CONF_AIOS,
	[CONF_AIO_AUTO] = "auto", [CONF_AIO_NATIVE] = "native", [CONF_AIO_THREADS] = "threads",
	[CONF_AIO_IO_URING] = "io_uring");
NAME_TABLE(discard_names, CONF_DISCARDS,
	[CONF_DISCARD_UNMAP] = "unmap", [CONF_DISCARD_IGNORE] = "ignore");
NAME_TABLE(zeroes_names, CONF_ZEROES_N,
	[CONF_ZEROES_OFF] = "off", [CONF_ZEROES_ON] = "on", [CONF_ZEROES_UNMAP] = "unmap");
NAME_TABLE(on_error_names, CONF_ON_ERRORS,
	[CONF_ON_ERROR_ENOSPC] = "enospc", [CONF_ON_ERROR_STOP] = "stop",
	[CONF_ON_ERROR_REPORT] = "report", [CONF_ON_ERROR_IGNORE] = "ignore");
NAME_TABLE(nic_names, CONF_NIC_MODELS,
	[CONF_NIC_VIRTIO] = "virtio", [CONF_NIC_E1000] = "e1000", [CONF_NIC_E1000E] = "e1000e",
	[CONF_NIC_RTL8139] = "rtl8139");
NAME_TABLE(display_names, CONF_DISPLAYS,
	[CONF_DISPLAY_VNC] = "vnc", [CONF_DISPLAY_NONE] = "none");
NAME_TABLE(video_names, CONF_VIDEOS,
	[CONF_VIDEO_STD] = "std", [CONF_VIDEO_VIRTIO] = "virtio", [CONF_VIDEO_QXL] = "qxl",
	[CONF_VIDEO_CIRRUS] = "cirrus", [CONF_VIDEO_NONE] = "none");
NAME_TABLE(vmgenid_names, CONF_VMGENIDS,
	[CONF_VMGENID_AUTO] = "auto", [CONF_VMGENID_YES] = "yes", [CONF_VMGENID_NO] = "no");
NAME_TABLE(watchdog_names, CONF_WATCHDOGS,
	[CONF_WATCHDOG_NONE] = "none", [CONF_WATCHDOG_I6300ESB] = "i6300esb", [CONF_WATCHDOG_ITCO] = "itco");
NAME_TABLE(serial_names, CONF_SERIAL_TYPES,
	[CONF_SERIAL_UART] = "serial", [CONF_SERIAL_VIRTIO] = "virtio");
NAME_TABLE(ending_names, CONF_ENDINGS,
	[CONF_ENDING_STOP] = "stop", [CONF_ENDING_RESTART] = "restart",
	[CONF_ENDING_PAUSE] = "pause");
NAME_TABLE(restart_names, CONF_RESTARTS,
	[CONF_RESTART_ON_FAILURE] = "on-failure", [CONF_RESTART_NO] = "no",
	[CONF_RESTART_ALWAYS] = "always");
NAME_TABLE(stop_timeout_names, CONF_STOP_TIMEOUTS,
	[CONF_STOP_TIMEOUT_LEAVE] = "leave", [CONF_STOP_TIMEOUT_KILL] = "kill");
NAME_TABLE(host_suspend_names, CONF_HOST_SUSPENDS,
	[CONF_HOST_SUSPEND_PAUSE] = "pause", [CONF_HOST_SUSPEND_IGNORE] = "ignore");
NAME_TABLE(link_names, 2, [false] = "down", [true] = "up");

static const struct conf_key vm_keys[] = {
	{ .name = "Description", STRING(TEXT, conf_vm, description), .apply = CONF_APPLY_LIVE,
	  .help = "A line of text for humans." },
	{ .name = "Tags",        LIST(WORD, conf_vm, tags), .apply = CONF_APPLY_LIVE, .check = conf_word_plain,
	  .what = "a word of letters, digits, '.', '_', '+' and '-'",
	  .help = "Words that group VMs, for humans and scripts: list and info show them." },
	{ .name = "CPUs",        UINT(conf_vm, cpus, 1, 1024), .preset = "1",
	  .help = "Number of virtual CPUs." },
	{ .name = "Memory",      SIZE(conf_vm, memory), .min = MIB, .max = 64 * TIB, .step = MIB,
	  .preset = "1G",
	  .help = "The guest's memory." },
	{ .name = "Machine",     STRING(WORD, conf_vm, machine), .check = conf_word_machine,
	  .what = "q35, pc or a version of these such as pc-q35-7.2", .preset = "q35",
	  .help = "The machine type. q35 and pc select their newest version at the first "
		  "start, which is then pinned, so that the guest's hardware never changes by "
		  "itself." },
	{ .name = "Accel",       ENUM(conf_accel, conf_vm, accel, accel_names), .preset = "kvm",
	  .help = "kvm uses hardware virtualisation and fails without it, tcg emulates the "
		  "CPU, auto uses kvm if it works, otherwise tcg, as list shows." },
	{ .name = "UUID",        STRING(WORD, conf_vm, uuid), .own = true, .check = conf_word_uuid,
	  .what = "a UUID such as 7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d",
	  .help = "Identifies the VM, whatever its file is called: see IDENTITY. Default: "
		  "chosen once and pinned." },
	{ .name = "Owner",       LIST(WORD, conf_vm, owner), .operators = true, .apply = CONF_APPLY_LIVE,
	  .check = conf_word_owner, .what = "a user name or @group",
	  .help = "Users, and groups with a leading @, who may use this VM without being "
		  "operators." },
	{ .name = "Networks",    ENUM(conf_networks, conf_vm, networks, networks_names),
	  .preset = "default", .apply = CONF_APPLY_START,
	  .help = "What a VM without a [NIC] section gets: default is one NIC 'lan' on the "
		  "network 'default', none is no NIC." },
	{ .name = "Enable",      ENUM(conf_enable, conf_vm, enable, enable_names), .preset = "no",
	  .apply = CONF_APPLY_LIVE,
	  .help = "Whether the VM starts with the host: at the daemon's first start after a "
		  "boot. With last it does if it was up when the host went down." },
	{ .name = "Protect",     BOOL(conf_vm, protect), .preset = "no", .apply = CONF_APPLY_LIVE,
	  .help = "Whether delete, snapshot revert and snapshot delete are refused, which lose "
		  "what cannot be made again; rename loses nothing. Whoever may change the file may "
		  "change this too." },
	{ .name = "Template", BOOL(conf_vm, template), .own = true, .preset = "no", .apply = CONF_APPLY_LIVE,
	  .help = "Whether this VM is a template: it cannot be started, and nothing writes to its "
		  "disks, so that the disks of other VMs can be based on them; see TEMPLATES." },
};

static const struct conf_key cpu_keys[] = {
	{ .name = "Model",    STRING(WORD, conf_vm, cpu_model), .check = conf_word_plain,
	  .what = "a CPU model of QEMU such as host or EPYC-Rome",
	  .help = "The CPU that the guest sees, with all of its features: if one of them is "
		  "missing, the VM does not start. Default: host with KVM, max with TCG." },
	{ .name = "Features", LIST(WORD, conf_vm, cpu_features), .check = conf_word_feature,
	  .what = "+FEATURE or -FEATURE",
	  .help = "CPU features to add (+avx2) or remove (-svm). If an added one is missing, "
		  "the VM does not start." },
	{ .name = "Sockets",  UINT(conf_vm, sockets, 1, 1024),
	  .help = "Sockets. Sockets, Cores and Threads multiply to CPUs. Default: derived." },
	{ .name = "Cores",    UINT(conf_vm, cores, 1, 1024),
	  .help = "Cores per socket. Default: derived." },
	{ .name = "Threads",  UINT(conf_vm, threads, 1, 1024),
	  .help = "Threads per core. Default: 1." },
};

static const struct conf_key memory_keys[] = {
	{ .name = "Max",               SIZE(conf_vm, memory_max), .min = MIB, .max = 64 * TIB,
	  .step = MIB,
	  .help = "The most memory that set-memory can give; the guest boots with this much, "
		  "and the balloon takes the difference to Memory. Default: Memory." },
	{ .name = "Min",               SIZE(conf_vm, memory_min), .min = MIB, .max = 64 * TIB,
	  .step = MIB,
	  .apply = CONF_APPLY_START,
	  .help = "The least memory that set-memory leaves. Default: 64M, or Memory if that is "
		  "less." },
	{ .name = "Balloon",           BOOL(conf_vm, balloon), .preset = "yes",
	  .help = "Whether there is a balloon device, which set-memory needs." },
	{ .name = "DeflateOnOOM",      BOOL(conf_vm, deflate_on_oom), .preset = "yes",
	  .help = "Whether the balloon deflates when the guest runs out of memory." },
	{ .name = "FreePageReporting", BOOL(conf_vm, free_page_reporting), .preset = "yes",
	  .help = "Whether free pages of the guest are returned to the host automatically." },
};

static const struct conf_key boot_keys[] = {
	{ .name = "Firmware",   ENUM(conf_firmware, conf_vm, firmware, firmware_names),
	  .preset = "auto",
	  .help = "bios or uefi; auto is uefi with SecureBoot, otherwise bios." },
	{ .name = "SecureBoot", BOOL(conf_vm, secure_boot), .preset = "no",
	  .help = "UEFI Secure Boot with the usual keys enrolled." },
	{ .name = "Order",      LIST(ID, conf_vm, order),
	  .help = "Ids of disks, CDs and NICs, in boot order." },
	{ .name = "Menu",       BOOL(conf_vm, menu), .preset = "no",
	  .help = "Whether the firmware offers its boot menu." },
	{ .name = "Kernel",     STRING(PATH, conf_vm, kernel), .root = true,
	  .help = "A Linux kernel on the host that is booted directly." },
	{ .name = "Initrd",     STRING(PATH, conf_vm, initrd), .root = true,
	  .help = "The kernel's initial RAM disk." },
	{ .name = "Append",     LIST(TEXT, conf_vm, append),
	  .help = "The kernel's command line; several lines are joined by spaces." },
	{ .name = "Clock",      ENUM(conf_clock, conf_vm, clock, clock_names), .preset = "utc",
	  .help = "The time zone of the real-time clock; Windows expects localtime." },
	{ .name = "VMGenID",  ENUM(conf_vmgenid, conf_vm, vmgenid, vmgenid_names), .preset = "auto",
	  .help = "Whether the guest has a generation ID, which changes when a snapshot is "
		  "reverted: the guest then knows that time went back, and reseeds its random "
		  "numbers. auto: new VMs have one, those that ran before this key existed do "
		  "not." },
};

static const struct conf_key disk_keys[] = {
	{ .name = "Path",         STRING(PATH, conf_disk, path),
	  .help = "Image file or block device. Relative paths are in the store; only root may name "
		  "a path outside of it. Default: NAME-ID.qcow2 if Size= is given, and NAME-ID for "
		  "a volume." },
	{ .name = "Store",        STRING(ID, conf_disk, store), .preset = CONF_STORE_DEFAULT,
	  .what = "the name of a store",
	  .help = "The directory of relative paths, of the image and of its bases: a store of "
		  "vmkeep.conf, or default, the image directory." },
	{ .name = "Base",         LIST(PATH, conf_disk, base),
	  .help = "All images that a qcow2 image is based on, from the top down. The names in the "
		  "headers of images are compared with these, but not followed." },
	{ .name = "Size",         SIZE(conf_disk, size), .min = 512, .max = 64 * TIB, .step = 512,
	  .apply = CONF_APPLY_ONCE,
	  .help = "Creates the image at the first vmkeep start if it does not exist, in a store "
		  "only; with Base=, on that base." },
	{ .name = "Format",       ENUM(conf_format, conf_disk, format, format_names),
	  .preset = "auto",
	  .help = "auto follows the name: .qcow2 is qcow2; .raw, .img, .iso and /dev/... are "
		  "raw. The content is ignored, because the guest can write it." },
	{ .name = "Bus",          ENUM(conf_bus, conf_disk, bus, bus_names), .preset = "auto",
	  .help = "The bus that the guest sees; auto is virtio. sata needs a q35 machine, ide "
		  "a pc machine." },
	{ .name = "Cache",        ENUM(conf_cache, conf_disk, cache, cache_names), .preset = "auto",
	  .help = "QEMU's cache mode; auto is none. none and directsync need direct I/O, which not "
		  "every file system supports, and for which the size of a raw image must be a "
		  "multiple of the block size. unsafe loses data if the host fails." },
	{ .name = "AIO",          ENUM(conf_aio, conf_disk, aio, aio_names), .preset = "auto",
	  .help = "QEMU's I/O method; auto is native if the cache mode allows it, otherwise "
		  "threads." },
	{ .name = "Discard",      ENUM(conf_discard, conf_disk, discard, discard_names),
	  .preset = "unmap",
	  .help = "Whether space that the guest discards is returned to the host." },
	{ .name = "DetectZeroes", ENUM(conf_detect_zeroes, conf_disk, detect_zeroes, zeroes_names),
	  .preset = "off",
	  .help = "Whether written zeroes become holes (on) or discards (unmap)." },
	{ .name = "OnError",      ENUM(conf_on_error, conf_disk, on_error, on_error_names),
	  .preset = "enospc",
	  .help = "On an I/O error: enospc pauses the guest if the host's disk is full, and "
		  "reports other errors to it; stop always pauses, report always reports, "
		  "ignore hides the error." },
	{ .name = "ReadOnly",     BOOL(conf_disk, read_only), .preset = "no",
	  .help = "Whether the disk is read-only." },
	{ .name = "IOThread",     BOOL(conf_disk, iothread), .preset = "no",
	  .help = "Whether the disk has its own I/O thread in QEMU." },
	{ .name = "Serial",       STRING(WORD, conf_disk, serial), .check = conf_word_serial,
	  .what = "a serial number of at most 20 letters, digits, '.', '_' and '-'",
	  .help = "Serial number that the guest reads. Default: the id." },
};

static const struct conf_key cdrom_keys[] = {
	{ .name = "Path",    STRING(PATH, conf_disk, path), .apply = CONF_APPLY_START,
	  .help = "Image or the host's drive, as for disks. Default: an empty drive." },
	{ .name = "Store",   STRING(ID, conf_disk, store), .preset = CONF_STORE_DEFAULT,
	  .apply = CONF_APPLY_START, .what = "the name of a store",
	  .help = "As for disks." },
	{ .name = "Format",  ENUM(conf_format, conf_disk, format, format_names), .preset = "auto",
	  .apply = CONF_APPLY_START,
	  .help = "As for disks." },
	{ .name = "Bus",     ENUM(conf_bus, conf_disk, bus, cdrom_bus_names), .preset = "auto",
	  .help = "The bus that the guest sees; auto is sata on q35 and ide on pc." },
	{ .name = "Cache",   ENUM(conf_cache, conf_disk, cache, cache_names), .preset = "auto",
	  .apply = CONF_APPLY_START,
	  .help = "As for disks." },
	{ .name = "OnError", ENUM(conf_on_error, conf_disk, on_error, on_error_names),
	  .preset = "enospc",
	  .help = "As for disks." },
	{ .name = "Serial",  STRING(WORD, conf_disk, serial), .check = conf_word_serial,
	  .what = "a serial number of at most 20 letters, digits, '.', '_' and '-'",
	  .help = "Serial number that the guest reads. Default: the id." },
};

static const struct conf_key nic_keys[] = {
	{ .name = "Network",    STRING(NAME, conf_nic, network), .preset = "default",
	  .apply = CONF_APPLY_START,
	  .help = "The network: the name of a .network file, or default." },
	{ .name = "Bridge",     STRING(WORD, conf_nic, bridge), .operators = true, .apply = CONF_APPLY_START,
	  .check = conf_word_ifname, .what = "an interface name of at most 15 bytes",
	  .help = "Instead of Network: an existing bridge that vmkeep does not manage." },
	{ .name = "Model",      ENUM(conf_nic_model, conf_nic, model, nic_names),
	  .preset = "virtio",
	  .help = "The network card that the guest sees." },
	{ .name = "MACAddress", MAC(conf_nic, mac), .own = true,
	  .help = "The MAC address. Default: derived from the VM's UUID and the id, and pinned." },
	{ .name = "Address",    STRING(WORD, conf_nic, address), .own = true,
	  .apply = CONF_APPLY_START, .check = conf_word_address,
	  .what = "an IPv4 address, with Bridge= one with a prefix length",
	  .help = "The address that the guest gets by DHCP. Default: the next free one, which "
		  "is then pinned. With Bridge=, the address that cloud-init gives it at its first "
		  "boot, as in 10.0.0.5/24; default: DHCP." },
	{ .name = "Gateway",    STRING(IPV4, conf_nic, gateway), .apply = CONF_APPLY_START,
	  .help = "For such an address: where the guest's default route leads." },
	{ .name = "DNS",        LIST(IPV4, conf_nic, dns), .apply = CONF_APPLY_START,
	  .help = "For such an address: the guest's name servers." },
	{ .name = "HostName",   STRING(WORD, conf_nic, hostname), .own = true,
	  .apply = CONF_APPLY_START,
	  .check = conf_word_label, .what = "a host name without dots",
	  .help = "The guest's DNS name. Default: the VM's name in lower case." },
	{ .name = "Link",       BOOL(conf_nic, link), NAMES(link_names), .preset = "up",
	  .apply = CONF_APPLY_START,
	  .help = "Whether the cable is plugged in." },
};

static const struct conf_key display_keys[] = {
	{ .name = "Type",            ENUM(conf_display, conf_vm, display, display_names),
	  .preset = "vnc",
	  .help = "Whether there is a screen." },
	{ .name = "Listen",          STRING(WORD, conf_vm, listen), .operators = true, .check = conf_word_listen,
	  .what = "unix or an IP address", .preset = "unix", .apply = CONF_APPLY_START,
	  .help = "Where VNC listens: unix is a socket in the run directory, for root." },
	{ .name = "Port",            UINT(conf_vm, port, 1, 65535), .zero = "auto",
	  .preset = "auto",
	  .own = true, .apply = CONF_APPLY_START,
	  .help = "TCP port; auto is the first free one from 5900 on." },
	{ .name = "Password",        STRING(WORD, conf_vm, password), .operators = true, .apply = CONF_APPLY_START,
	  .check = conf_word_file, .what = "the name of a file in the configuration directory",
	  .help = "A file in the configuration directory that holds the password." },
	{ .name = "AllowNoPassword", BOOL(conf_vm, allow_no_password), .operators = true, .preset = "no",
	  .apply = CONF_APPLY_START,
	  .help = "Allows VNC over TCP without a password." },
	{ .name = "Video",           ENUM(conf_video, conf_vm, video, video_names), .preset = "std",
	  .help = "The graphics card that the guest sees." },
	{ .name = "Keymap",          STRING(WORD, conf_vm, keymap), .check = conf_word_plain,
	  .what = "a keyboard layout of QEMU such as de or en-us",
	  .help = "Keyboard layout, for VNC clients that do not send scan codes." },
	{ .name = "Tablet",          BOOL(conf_vm, tablet), .preset = "yes",
	  .help = "Whether the pointing device is a tablet, which follows the mouse exactly." },
};

static const struct conf_key serial_keys[] = {
	{ .name = "Type",    ENUM(conf_serial_type, conf_serial, type, serial_names),
	  .preset = "serial",
	  .help = "serial is a 16550 UART, virtio a paravirtual console." },
	{ .name = "Log",     BOOL(conf_serial, log), .preset = "yes",
	  .help = "Whether the guest's output is logged." },
	{ .name = "LogSize", SIZE(conf_serial, log_size), .operators = true, .min = 4 * KIB, .max = TIB,
	  .preset = "4M",
	  .apply = CONF_APPLY_START,
	  .help = "Size at which the log is rotated." },
	{ .name = "LogKeep", UINT(conf_serial, log_keep, 0, 100), .operators = true, .preset = "3",
	  .apply = CONF_APPLY_START,
	  .help = "How many rotated logs are kept." },
};

static const struct conf_key rng_keys[] = {
	{ .name = "Source", STRING(PATH, conf_vm, rng_source), .root = true, .check = conf_word_rng,
	  .what = "an absolute path or none", .preset = "/dev/urandom",
	  .help = "Source of the guest's random numbers; none: no such device." },
	{ .name = "Rate",   SIZE(conf_vm, rng_rate), .preset = "0",
	  .help = "Maximum bytes per second; 0 is no limit." },
};

static const struct conf_key agent_keys[] = {
	{ .name = "Enable", BOOL(conf_vm, agent), .preset = "yes",
	  .help = "Whether there is a port for the QEMU guest agent. It has no effect unless "
		  "the agent runs in the guest." },
};

static const struct conf_key cloud_init_keys[] = {
	{ .name = "User",          STRING(WORD, conf_vm, seed.user), .check = conf_word_login,
	  .what = "a user name other than root, such as anna",
	  .help = "The user that the guest gets, who may become root with sudo; vmkeep ssh logs in as "
		  "this user. Default: the user that the image has for this purpose." },
	{ .name = "SSHKey",        LIST(TEXT, conf_vm, seed.keys), .check = conf_word_ssh_key,
	  .what = "a public key of ssh, as in a file id_*.pub",
	  .help = "A public key that the user may log in with." },
	{ .name = "PasswordFile",  STRING(PATH, conf_vm, seed.password), .root = true,
	  .check = conf_word_absolute, .what = "an absolute path",
	  .help = "A file of root's, which nobody else may read, with the user's password: "
		  "its hash as in /etc/shadow, or the password itself." },
	{ .name = "HostName",      STRING(WORD, conf_vm, seed.hostname), .own = true,
	  .check = conf_word_domain, .what = "a host name such as web1 or web1.example.org",
	  .help = "The guest's name for itself. Default: the VM's name in lower case." },
	{ .name = "UserData",      STRING(PATH, conf_vm, seed.user_data), .root = true,
	  .check = conf_word_absolute, .what = "an absolute path",
	  .help = "A file of root's with user data for cloud-init, which counts where it and the "
		  "other keys differ." },
	{ .name = "NetworkConfig", STRING(PATH, conf_vm, seed.network), .root = true,
	  .check = conf_word_absolute, .what = "an absolute path",
	  .help = "A file of root's with the guest's network configuration for cloud-init. "
		  "Default: DHCP." },
	{ .name = "Agent",         BOOL(conf_vm, seed.agent), .preset = "no",
	  .help = "Whether cloud-init installs the guest agent, from the guest's own package "
		  "source." },
};

static const struct conf_key watchdog_keys[] = {
	{ .name = "Model", ENUM(conf_watchdog, conf_vm, watchdog, watchdog_names), .preset = "none",
	  .help = "The device: i6300esb is a PCI card, itco the timer of q35's chipset, which "
		  "many guests support without configuration. It does nothing until the guest "
		  "arms it." },
};

static const struct conf_key vsock_keys[] = {
	{ .name = "CID", STRING(WORD, conf_vm, vsock_cid), .check = conf_word_cid,
	  .what = "auto or a number from 3 to 4294967294",
	  .help = "The guest's vsock address; auto is a number that no other VM has, chosen "
		  "once and pinned. Without this key there is no vsock device. The host needs "
		  "the kernel module vhost_vsock." },
};

static const struct conf_key lifecycle_keys[] = {
	{ .name = "TimeoutStartSec", TIME(conf_vm, timeout_start_ms), .min = 1000, .preset = "30s",
	  .apply = CONF_APPLY_START,
	  .help = "How long QEMU may take to start." },
	{ .name = "TimeoutStopSec",  TIME(conf_vm, timeout_stop_ms), .preset = "3min",
	  .apply = CONF_APPLY_START,
	  .help = "How long the guest may take to shut down. When the host shuts down, all "
		  "guests share TimeoutSec= of [Shutdown] in vmkeep.conf: check warns if this "
		  "does not fit." },
	{ .name = "OnStopTimeout",
	  ENUM(conf_stop_timeout, conf_vm, on_stop_timeout, stop_timeout_names),
	  .preset = "leave", .apply = CONF_APPLY_START,
	  .help = "After that: leave the guest running and report it, or kill it." },
	{ .name = "OnPowerOff",      ENUM(conf_ending, conf_vm, on_power_off, ending_names),
	  .preset = "stop", .apply = CONF_APPLY_START,
	  .help = "When the guest powers itself off: stop, restart, or pause, which keeps its "
		  "memory." },
	{ .name = "OnReboot",        ENUM(conf_ending, conf_vm, on_reboot, ending_names),
	  .preset = "restart", .apply = CONF_APPLY_START,
	  .help = "When the guest reboots; restart resets it in place." },
	{ .name = "OnPanic",         ENUM(conf_ending, conf_vm, on_panic, ending_names),
	  .preset = "restart", .apply = CONF_APPLY_START,
	  .help = "When the guest's kernel reports a panic." },
	{ .name = "OnWatchdog",      ENUM(conf_ending, conf_vm, on_watchdog, ending_names),
	  .preset = "restart", .apply = CONF_APPLY_START,
	  .help = "When the guest's watchdog fires." },
	{ .name = "Restart",         ENUM(conf_restart, conf_vm, restart, restart_names),
	  .preset = "on-failure", .apply = CONF_APPLY_START,
	  .help = "Whether the VM is restarted if QEMU dies (on-failure), never (no), or "
		  "whenever it ends without having been stopped (always)." },
	{ .name = "RestartSec",      TIME(conf_vm, restart_ms), .max = 86400000, .preset = "5s",
	  .apply = CONF_APPLY_START,
	  .help = "Delay before a restart; it doubles each time, up to 5min." },
	{ .name = "StartLimitBurst", UINT(conf_vm, start_limit_burst, 1, 1000), .preset = "5",
	  .apply = CONF_APPLY_START,
	  .help = "After this many failures within StartLimitIntervalSec, the VM stays in "
		  "state failed." },
	{ .name = "StartLimitIntervalSec", TIME(conf_vm, start_limit_interval_ms),
	  .preset = "10min",
	  .apply = CONF_APPLY_START,
	  .help = "See StartLimitBurst." },
	{ .name = "StartLimitPerDay", UINT(conf_vm, start_limit_per_day, 1, 100000), .preset = "20",
	  .apply = CONF_APPLY_START,
	  .help = "Likewise within 24 hours." },
	{ .name = "After",           LIST(NAME, conf_vm, after), .apply = CONF_APPLY_LIVE,
	  .help = "VMs and networks that start before this VM at boot, and stop after it at "
		  "shutdown. The VM starts even if they failed." },
	{ .name = "Requires",        LIST(NAME, conf_vm, requires), .operators = true, .apply = CONF_APPLY_LIVE,
	  .help = "Likewise, but they are started along with this VM, which stays down if one "
		  "of them fails." },
	{ .name = "ReadyWhen",       STRING(TEXT, conf_vm, ready_when), .apply = CONF_APPLY_START,
	  .check = conf_word_ready, .what = "started, lease, agent, notify, tcp:PORT or log:TEXT",
	  .preset = "started",
	  .help = "When VMs that wait for this one may start: it runs; it has leased an "
		  "address; its guest agent answers; it has reported readiness itself (see "
		  "STARTING WITH THE HOST); its first address accepts connections on PORT; or "
		  "it has written TEXT to its first serial port." },
	{ .name = "TimeoutReadySec", TIME(conf_vm, timeout_ready_ms), .preset = "2min",
	  .apply = CONF_APPLY_START,
	  .help = "How long that may take; after that, VMs with After= start anyway." },
	{ .name = "HostSuspend",
	  ENUM(conf_host_suspend, conf_vm, host_suspend, host_suspend_names), .preset = "pause",
	  .apply = CONF_APPLY_LIVE,
	  .help = "When the host sleeps: pause the VM before and resume it afterwards, or "
		  "ignore it." },
};

static const struct conf_key limits_keys[] = {
	{ .name = "CPUQuota",  STRING(WORD, conf_vm, cpu_quota), .operators = true, .check = conf_word_percent,
	  .what = "a percentage such as 150%", .apply = CONF_APPLY_START,
	  .help = "Maximum CPU time; 100% is one CPU." },
	{ .name = "CPUWeight", UINT(conf_vm, cpu_weight, 1, 10000), .operators = true, .apply = CONF_APPLY_START,
	  .help = "Share of CPU time when CPUs are busy; the default is 100." },
	{ .name = "IOWeight",  UINT(conf_vm, io_weight, 1, 10000), .operators = true, .apply = CONF_APPLY_START,
	  .help = "Likewise for disks." },
	{ .name = "TasksMax",  UINT(conf_vm, tasks_max, 16, 1000000), .operators = true, .apply = CONF_APPLY_START,
	  .help = "Maximum number of threads; with KVM the kernel adds one of its own, "
		  "kvm-nx-lpage-recovery." },
	{ .name = "MemoryMax", SIZE(conf_vm, limit_memory), .operators = true, .min = 16 * MIB, .apply = CONF_APPLY_START,
	  .help = "Maximum memory of the process, including QEMU's own memory and the page "
		  "cache of its disks; the kernel kills a process that exceeds it." },
};

static const struct conf_key hooks_keys[] = {
	{ .name = "Failed", STRING(PATH, conf_vm, hook_failed), .root = true,
	  .check = conf_word_absolute, .what = "an absolute path", .apply = CONF_APPLY_LIVE,
	  .help = "A program that is run as root when the VM crashed and restarts "
		  "(crash-restart), enters the state failed (failed), is paused because of a "
		  "full or broken disk (io-error), stops responding (unresponsive), or was not "
		  "started at boot (not-started). Its arguments are the VM's name, that word and "
		  "the reason; standard input is a JSON object, see vmkeepd(8). It is killed "
		  "after 30 seconds." },
};

static const struct conf_key qemu_keys[] = {
	{ .name = "Binary", STRING(PATH, conf_vm, binary), .root = true,
	  .check = conf_word_absolute,
	  .what = "an absolute path",
	  .help = "The QEMU to run. Default: qemu-system-x86_64." },
	{ .name = "Args",   LIST(TEXT, conf_vm, args), .root = true,
	  .help = "Added to QEMU's command line: one word, or an option and its argument, per "
		  "line." },
};

static const struct conf_section sections[] = {
	{ .name = "VM",        KEYS(vm_keys),        .help = "The machine as a whole." },
	{ .name = "CPU",       KEYS(cpu_keys),       .help = "The CPU." },
	{ .name = "Memory",    KEYS(memory_keys),
	  .help = "Memory limits and the balloon." },
	{ .name = "Boot",      KEYS(boot_keys),      .help = "How the guest boots." },
	{ .name = "Disk",      KEYS(disk_keys),      .help = "A disk.",
	  ELEMENTS(conf_disk, conf_vm, disk, disks, 64),
	  .variant = offsetof(struct conf_disk, cdrom), .is = false, .apply = CONF_APPLY_START },
	{ .name = "CDROM",     KEYS(cdrom_keys),     .help = "A CD or DVD drive.",
	  ELEMENTS(conf_disk, conf_vm, disk, disks, 64),
	  .variant = offsetof(struct conf_disk, cdrom), .is = true },
	{ .name = "NIC",       KEYS(nic_keys),
	  .help = "A network card. Without any NIC section, see Networks=.",
	  ELEMENTS(conf_nic, conf_vm, nic, nics, 32), .apply = CONF_APPLY_START },
	{ .name = "Display",   KEYS(display_keys),   .help = "Screen, keyboard and pointer." },
	{ .name = "Serial",    KEYS(serial_keys),
	  .help = "A serial port. The first one is the console; without any section there is "
		  "one, 'console'.",
	  ELEMENTS(conf_serial, conf_vm, serial, serials, 8) },
	{ .name = "RNG",       KEYS(rng_keys),       .help = "The source of random numbers." },
	{ .name = "Agent",     KEYS(agent_keys),     .help = "The guest agent." },
	{ .name = "CloudInit", KEYS(cloud_init_keys),
	  .help = "What cloud-init sets up in the guest, at its first boot." },
	{ .name = "Watchdog",  KEYS(watchdog_keys),
	  .help = "A timer that fires when the guest does not reset it in time: see OnWatchdog=." },
	{ .name = "VSock",     KEYS(vsock_keys),
	  .help = "Sockets between guest and host, see vsock(7)." },
	{ .name = "Lifecycle", KEYS(lifecycle_keys),
	  .help = "What happens when the VM starts, ends or fails." },
	{ .name = "Limits",    KEYS(limits_keys),
	  .help = "Resource limits of the process, by its control group. The keys are those of "
		  "systemd.resource-control(5). Without systemd or writable control groups, a "
		  "VM with a limit does not start." },
	{ .name = "Hooks",     KEYS(hooks_keys),
	  .help = "Programs that are notified of events." },
	{ .name = "QEMU",      KEYS(qemu_keys),
	  .help = "Passed to QEMU unchecked. Anything here marks the VM as tainted." },
};
/* clang-format on */

const struct conf_schema conf_vm_schema = {
	.section = sections,
	.sections = ARRAY_SIZE(sections),
	.size = sizeof(struct conf_vm),
	.ignored = offsetof(struct conf_vm, ignored),
};

const char *conf_format_name(enum conf_format v)
{
	return format_names[v];
}

const char *conf_bus_name(enum conf_bus v)
{
	return bus_names[v];
}

const char *conf_enable_name(enum conf_enable v)
{
	return enable_names[v];
}

const char *conf_accel_name(enum conf_accel v)
{
	return accel_names[v];
}

const char *conf_aio_name(enum conf_aio v)
{
	return aio_names[v];
}
