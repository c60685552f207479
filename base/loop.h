/* SPDX-License-Identifier: MIT */
/*
 * base/loop.h - the one event loop
 *
 * Uses ev_loop_new, never the default loop: that one reaps children by itself, and then
 * waitid(P_PIDFD) fails with ECHILD. One far-off periodic keeps libev from waking up every
 * minute. Time in which this process could not run counts against no timer: see base/clock.h.
 * Other modules use struct ev_loop and libev's watchers; only this file creates and frees the
 * loop.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <ev.h>
#include <stdbool.h>

/* Work deferred to a later loop iteration; embedded in the object it concerns. */
struct loop_task {
	struct loop_task *next;
	void (*run)(struct loop_task *t);
	bool waits;
};

/* Calls run(data) once, a number of seconds after its start. A zeroed timer may be stopped and
 * freed. */
struct loop_timer {
	ev_timer timer;
	struct ev_loop *ev;
	void (*run)(void *data);
	void *data;
};

struct loop {
	struct ev_loop *ev;
	ev_periodic far;
	/* Seconds, since loop_init, of the longest iteration, from wake-up to going back to
	 * sleep: elapsed time, and the same less the time spent waiting for a CPU. The former is
	 * the delay others saw, the latter our share of it. */
	double longest_elapsed, longest_turn;
	double woke, waited;
	/* Called first in an iteration if more than CLOCK_GAP seconds were lost since the
	 * previous one: this process was stopped or delayed, or the host was suspended. All
	 * timers have been extended by that time (except for suspend, during which they stop
	 * anyway). For work that must not wait that long. */
	void (*on_lost)(void *data, double seconds);
	void *data;
	double lost,
		given_back; /* clock_lost() at the last wake-up; clock_left_out() added to timers */
	int schedstat;
	ev_prepare prepare;
	ev_check check;
	ev_idle idle;
	ev_timer log;
	struct loop_task *first, **end;
};

int loop_init(struct loop *l);
/* Runs until nothing is pending, at most patience seconds: closed and cancelled objects are freed
 * from the loop. Only loop_release() may follow. */
void loop_finish(struct loop *l, double patience);
void loop_release(struct loop *l);

/* Seconds since this iteration began. A callback that is called again while it has work, as every
 * ev_io is, may use it to yield: a hundred guests that send at once delay nobody. */
double loop_turn(struct ev_loop *ev);

/* Runs it in a later iteration, in the order queued, as many per iteration as fit; I/O is handled
 * in between. No-op if already queued. */
void loop_later(struct ev_loop *ev, struct loop_task *t, void (*run)(struct loop_task *t));
void loop_cancel(struct ev_loop *ev, struct loop_task *t); /* no-op if not queued */

void loop_timer_init(struct loop_timer *t, struct ev_loop *ev, void (*run)(void *data), void *data);
/* Counts from now, not from the start of the iteration. Replaces an earlier start. */
void loop_timer_start(struct loop_timer *t, double seconds);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_is_active(struct loop_timer *t);

#endif
