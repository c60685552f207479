/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/shutdown.h - all guests down, then the networks, within one budget
 *
 * Who comes after others goes first; those without an order go together. A guest gets its own
 * TimeoutStopSec= or its share of what is left of the budget, whichever is less, and is then killed
 * and named: the host goes down anyway. Several of these may be under way; the one with the least
 * patience counts.
 */
#ifndef SUPERVISOR_VM_SHUTDOWN_H
#define SUPERVISOR_VM_SHUTDOWN_H

#include <jansson.h>

struct daemon;

struct shutdown_options {
	double budget; /* seconds */
	const char *who;
	/* now and then; text says who is waited for */
	void (*progress)(void *data, size_t down, size_t all, const char *text);
	/* once, from the loop: columns, rows; name, result (stopped, killed, left), reason, seconds
	 */
	void (*done)(void *data, json_t *result /* given */);
	void *data;
};

void shutdown_all(struct daemon *d, const struct shutdown_options *o);

#endif
