/* SPDX-License-Identifier: MIT */
/*
 * base/clock.h - the four clocks, and what each is for
 *
 * Deadlines and pauses use clock_now(), ages use clock_boot(). The wall clock can be set at any
 * time, by people or NTP: it is only printed and decides nothing (scripts/check-deps lists the
 * files that print it). No other code reads a clock; that includes ev_now() and ev_time(), which
 * are wall clock.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>

/* Seconds since the epoch, to print. */
double clock_wall(void);
/* Seconds since boot, CLOCK_BOOTTIME. Advances during host suspend and across daemon restarts, so
 * a recorded value still means something to the next daemon. */
double clock_boot(void);
/* Seconds, CLOCK_MONOTONIC, as used by libev's timers and systemd. Stops during host suspend. */
double clock_awake(void);
/* Seconds in which this process could act: clock_awake() less the time it was stopped or delayed.
 * A deadline on this clock never expires only because we could not run. */
double clock_now(void);

/* How much of clock_boot() clock_now() has excluded so far: suspended, stopped or delayed.
 * clock_left_out() is the same without suspend. */
double clock_lost(void);
double clock_left_out(void);
/* While on, more than CLOCK_GAP seconds between two readings of clock_now() are excluded, unless
 * clock_slept() says that the process slept on purpose. Only base/loop calls these. */
#define CLOCK_GAP 1.0
void clock_watch(bool on);
void clock_slept(void);

/* A wall-clock time to print. If the clock was set since, the time as the current wall clock
 * would give it, computed from clock_boot() at the same moment; boot 0: unknown. */
double clock_shown(double wall, double boot);

#endif
