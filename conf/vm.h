/* SPDX-License-Identifier: MIT */
/*
 * conf/vm.h - one VM as configured: NAME.vm, its drop-ins and [Defaults]
 *
 * Everything in a struct conf_vm lives in its arena; conf_vm_release() frees it at once. Strings
 * are NULL if the key is unset. Specifiers are expanded. For keys, types, defaults, and when a
 * change applies, see the tables in conf/schema_vm.c.
 */
#ifndef CONF_VM_H
#define CONF_VM_H

#include <net/ethernet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum conf_accel { CONF_ACCEL_KVM, CONF_ACCEL_TCG, CONF_ACCEL_AUTO, CONF_ACCELS };
enum conf_networks { CONF_NETWORKS_DEFAULT, CONF_NETWORKS_NONE, CONF_NETWORKS_N };
enum conf_firmware { CONF_FIRMWARE_AUTO, CONF_FIRMWARE_BIOS, CONF_FIRMWARE_UEFI, CONF_FIRMWARES };
enum conf_clock { CONF_CLOCK_UTC, CONF_CLOCK_LOCALTIME, CONF_CLOCKS };
enum conf_format { CONF_FORMAT_AUTO, CONF_FORMAT_RAW, CONF_FORMAT_QCOW2, CONF_FORMATS };
enum conf_bus {
	CONF_BUS_AUTO,
	CONF_BUS_VIRTIO,
	CONF_BUS_SCSI,
	CONF_BUS_SATA,
	CONF_BUS_IDE,
	CONF_BUSES
};
enum conf_cache {
	CONF_CACHE_AUTO, /* none */
	CONF_CACHE_NONE,
	CONF_CACHE_WRITEBACK,
	CONF_CACHE_WRITETHROUGH,
	CONF_CACHE_DIRECTSYNC,
	CONF_CACHE_UNSAFE,
	CONF_CACHES
};
enum conf_aio { CONF_AIO_AUTO, CONF_AIO_NATIVE, CONF_AIO_THREADS, CONF_AIO_IO_URING, CONF_AIOS };
enum conf_discard { CONF_DISCARD_UNMAP, CONF_DISCARD_IGNORE, CONF_DISCARDS };
enum conf_detect_zeroes { CONF_ZEROES_OFF, CONF_ZEROES_ON, CONF_ZEROES_UNMAP, CONF_ZEROES_N };
enum conf_on_error {
	CONF_ON_ERROR_ENOSPC,
	CONF_ON_ERROR_STOP,
	CONF_ON_ERROR_REPORT,
	CONF_ON_ERROR_IGNORE,
	CONF_ON_ERRORS
};
enum conf_nic_model {
	CONF_NIC_VIRTIO,
	CONF_NIC_E1000,
	CONF_NIC_E1000E,
	CONF_NIC_RTL8139,
	CONF_NIC_MODELS
};
enum conf_display { CONF_DISPLAY_VNC, CONF_DISPLAY_NONE, CONF_DISPLAYS };
enum conf_vmgenid { CONF_VMGENID_AUTO, CONF_VMGENID_YES, CONF_VMGENID_NO, CONF_VMGENIDS };
enum conf_watchdog {
	CONF_WATCHDOG_NONE,
	CONF_WATCHDOG_I6300ESB,
	CONF_WATCHDOG_ITCO,
	CONF_WATCHDOGS
};
/* Does it start with the host? LAST: if it was up when the host went down. */
enum conf_enable { CONF_ENABLE_NO, CONF_ENABLE_YES, CONF_ENABLE_LAST, CONF_ENABLES };
enum conf_video {
	CONF_VIDEO_STD,
	CONF_VIDEO_VIRTIO,
	CONF_VIDEO_QXL,
	CONF_VIDEO_CIRRUS,
	CONF_VIDEO_NONE,
	CONF_VIDEOS
};
enum conf_serial_type { CONF_SERIAL_UART, CONF_SERIAL_VIRTIO, CONF_SERIAL_TYPES };
enum conf_ending { CONF_ENDING_STOP, CONF_ENDING_RESTART, CONF_ENDING_PAUSE, CONF_ENDINGS };
enum conf_restart { CONF_RESTART_ON_FAILURE, CONF_RESTART_NO, CONF_RESTART_ALWAYS, CONF_RESTARTS };
enum conf_host_suspend { CONF_HOST_SUSPEND_PAUSE, CONF_HOST_SUSPEND_IGNORE, CONF_HOST_SUSPENDS };
enum conf_stop_timeout { CONF_STOP_TIMEOUT_LEAVE, CONF_STOP_TIMEOUT_KILL, CONF_STOP_TIMEOUTS };

/* Where something was set, for messages; file is NULL if it was not set anywhere. */
struct conf_place {
	const char *file;
	unsigned line;
};

/* A list: the key repeated, in order; an empty assignment resets it. */
struct conf_list {
	const char **item;
	size_t n;
};

struct conf_mac {
	bool set;
	uint8_t byte[ETH_ALEN];
};

/* What a disk is in a store of Type=program. MADE, ABSENT: as a start, or a check, found out. */
enum conf_volume { CONF_VOLUME_NONE, CONF_VOLUME, CONF_VOLUME_MADE, CONF_VOLUME_ABSENT };

struct conf_disk { /* [Disk ID] and [CDROM ID] */
	const char *id;
	struct conf_place place;
	bool cdrom;
	/* as configured, specifiers expanded; relative: to the store; NULL: empty CD */
	const char *path;
	const char *store;	 /* CONF_STORE_DEFAULT: the image directory */
	const char *dir;	 /* of that store, from vmkeep.conf; NULL: the image directory */
	bool dir_mounted;	 /* it must be a mount point */
	enum conf_volume volume; /* path names it in that store */
	struct conf_list base;	 /* the backing chain, in full, from the top */
	bool unnamed;		 /* no Path= given: it is NAME-ID.qcow2, a volume NAME-ID */
	uint64_t size;		 /* bytes, 0: do not create */
	enum conf_format format;
	enum conf_bus bus;
	enum conf_cache cache;
	enum conf_aio aio;
	enum conf_discard discard;
	enum conf_detect_zeroes detect_zeroes;
	enum conf_on_error on_error;
	bool read_only; /* always true for a CD */
	bool iothread;
	const char *serial;
};

struct conf_nic { /* [NIC ID] */
	const char *id;
	struct conf_place place;
	const char *network; /* a .network file's name, or NULL when bridge is set */
	const char *bridge;  /* an existing bridge that vmkeep does not manage */
	enum conf_nic_model model;
	struct conf_mac mac; /* unset: from the identity */
	/* IPv4, NULL: from the identity; on a bridge with a prefix length, NULL: unknown */
	const char *address;
	const char *gateway;  /* for that of a bridge; NULL: none */
	struct conf_list dns; /* likewise */
	const char *hostname; /* NULL: derived from the VM's name */
	bool link;
};

struct conf_serial { /* [Serial ID]; the first is the console */
	const char *id;
	struct conf_place place;
	enum conf_serial_type type;
	bool log;
	uint64_t log_size; /* bytes */
	uint64_t log_keep; /* old files */
};

struct conf_vm {
	struct arena arena;
	const char *name;
	struct conf_place place; /* the .vm file */

	/* [VM] */
	const char *description;
	struct conf_list tags;
	uint64_t cpus;
	uint64_t memory;     /* bytes */
	const char *machine; /* q35, pc, or a versioned name */
	enum conf_accel accel;
	const char *uuid;	/* NULL: from the identity */
	struct conf_list owner; /* user names or @group */
	enum conf_networks networks;
	enum conf_enable enable;
	bool protect;  /* from delete and snapshot revert */
	bool template; /* never started: others' disks are based on its own */

	/* [CPU] */
	const char *cpu_model;		  /* NULL: host with KVM, max with TCG */
	struct conf_list cpu_features;	  /* +x or -x */
	uint64_t sockets, cores, threads; /* 0: derived */

	/* [Memory] */
	uint64_t memory_max; /* bytes, 0: same as memory */
	uint64_t memory_min; /* bytes, 0: 64 MiB or less */
	bool balloon, deflate_on_oom, free_page_reporting;

	/* [Boot] */
	enum conf_firmware firmware;
	bool secure_boot;
	struct conf_list order; /* ids of disks, CDs and NICs */
	bool menu;
	const char *kernel, *initrd;
	struct conf_list append; /* joined by spaces */
	enum conf_clock clock;
	enum conf_vmgenid vmgenid;

	/* [Display] */
	enum conf_display display;
	const char *listen;   /* "unix" or an IP address */
	uint64_t port;	      /* 0: auto, the first free from 5900 */
	const char *password; /* file name in the configuration directory */
	bool allow_no_password;
	enum conf_video video;
	const char *keymap;
	bool tablet;

	/* [RNG] */
	const char *rng_source; /* /dev/urandom, or "none" */
	uint64_t rng_rate;	/* bytes per second, 0: no limit */

	/* [Agent] */
	bool agent;

	/* [CloudInit], see conf_vm_wants_seed() */
	struct conf_seed {
		const char *user; /* NULL: the image's own */
		struct conf_list keys;
		const char *hostname; /* NULL: derived from the VM's name */
		const char *password; /* files of the host, NULL: none */
		const char *user_data;
		const char *network;
		bool agent;
	} seed;

	/* [Watchdog] */
	enum conf_watchdog watchdog;

	/* [VSock] */
	const char *vsock_cid; /* "auto" or a number, NULL: no device */

	/* [Lifecycle]; times in milliseconds, UINT64_MAX: no limit */
	uint64_t timeout_start_ms, timeout_stop_ms;
	/* where each key was set, for messages; see conf_vm_line() */
	struct conf_line {
		const char *section, *id, *key;
		struct conf_place place;
	} *line;
	size_t lines;
	struct conf_place stop_place,
		order_place; /* of TimeoutStopSec=; of After= or Requires=, if any */
	bool stop_written;   /* by its own files, not by [Defaults] */
	enum conf_stop_timeout on_stop_timeout;
	enum conf_ending on_power_off, on_reboot, on_panic, on_watchdog;
	enum conf_restart restart;
	uint64_t restart_ms;
	uint64_t start_limit_burst, start_limit_interval_ms, start_limit_per_day;
	struct conf_list after, requires; /* names of VMs or networks */
	const char *ready_when;		  /* started, lease, agent, notify, tcp:PORT, log:TEXT */
	uint64_t timeout_ready_ms;
	enum conf_host_suspend host_suspend;

	/* [Limits]; 0 or NULL: none */
	const char *cpu_quota; /* "150%" of one CPU */
	uint64_t cpu_weight, io_weight, tasks_max;
	uint64_t limit_memory; /* bytes, MemoryMax= */

	/* [Hooks] */
	const char *hook_failed;

	/* [QEMU]: anything here taints the VM */
	const char *binary;    /* NULL: qemu-system-x86_64 */
	struct conf_list args; /* one word, or an option and its argument, per line */

	struct conf_disk *disk;
	size_t disks;
	struct conf_nic *nic;
	size_t nics;
	struct conf_serial *serial;
	size_t serials;
	struct conf_list ignored; /* X-... keys, "Section.Key=value" */
};

#define CONF_VM_INIT { .arena = ARENA_INIT }

void conf_vm_release(struct conf_vm *c);

/* The format as configured, or as implied by the name. AUTO if the name implies nothing or there
 * is no path; in a configuration without problems, no disk with a path gives AUTO. */
enum conf_format conf_disk_format(const struct conf_disk *d);
/* Does its Cache= mean direct I/O (O_DIRECT)? */
bool conf_disk_is_direct(const struct conf_disk *d);
/* Is anything of [CloudInit] set? Then the guest gets a seed for cloud-init. */
bool conf_vm_wants_seed(const struct conf_vm *c);
/* Binary=, or the default. */
const char *conf_vm_binary(const struct conf_vm *c);

#endif
