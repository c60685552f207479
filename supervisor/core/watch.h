/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/watch.h - one inotify instance for all files that grow
 *
 * (A user may have 128 inotify instances, so not one per VM.) After each wakeup it ignores events
 * for 10 ms, then reads all of them and notifies each file's owner once: a guest that floods its
 * console costs 100 wakeups a second and nobody else's time, an idle guest none.
 */
#ifndef SUPERVISOR_CORE_WATCH_H
#define SUPERVISOR_CORE_WATCH_H

#include "base/err.h"

struct ev_loop;
struct watches;

struct watches *watches_new(struct ev_loop *ev);
void watches_free(struct watches *ws);

/* changed is called from the loop after one of these inotify(7) events on the open file or
 * directory; fd may be closed after this call. Returns a handle > 0. */
int watch_add(struct watches *ws, int fd, unsigned mask, void (*changed)(void *data), void *data,
	struct err *e);
void watch_remove(struct watches *ws, int handle); /* 0 is fine */
/* Calls changed now if there was an event, which the loop may not have read yet: for a question
 * whose answer must include what was there before it. */
void watch_poll(struct watches *ws, int handle);

#endif
