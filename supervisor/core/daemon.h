/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/daemon.h - the daemon object: owns all others, belongs to main()
 *
 * The bottom layer of supervisor/: it knows the names of the upper layers, not their internals.
 */
#ifndef SUPERVISOR_CORE_DAEMON_H
#define SUPERVISOR_CORE_DAEMON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/proc.h"
#include "conf/conf.h"
#include "supervisor/core/account.h"
#include "supervisor/core/dirs.h"
#include "supervisor/core/job.h"

struct boot;
struct cgroups;
struct health;
struct hooks;
struct keep;
struct networks;
struct probes;
struct server;
struct service;
struct sweeper;
struct trash_pruner;
struct uids;
struct vm;
struct vm_part;
struct vms;
struct watches;

struct daemon {
	struct loop loop;
	struct daemon_dirs dirs;
	struct conf_daemon conf;
	uint64_t conf_stamp; /* of the file that conf or conf_problem came from */
	/* why conf has only built-in defaults (no VM is started then); else NULL */
	char *conf_problem;
	char *newer_keys;	  /* core/known_keys.h; or NULL */
	char *image_dir;	  /* absolute */
	char *jail;		  /* path of vmkeep-jail */
	char *program;		  /* this daemon's own executable, as found at start */
	bool reexec;		  /* the loop was stopped in order to exec program */
	double started;		  /* clock_boot() */
	struct accounts accounts; /* of local users */
	struct jobs jobs;
	struct uids *uids; /* for guests and helpers */
	struct probes *probes;
	struct cgroups *cgroups;
	struct networks *networks;
	struct vms *vms;
	struct health *health;
	void (*const *actions)(struct vm *vm); /* indexed by enum vm_action */
	const struct vm_part *const *parts;    /* components of a guest: guest/parts.c */
	size_t n_parts;
	struct watches *watches;
	struct hooks *hooks;
	struct sweeper *sweeper;
	struct trash_pruner *trash;
	struct boot *boot; /* while enabled VMs are being started after the host's boot */
	struct server *server;
	struct keep *keep;
	struct service *service;
	/* emits events; set by main(), which knows the subscribers */
	void (*emit)(struct daemon *d, const char *name, json_t *data /* stolen */);
	char boot_id[PROC_BOOT_ID];
	bool log_level_given; /* on the command line: LogLevel= is ignored */
};

/* Opens and locks the directories (see dirs.h), and creates the loop. */
int daemon_init(struct daemon *d, const struct daemon_options *o, struct err *e);
void daemon_release(struct daemon *d);

/* Reads vmkeep.conf; the old one stays in force if the new one has problems. If there was no old
 * one, its [Defaults] are unknown: see conf_problem. */
int daemon_load_conf(struct daemon *d, struct conf_problems *p);
/* The same, if the file has changed. */
void daemon_look_conf(struct daemon *d);

/* Sends an event to all subscribers. */
void daemon_event(struct daemon *d, const char *name, json_t *data /* stolen */);

/* clock_now(), for deadlines and delays. */
double daemon_now(void);

/* Like sd_notify(3): sends "READY=1" etc. as a datagram to $NOTIFY_SOCKET, if set. */
void daemon_notify(const char *text);

#endif
