/* SPDX-License-Identifier: MIT */
/*
 * base/loop.h - the one event loop
 *
 * ev_loop_new, never the default loop: that one reaps children behind our back and then
 * waitid(P_PIDFD) says ECHILD. One far periodic keeps libev from waking each minute.
 * Time in which this process could not act counts against no timer: see base/clock.h.
 * Other rooms use struct ev_loop and libev's watchers; only this file makes and frees the loop.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <ev.h>
#include <stdbool.h>

/* Work that need not be done in the turn that brought it up, embedded in what it is about. */
struct loop_task {
	struct loop_task *next;
	void (*run)(struct loop_task *t);
	bool waits;
};

/* Calls run(data) once, so many seconds after it was started. Zeroed memory may be stopped and freed. */
struct loop_timer {
	ev_timer timer;
	struct ev_loop *ev;
	void (*run)(void *data);
	void *data;
};

struct loop {
	struct ev_loop *ev;
	ev_periodic far;
	/* Seconds, since loop_init: from waking up to going back to sleep, and that less what it waited for
	 * a processor meanwhile. The former is what others felt, the latter what we did to them. */
	double longest_elapsed, longest_turn;
	double woke, waited;
	/* Called first thing in a turn, when more than CLOCK_GAP seconds were lost since the last: this process
	 * was stopped or held up, or the host slept. All timers have got them back (but for sleep, in which
	 * they stand still by themselves): here is the place for what must not wait that long. */
	void (*on_lost)(void *data, double seconds);
	void *data;
	double lost,
		given_back; /* clock_lost() at the last turn, clock_left_out() that timers got back */
	int schedstat;
	ev_prepare prepare;
	ev_check check;
	ev_idle idle;
	ev_timer log;
	struct loop_task *first, **end;
};

int loop_init(struct loop *l);
/* Runs on until nothing is under way, at most patience seconds: what was closed or cancelled ends from
 * the loop. Only loop_release() may follow. */
void loop_finish(struct loop *l, double patience);
void loop_release(struct loop *l);

/* Seconds that this turn has lasted. Who is called again as long as there is something to do, as every
 * ev_io is, may leave it to the next turn: a hundred guests that speak at once hold up nobody. */
double loop_turn(struct ev_loop *ev);

/* Runs it in a later turn, in the order of asking and as many a turn as have room; others are heard in
 * between. Nothing happens to one that waits already. */
void loop_later(struct ev_loop *ev, struct loop_task *t, void (*run)(struct loop_task *t));
void loop_cancel(struct ev_loop *ev, struct loop_task *t); /* also of one that does not wait */

void loop_timer_init(struct loop_timer *t, struct ev_loop *ev, void (*run)(void *data), void *data);
/* Counts from this moment, not from the beginning of the turn. Replaces an earlier start. */
void loop_timer_start(struct loop_timer *t, double seconds);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_is_active(struct loop_timer *t);

#endif
