/* SPDX-License-Identifier: MIT */
/*
 * qmp/rate.h - limits on what a QEMU may send per second
 *
 * A healthy QEMU sends a few events and its replies. A compromised one may send whatever costs
 * the reader most; beyond these limits it is disconnected. Pure.
 */
#ifndef QMP_RATE_H
#define QMP_RATE_H

#include <stdbool.h>
#include <stddef.h>

enum {
	/* messages per second that answer no call: stray replies and unsolicited events */
	QMP_RATE_UNASKED = 1000,
	QMP_RATE_BYTES = 16 << 20, /* total bytes per second */
};

struct rate {
	double since; /* start of the current second */
	unsigned unasked;
	size_t bytes;
};

/* Counts; now in seconds, monotonic. Returns what there was too much of, NULL: within limits. */
const char *rate_count(struct rate *r, double now, unsigned unasked, size_t bytes);

#endif
