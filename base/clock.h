/* SPDX-License-Identifier: MIT */
/*
 * base/clock.h - the four clocks, and what each is for
 *
 * Deadlines and pauses go by clock_now(), ages by clock_boot(). The wall clock is set by people and by
 * NTP at any time: it is printed and decides nothing (scripts/check-deps knows who prints). Nobody else
 * reads a clock, ev_now() and ev_time() included, which are the wall clock.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>

/* Seconds since the epoch, to print. */
double clock_wall(void);
/* Seconds since the boot, CLOCK_BOOTTIME: goes on while the host sleeps and while there is no daemon, so
 * that a record of it still means something to the next one. */
double clock_boot(void);
/* Seconds, CLOCK_MONOTONIC: what libev's timers and systemd go by. It stands still while the host sleeps. */
double clock_awake(void);
/* Seconds in which we could act: clock_awake() less the time for which this process was stopped or held
 * up. A deadline of this clock is never missed because nobody was there to look. */
double clock_now(void);

/* How much of clock_boot() clock_now() has left out so far: asleep, stopped, held up; and without sleep. */
double clock_lost(void);
double clock_left_out(void);
/* From now on what passes between two readings of clock_now() is left out when it is more than
 * CLOCK_GAP seconds, unless clock_slept() says that it was meant. Only base/loop calls these. */
#define CLOCK_GAP 1.0
void clock_watch(bool on);
void clock_slept(void);

/* A time of the wall clock to print. If that was set meanwhile: what it would have been by today's, from
 * the same moment's clock_boot(); 0: not known. */
double clock_shown(double wall, double boot);

#endif
