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

struct daemon;
struct keep;

struct keep *keep_new(struct daemon *d);
void keep_free(struct keep *k); /* NULL is fine */

#endif
