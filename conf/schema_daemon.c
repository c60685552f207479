/* SPDX-License-Identifier: MIT */
#include "conf/row.h"
#include "conf/word.h"

static const char *const level_names[] = { "error", "warning", "info", "debug" };
static const char *const store_types[] = {
	[CONF_STORE_DIR] = "dir", [CONF_STORE_PROGRAM] = "program"
};
_Static_assert(ARRAY_SIZE(store_types) == CONF_STORE_TYPES, "a type of store has no name");

/* clang-format off */
static const struct conf_key daemon_keys[] = {
	{ .name = "ImageDir",          STRING(PATH, conf_daemon, image_dir),
	  .check = conf_word_absolute, .what = "an absolute path",
	  .help = "The directory of relative disk paths; read at the daemon's start. Default: "
		  "images in the state directory." },
	{ .name = "LogLevel",          STRING(WORD, conf_daemon, log_level), NAMES(level_names),
	  .preset = "info", .apply = CONF_APPLY_LIVE,
	  .help = "The lowest severity that is logged." },
	{ .name = "HealthCheckSec",    TIME(conf_daemon, health_check_ms), .min = 1000, .preset = "5min",
	  .apply = CONF_APPLY_LIVE,
	  .help = "How often running QEMUs are polled. They are also polled after list and "
		  "info; infinity: only then." },
	{ .name = "MaxClients",        UINT(conf_daemon, max_clients, 1, 4096), .preset = "256",
	  .apply = CONF_APPLY_LIVE,
	  .help = "Maximum number of connections to the control socket, including streams such "
		  "as consoles." },
	{ .name = "MaxClientsPerUser", UINT(conf_daemon, max_clients_per_user, 1, 4096),
	  .preset = "64",
	  .apply = CONF_APPLY_LIVE,
	  .help = "Likewise per user; root has no limit." },
};

static const struct conf_key shutdown_keys[] = {
	{ .name = "TimeoutSec",        TIME(conf_daemon, shutdown_ms), .min = 1000, .max = CONF_SHUTDOWN_MAX_MS,
	  .preset = "5min", .apply = CONF_APPLY_LIVE,
	  .help = "How long all guests together may take to shut down with the host; after "
		  "that, the rest are killed. At most a day. check compares every "
		  "TimeoutStopSec= with it." },
};

static const struct conf_key store_keys[] = {
	{ .name = "Type",              ENUM(conf_store_type, conf_store, type, store_types), .preset = "dir",
	  .help = "dir: a directory of the host, with image files; program: volumes that a program "
		  "makes and finds." },
	{ .name = "Path",              STRING(PATH, conf_store, path),
	  .check = conf_word_absolute, .what = "an absolute path",
	  .help = "The directory; of volumes, the one in which they appear, such as /dev/vg0." },
	{ .name = "Program",           STRING(PATH, conf_store, program),
	  .check = conf_word_program, .what = "lvmthin, zfs or an absolute path",
	  .help = "Of Type=program: lvmthin, zfs, or the absolute path of another program, which "
		  "runs as root." },
	{ .name = "Pool",              STRING(WORD, conf_store, pool),
	  .check = conf_word_plain, .what = "letters, digits, '.', '_', '+' and '-'",
	  .help = "Of Type=program: what the program is to use of Path=; of lvmthin, the thin pool "
		  "in that volume group." },
	{ .name = "RequireMount",      BOOL(conf_store, require_mount), .preset = "no",
	  .help = "Whether something must be mounted on the directory; otherwise a start fails, and "
		  "nothing is created." },
	{ .name = "ReadOnly",          BOOL(conf_store, read_only), .preset = "no",
	  .help = "Whether only CDs and disks with ReadOnly=yes may be in it." },
};

static const struct conf_key images_keys[] = {
	{ .name = "CAFile",            STRING(PATH, conf_daemon, image_ca),
	  .check = conf_word_absolute, .what = "an absolute path", .apply = CONF_APPLY_LIVE,
	  .help = "Certificates in PEM format, with which servers prove who they are, in place of those in "
		  "/etc/ssl/certs." },
	{ .name = "Proxy",             STRING(WORD, conf_daemon, image_proxy),
	  .check = conf_word_proxy, .apply = CONF_APPLY_LIVE,
	  .what = "http://HOST:PORT, https:// or socks5h://, without a user and password, which everybody "
		  "could read in the list of processes",
	  .help = "http://HOST:PORT, https:// or socks5h://, without a password. Default: https_proxy in the "
		  "daemon's environment. Hosts in no_proxy there are connected to directly." },
	{ .name = "TimeoutSec",        TIME(conf_daemon, image_stall_ms), .min = 1000, .max = CONF_STALL_MAX_MS,
	  .preset = "1min", .apply = CONF_APPLY_LIVE,
	  .help = "How long a server may take to connect, or send less than 1 KiB/s; then a fetch ends, "
		  "and the next one continues it. At most a day." },
};

static const struct conf_key quota_keys[] = {
	{ .name = "VMs",               UINT(conf_quota, vms, 0, 100000), .apply = CONF_APPLY_LIVE,
	  .help = "How many VMs." },
	{ .name = "CPUs",              UINT(conf_quota, cpus, 0, 1000000), .apply = CONF_APPLY_LIVE,
	  .help = "The virtual CPUs of all of these together." },
	{ .name = "Memory",            SIZE(conf_quota, memory), .apply = CONF_APPLY_LIVE,
	  .help = "The sum of their Memory=, or of Max= in [Memory] where that is more." },
	{ .name = "Disk",              SIZE(conf_quota, disk), .apply = CONF_APPLY_LIVE,
	  .help = "The sum of Size= of their disks." },
};

static const struct conf_section sections[] = {
	{ .name = "Daemon",   KEYS(daemon_keys), .help = "The daemon itself." },
	{ .name = "Shutdown", KEYS(shutdown_keys), .help = "All guests together, when the host "
		  "shuts down." },
	{ .name = "Store",    KEYS(store_keys),
	  .help = "A place for images beside the image directory, which is the store default. Disks "
		  "and CDs name it in Store=.",
	  ELEMENTS(conf_store, conf_daemon, store, stores, 64) },
	{ .name = "Images",   KEYS(images_keys), .help = "How images are fetched from servers." },
	{ .name = "Quota",    KEYS(quota_keys), .users = true,
	  .help = "What a user, or each member of a @group, may own. See QUOTAS.",
	  ELEMENTS(conf_quota, conf_daemon, quota, quotas, 256) },
	{ .name = "Defaults", .defaults = true,
	  .help = "Defaults for VM files, written as Section.Key=value, such as "
		  "Disk.Cache=writeback. They apply to every such section of every VM that "
		  "does not set the key." },
};
/* clang-format on */

const struct conf_schema conf_daemon_schema = {
	.section = sections,
	.sections = ARRAY_SIZE(sections),
	.size = sizeof(struct conf_daemon),
	.ignored = offsetof(struct conf_daemon, ignored),
};
