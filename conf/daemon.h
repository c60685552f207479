/* SPDX-License-Identifier: MIT */
/*
 * conf/daemon.h - vmkeep.conf: [Daemon], [Shutdown], and [Defaults] for all VMs
 */
#ifndef CONF_DAEMON_H
#define CONF_DAEMON_H

#include <stdint.h>

#include "base/mem.h"
#include "conf/vm.h"

#define CONF_SHUTDOWN_MAX_MS (UINT64_C(24) * 3600 * 1000)

struct conf_default { /* [Defaults] Section.Key=value; applies to every section of that kind */
	struct conf_place place;
	const char *section, *key, *value;
};

struct conf_daemon {
	struct arena arena;
	/* [Daemon] */
	const char *image_dir; /* NULL: STATE/images */
	const char *log_level; /* error, warning, info, debug */
	uint64_t max_clients, max_clients_per_user;
	uint64_t health_check_ms; /* UINT64_MAX: only on request */
	/* [Shutdown] */
	uint64_t shutdown_ms;		  /* for all guests together */
	struct conf_place shutdown_place; /* where it was set; no file: default */

	struct conf_default *defaults;
	size_t n_defaults;
	struct conf_list ignored;
};

#define CONF_DAEMON_INIT { .arena = ARENA_INIT }

void conf_daemon_release(struct conf_daemon *c);

#endif
