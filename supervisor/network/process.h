/* SPDX-License-Identifier: MIT */
/*
 * supervisor/network/process.h - the dnsmasq of one network
 *
 * Runs in vmkeep-jail with a uid of its own and outlives the daemon; taken back by pid, start time and a
 * command line that carries our configuration file. There are never two. One that dies is started again,
 * at once and then after growing pauses. Its log is syslog's.
 *
 * It sees its network's directory, where only we write, and writes to its lease file alone. That it
 * listens we know from its standard error, which it lets go of then; before, it says why it cannot.
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
	DNSMASQ_STARTING, /* until it listens */
	DNSMASQ_UP,
	DNSMASQ_WAITING, /* to be started again */
	DNSMASQ_STOPPING,
	DNSMASQ_MISSING, /* not installed */
	DNSMASQ_STATES
};

enum dnsmasq_event {
	DNSMASQ_READY,	/* or missing, see state */
	DNSMASQ_FAILED, /* the first start; it is off. The error says why */
	DNSMASQ_STOPPED,
	DNSMASQ_NEW_PID
};

struct dnsmasq {
	struct ev_loop *ev;
	const char *jail, *network, *dir;	   /* borrowed */
	const char *lease_file;			   /* borrowed, set by prepare */
	int (*prepare)(void *data, struct err *e); /* before each start: its files, all of them */
	void (*event)(void *data, enum dnsmasq_event event, const struct err *e);
	void *data;
	uid_t uid; /* its own */
	enum dnsmasq_state state;
	bool first;	   /* has not been ready since dnsmasq_start() */
	bool again;	   /* start once it has stopped */
	bool overdue;	   /* does not listen in time, and is killed for that */
	unsigned failures; /* in a row */
	char problem[256]; /* why it is not up, for health; empty: fine */
	pid_t pid;
	uint64_t start; /* field 22 of /proc/PID/stat */
	double spawned; /* clock_now() */
	int pidfd;
	int jail_fd;  /* what vmkeep-jail has to say, while it starts */
	int words_fd; /* its standard error, likewise */
	struct buf words;
	ev_io exited, said;
	struct loop_timer timer; /* readiness, pause, or patience with SIGTERM: one at a time */
};

void dnsmasq_init(struct dnsmasq *d);	 /* what is borrowed, ev, event and data are set */
void dnsmasq_release(struct dnsmasq *d); /* leaves the process running */

/* Starts it with dnsmasq.conf in dir. One event follows: READY, or FAILED. */
void dnsmasq_start(struct dnsmasq *d);
/* Takes a running one back: by the record, else by its pid file, else from among those that were seen.
 * False: there is none. */
struct dnsmasq_seen;
bool dnsmasq_adopt(struct dnsmasq *d, pid_t pid, uint64_t start, const struct dnsmasq_seen *seen);
void dnsmasq_took(struct dnsmasq *d, pid_t pid, uint64_t start); /* its pidfd is set */
/* Whether what a running one has at this path is what is there: it goes on with what was deleted. */
bool dnsmasq_sees(const struct dnsmasq *d, const char *path);

/* All on this host that were started for a network of this folder, RUN/networks. Who runs them decides, a
 * uid that only we give away or our own vmkeep-jail, in our network namespace; its command line, which is
 * its own to change, only says for which network. */
struct dnsmasq_seen {
	struct dnsmasq_seen *next;
	pid_t pid;
	char network[64];
};
struct dnsmasq_seen *dnsmasq_look(const char *run, const char *jail);
void dnsmasq_seen_free(struct dnsmasq_seen *seen);
/* Ends one of which nobody knows. */
void dnsmasq_end_stray(const struct dnsmasq_seen *one, const char *run, const char *jail);
/* SIGTERM, SIGKILL after 2 s; STOPPED follows, also when nothing ran. */
void dnsmasq_stop(struct dnsmasq *d);
/* Ends it if it runs, starts it, and goes on trying; no event but NEW_PID. For a bridge that was
 * made anew: the DHCP socket is bound to the old one. */
void dnsmasq_restart(struct dnsmasq *d);
/* Makes it forget the host lines of removed files. */
void dnsmasq_reread(struct dnsmasq *d);

const char *dnsmasq_health(const struct dnsmasq *d); /* "ok", or what is wrong */

#endif
