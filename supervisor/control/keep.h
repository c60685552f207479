/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/keep.h - what the daemon needs of the file system is made anew where it is lost
 *
 * RUN and what is in it (control.sock, lock, vms/), STATE and LOG: watched by inotify, so that nothing is
 * looked at while nothing happens, and looked at once a second at most, whatever happens. Guests do not
 * notice: their sockets and output are open.
 */
#ifndef SUPERVISOR_CONTROL_KEEP_H
#define SUPERVISOR_CONTROL_KEEP_H

#include <stdbool.h>

struct daemon;
struct keep;

struct keep_calls {					   /* for what others keep there */
	void (*run)(struct daemon *d, bool networks_lost); /* something in RUN may be lost */
	void (*kept)(struct daemon *d);			   /* STATE or LOG was replaced */
};

struct keep *keep_new(struct daemon *d, const struct keep_calls *calls /* borrowed */);
void keep_free(struct keep *k); /* NULL is fine */

#endif
