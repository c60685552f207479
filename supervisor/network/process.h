/* SPDX-License-Identifier: MIT */
/*
 * supervisor/network/process.h - the dnsmasq of one network
 *
 * Runs in vmkeep-jail with its own uid and outlives the daemon. Adopted by pid, start time and a
 * command line that names our configuration file. There is never more than one. If it dies it is
 * restarted, at once, later with growing delays. It logs to syslog.
 *
 * It sees its network's directory, where only we write, and can write to its lease file only. It is
 * listening once it closes stderr; until then, it reports errors there.
 */
#ifndef SUPERVISOR_NETWORK_PROCESS_H
#define SUPERVISOR_NETWORK_PROCESS_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"

enum dnsmasq_state {
	DNSMASQ_OFF,
	DNSMASQ_STARTING, /* not listening yet */
	DNSMASQ_UP,
	DNSMASQ_WAITING, /* for the restart timer */
	DNSMASQ_STOPPING,
	DNSMASQ_MISSING, /* not installed */
	DNSMASQ_STATES
};

enum dnsmasq_event {
	DNSMASQ_READY,	/* or MISSING, see state */
	DNSMASQ_FAILED, /* the first start failed; it is off. The error says why */
	DNSMASQ_STOPPED,
	DNSMASQ_NEW_PID
};

struct dnsmasq {
	struct ev_loop *ev;
	const char *jail, *network, *dir;	   /* borrowed */
	const char *lease_file;			   /* borrowed, set by prepare */
	int (*prepare)(void *data, struct err *e); /* writes all its files, before each start */
	void (*event)(void *data, enum dnsmasq_event event, const struct err *e);
	void *data;
	uid_t uid; /* its own uid */
	enum dnsmasq_state state;
	bool first;	   /* not ready yet since dnsmasq_start() */
	bool again;	   /* start again once it has stopped */
	bool overdue;	   /* being killed because it does not listen in time */
	unsigned failures; /* in a row */
	char problem[256]; /* why it is not up, for health; empty: fine */
	pid_t pid;
	uint64_t start; /* field 22 of /proc/PID/stat */
	double spawned; /* clock_now() */
	int pidfd;
	int jail_fd;  /* vmkeep-jail's messages, during the start */
	int words_fd; /* its stderr, during the start */
	struct buf words;
	ev_io exited, said;
	/* start timeout, restart delay or SIGTERM timeout: one at a time */
	struct loop_timer timer;
};

void dnsmasq_init(struct dnsmasq *d);	 /* ev, event, data and borrowed fields must be set */
void dnsmasq_release(struct dnsmasq *d); /* leaves the process running */

/* Starts it with dnsmasq.conf in dir. One event follows: READY or FAILED. */
void dnsmasq_start(struct dnsmasq *d);
/* Adopts a running one: by the record, else by its pid file, else from those seen. False: there is
 * none. */
struct dnsmasq_seen;
bool dnsmasq_adopt(struct dnsmasq *d, pid_t pid, uint64_t start, const struct dnsmasq_seen *seen);
void dnsmasq_took(struct dnsmasq *d, pid_t pid, uint64_t start); /* its pidfd is set */
/* Is the file that a running one has at this path the current one? It keeps using a deleted one. */
bool dnsmasq_sees(const struct dnsmasq *d, const char *path);

/* All dnsmasq on this host that were started for a network in this directory, RUN/networks. They
 * are identified by their uid, which only we assign (or as our own vmkeep-jail), and by our network
 * namespace; the command line, which the process can change, only shows which network it serves. */
struct dnsmasq_seen {
	struct dnsmasq_seen *next;
	pid_t pid;
	char network[64];
};
struct dnsmasq_seen *dnsmasq_look(const char *run, const char *jail);
void dnsmasq_seen_free(struct dnsmasq_seen *seen);
/* Kills one that belongs to no network. */
void dnsmasq_end_stray(const struct dnsmasq_seen *one, const char *run, const char *jail);
/* SIGTERM, SIGKILL after 2 s; DNSMASQ_STOPPED follows, even if nothing ran. */
void dnsmasq_stop(struct dnsmasq *d);
/* Stops it if it runs, starts it, and retries until it is up; no event except DNSMASQ_NEW_PID. For
 * a bridge that was remade: the DHCP socket is bound to the old one. */
void dnsmasq_restart(struct dnsmasq *d);
/* Makes it forget the host lines of removed files. */
void dnsmasq_reread(struct dnsmasq *d);

/* The error of a start that did not succeed; said: its stderr; jail: vmkeep-jail's own error, or NULL. */
int dnsmasq_failed(int status, const char *said, size_t n, const struct err *jail, struct err *e);
const char *dnsmasq_health(const struct dnsmasq *d); /* "ok", or the problem */

#endif
