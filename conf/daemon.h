/* SPDX-License-Identifier: MIT */
/*
 * conf/daemon.h - vmkeep.conf: [Daemon], [Shutdown], [Images], stores, and [Defaults] for all VMs
 */
#ifndef CONF_DAEMON_H
#define CONF_DAEMON_H

#include <stdint.h>

#include "base/mem.h"
#include "conf/vm.h"

#define CONF_SHUTDOWN_MAX_MS (UINT64_C(24) * 3600 * 1000)
#define CONF_STALL_MAX_MS    (UINT64_C(24) * 3600 * 1000)

struct conf_default { /* [Defaults] Section.Key=value; applies to every section of that kind */
	struct conf_place place;
	const char *section, *key, *value;
};

enum conf_store_type { CONF_STORE_DIR, CONF_STORE_PROGRAM, CONF_STORE_TYPES };

struct conf_store { /* [Store ID] */
	const char *id;
	struct conf_place place;
	enum conf_store_type type;
	const char *path; /* absolute; NULL: missing, which is a problem */
	bool require_mount, read_only;
	const char *program, *pool; /* of Type=program; NULL: not written */
};

struct conf_quota { /* [Quota USER] or [Quota @GROUP]: what each such user may own; 0: no bound */
	const char *id;
	struct conf_place place;
	uint64_t vms, cpus, memory, disk;
};

/* The name of the image directory among the stores. */
#define CONF_STORE_DEFAULT "default"

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
	/* [Images] */
	const char *image_ca;	 /* NULL: /etc/ssl/certs */
	const char *image_proxy; /* NULL: that of the environment */
	uint64_t image_stall_ms;

	struct conf_store *store;
	size_t stores;
	struct conf_quota *quota;
	size_t quotas;

	struct conf_default *defaults;
	size_t n_defaults;
	struct conf_list ignored;
};

#define CONF_DAEMON_INIT { .arena = ARENA_INIT }

void conf_daemon_release(struct conf_daemon *c);

/* NULL: there is none; CONF_STORE_DEFAULT is not among them. */
const struct conf_store *conf_daemon_store(const struct conf_daemon *c, const char *name);
/* The nearest name, or NULL. */
const char *conf_daemon_store_nearest(const struct conf_daemon *c, const char *name);

#endif
