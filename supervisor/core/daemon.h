/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/daemon.h - the daemon object: owns all others, belongs to main()
 *
 * The bottom of supervisor/: it knows the names of what stands above, not their insides.
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
struct uids;
struct vm;
struct vm_part;
struct vms;
struct watches;

struct daemon {
	struct loop loop;
	struct daemon_dirs dirs;
	struct conf_daemon conf;
	uint64_t conf_stamp; /* of the file that conf, or the complaint about it, came from */
	char *conf_problem; /* why conf is made of defaults alone: nothing is started with it; else NULL */
	char *image_dir;	  /* absolute */
	char *jail;		  /* path of vmkeep-jail */
	char *program;		  /* of this daemon, as it was found at its start */
	bool reexec;		  /* the loop was stopped to run program in our place */
	double started;		  /* clock_boot() */
	struct accounts accounts; /* of local users */
	struct jobs jobs;
	struct uids *uids; /* that it gives to guests and helpers */
	struct probes *probes;
	struct cgroups *cgroups;
	struct networks *networks;
	struct vms *vms;
	struct health *health;
	void (*const *actions)(struct vm *vm); /* by enum vm_action */
	const struct vm_part *const *parts;    /* what hangs on a guest: guest/parts.c */
	size_t n_parts;
	struct watches *watches;
	struct hooks *hooks;
	struct sweeper *sweeper;
	struct boot *boot; /* while enabled VMs start after a boot of the host */
	struct server *server;
	struct keep *keep;
	struct service *service;
	/* where events go: main()'s, which knows who wants them */
	void (*emit)(struct daemon *d, const char *name, json_t *data /* stolen */);
	char boot_id[PROC_BOOT_ID];
	bool log_level_given; /* on the command line: LogLevel= does not count */
};

/* Opens the directories, where it must be alone (see dirs.h), and the loop. */
int daemon_init(struct daemon *d, const struct daemon_options *o, struct err *e);
void daemon_release(struct daemon *d);

/* Reads vmkeep.conf; the old one stays in force when the new has problems. Where there was none, nobody
 * knows what [Defaults] say: see conf_problem. */
int daemon_load_conf(struct daemon *d, struct conf_problems *p);
/* The same when the file changed since. */
void daemon_look_conf(struct daemon *d);

/* To every subscriber. */
void daemon_event(struct daemon *d, const char *name, json_t *data /* stolen */);

/* clock_now(): for deadlines and pauses. */
double daemon_now(void);

/* sd_notify(3): "READY=1" as a datagram to $NOTIFY_SOCKET, when there is one. */
void daemon_notify(const char *text);

#endif
