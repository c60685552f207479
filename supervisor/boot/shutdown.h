/* SPDX-License-Identifier: MIT */
/*
 * supervisor/boot/shutdown.h - all guests down, then the networks, within one budget
 *
 * Who comes after others goes first; those without an order go together. A guest gets its own
 * TimeoutStopSec= where that of those that wait for it fits into what is left of the budget too,
 * else its share (conf/order.h computes both), and is then killed and named: the host goes down
 * anyway. Several of these may be under way; the one with the least patience counts.
 */
#ifndef SUPERVISOR_BOOT_SHUTDOWN_H
#define SUPERVISOR_BOOT_SHUTDOWN_H

#include <jansson.h>
#include <stdbool.h>

struct daemon;
struct order_vm;
struct vm;

struct shutdown_end {
	const char *name;
	const char *result; /* "stopped", "killed", "left" */
	const char *reason;
	double seconds;
};

struct shutdown_options {
	double budget; /* seconds */
	const char *who;
	/* now and then; text says who is waited for */
	void (*progress)(void *data, size_t down, size_t all, const char *text);
	/* once, from the loop: how all guests ended */
	void (*done)(void *data, const struct shutdown_end *guest, size_t n);
	void *data;
};

void shutdown_all(struct daemon *d, const struct shutdown_options *o);

/* What shutdown_all() would do with this budget, and at worst how long it would take; changes
 * nothing. Columns, rows in the order of the way down: step, name, state, how, timeout,
 * stop_timeout; budget, sum, fits, chain, networks. shutdown_plan.c */
json_t *shutdown_plan(struct daemon *d, double budget);

/* Is there something to stop? */
bool shutdown_is_up(const struct vm *vm);
/* As it runs, with the order that its file tells now. */
struct order_vm shutdown_order(const struct vm *vm);

#endif
