/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/keep.h - recreates directories and sockets of the daemon that were removed
 *
 * Covers RUN and its contents (control.sock, lock, vms/), STATE and LOG. Watched by inotify, so
 * nothing is polled, and checked at most every half second, however much happens. Guests are not
 * affected: their sockets and output stay open.
 */
#ifndef SUPERVISOR_CONTROL_KEEP_H
#define SUPERVISOR_CONTROL_KEEP_H

#include <stdbool.h>

struct daemon;
struct keep;

struct keep_calls {					   /* for what other modules keep there */
	void (*run)(struct daemon *d, bool networks_lost); /* something in RUN may be lost */
	void (*kept)(struct daemon *d);			   /* STATE or LOG was replaced */
};

struct keep *keep_new(struct daemon *d, const struct keep_calls *calls /* borrowed */);
void keep_free(struct keep *k); /* NULL is fine */

#endif
