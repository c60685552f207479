/* SPDX-License-Identifier: MIT */
/*
 * base/bucket.h - token bucket: a rate and a burst
 *
 * The caller passes the time, in seconds of a monotonic clock. Pure.
 */
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include <stdbool.h>

struct bucket {
	double rate, burst;  /* tokens per second; capacity */
	double level, since; /* tokens at the last update, and its time */
};

/* Starts full. */
#define BUCKET(a_second, at_once) { .rate = (a_second), .burst = (at_once), .level = (at_once) }

/* Tokens available now. */
double bucket_level(struct bucket *b, double now);
/* Takes n tokens. If there are fewer, takes them all and returns false. */
bool bucket_take(struct bucket *b, double n, double now);

#endif
