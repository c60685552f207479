/* SPDX-License-Identifier: MIT */
#include "conf/row.h"
#include "conf/word.h"

static const char *const level_names[] = { "error", "warning", "info", "debug" };

/* clang-format off */
static const struct conf_key daemon_keys[] = {
	{ .name = "ImageDir",          STRING(PATH, conf_daemon, image_dir),
	  .check = conf_word_absolute, .what = "an absolute path",
	  .help = "Where relative disk paths live, from the daemon's next start on. Default: images in "
		  "the state directory." },
	{ .name = "LogLevel",          STRING(WORD, conf_daemon, log_level), NAMES(level_names),
	  .preset = "info", .apply = CONF_APPLY_LIVE,
	  .help = "The least important kind of message that is still logged." },
	{ .name = "HealthCheckSec",    TIME(conf_daemon, health_check_ms), .min = 1000, .preset = "5min",
	  .apply = CONF_APPLY_LIVE,
	  .help = "How often all running QEMUs are asked whether they are still there. They are also asked "
		  "when somebody looks (list, info); infinity: only then." },
	{ .name = "MaxClients",        UINT(conf_daemon, max_clients, 1, 4096), .preset = "256",
	  .apply = CONF_APPLY_LIVE,
	  .help = "Connections to the control socket at a time, streams such as consoles included." },
	{ .name = "MaxClientsPerUser", UINT(conf_daemon, max_clients_per_user, 1, 4096),
	  .preset = "64",
	  .apply = CONF_APPLY_LIVE,
	  .help = "Likewise of one user; root's are not counted." },
};

static const struct conf_key shutdown_keys[] = {
	{ .name = "TimeoutSec",        TIME(conf_daemon, shutdown_ms), .min = 1000, .max = CONF_SHUTDOWN_MAX_MS,
	  .preset = "5min", .apply = CONF_APPLY_LIVE,
	  .help = "How long all guests together may take to go down with the host; who is not down then is "
		  "killed. A day at most. check compares every TimeoutStopSec= with it." },
};

static const struct conf_section sections[] = {
	{ .name = "Daemon",   KEYS(daemon_keys), .help = "The daemon itself." },
	{ .name = "Shutdown", KEYS(shutdown_keys), .help = "All guests at once, when the host goes down." },
	{ .name = "Defaults", .defaults = true,
	  .help = "Keys of VM files, written Section.Key=value, such as Disk.Cache=writeback. "
		  "They hold for every such section of every VM that does not say otherwise." },
};
/* clang-format on */

const struct conf_schema conf_daemon_schema = {
	.section = sections,
	.sections = ARRAY_SIZE(sections),
	.size = sizeof(struct conf_daemon),
	.ignored = offsetof(struct conf_daemon, ignored),
};
