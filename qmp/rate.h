/* SPDX-License-Identifier: MIT */
/*
 * qmp/rate.h - how much a QEMU may say in a second
 *
 * A QEMU in order sends a few events and what it was asked for. One that was taken over may send
 * whatever costs its reader most; who passes these limits is given up. Pure.
 */
#ifndef QMP_RATE_H
#define QMP_RATE_H

#include <stdbool.h>
#include <stddef.h>

enum {
	/* messages a second that answer no call: stray replies, and events but for those asked for */
	QMP_RATE_UNASKED = 1000,
	QMP_RATE_BYTES = 16 << 20, /* bytes a second, of all */
};

struct rate {
	double since; /* when the second under way began */
	unsigned unasked;
	size_t bytes;
};

/* Counts; now in seconds, never back. What it was too much of, NULL: fine. */
const char *rate_count(struct rate *r, double now, unsigned unasked, size_t bytes);

#endif
