/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <math.h>
#include <time.h>

#define SET_BY \
	2.0 /* seconds: a larger difference means that the clock was set and not merely slewed */

static struct {
	bool watched;
	double seen; /* clock_awake() of the last reading */
	double lost;
} now;

static double clock_read(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double clock_wall(void)
{
	return clock_read(CLOCK_REALTIME);
}

double clock_boot(void)
{
	return clock_read(CLOCK_BOOTTIME);
}

double clock_awake(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

double clock_now(void)
{
	double awake = clock_awake();

	if (now.watched && awake - now.seen > CLOCK_GAP)
		now.lost += awake - now.seen;
	now.seen = awake;
	return awake - now.lost;
}

double clock_lost(void)
{
	return clock_boot() - clock_now();
}

double clock_left_out(void)
{
	return now.lost;
}

void clock_watch(bool on)
{
	now.seen = clock_awake();
	now.watched = on;
}

void clock_slept(void)
{
	now.seen = clock_awake();
}

double clock_shown(double wall, double boot)
{
	double today = clock_wall() - (clock_boot() - boot);

	return boot > 0 && fabs(today - wall) > SET_BY ? today : wall;
}
