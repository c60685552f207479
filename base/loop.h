/* SPDX-License-Identifier: MIT */
/*
 * base/loop.h - the one event loop
 *
 * ev_loop_new, never the default loop: that one reaps children behind our back and then
 * waitid(P_PIDFD) says ECHILD. One far periodic keeps libev from waking each minute.
 * Other rooms use struct ev_loop and libev's watchers; only this file makes and frees the loop.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <ev.h>

struct loop {
	struct ev_loop *ev;
	ev_periodic far;
	double longest_turn; /* seconds, since loop_new */
	double woke;
	ev_prepare prepare;
	ev_check check;
};

int loop_init(struct loop *l);
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
void loop_release(struct loop *l);

#endif
