/* SPDX-License-Identifier: MIT */
/*
 * base/bucket.h - a token bucket: so much a second, so much at once
 *
 * Fills at its rate up to its burst. The caller tells the time, in seconds of a clock that nobody
 * can set. Pure.
 */
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include <stdbool.h>

struct bucket {
	double rate, burst;  /* a second; at most */
	double level, since; /* what was in it, and when */
};

/* Full. */
#define BUCKET(a_second, at_once) { .rate = (a_second), .burst = (at_once), .level = (at_once) }

/* What is in it now. */
double bucket_level(struct bucket *b, double now);
/* Takes n out, or all when there is less: false then. */
bool bucket_take(struct bucket *b, double n, double now);

#endif
