/* SPDX-License-Identifier: MIT */
/*
 * supervisor/boot/shutdown.h - all guests down, then the networks, within one budget
 *
 * VMs go down before those they come after; VMs without an order go down together. A guest gets
 * its own TimeoutStopSec= if that, and the timeouts of the VMs that wait for it, fit into the
 * rest of the budget; otherwise its share (conf/order.h computes both). Then it is killed and
 * reported: the host goes down anyway. Several of these may run at once; the shortest timeout
 * wins.
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
	/* called repeatedly; text names the VMs we wait for */
	void (*progress)(void *data, size_t down, size_t all, const char *text);
	/* called once, from the loop: how each guest ended */
	void (*done)(void *data, const struct shutdown_end *guest, size_t n);
	void *data;
};

void shutdown_all(struct daemon *d, const struct shutdown_options *o);

/* What shutdown_all() would do with this budget, and how long it would take at worst; changes
 * nothing. Rows are in shutdown order: step, name, state, how, timeout, stop_timeout; further
 * members budget, sum, fits, chain, networks. shutdown_plan.c */
json_t *shutdown_plan(struct daemon *d, double budget);

/* Is there anything to stop? */
bool shutdown_is_up(const struct vm *vm);
/* The timeout is that of its start, the order that of its current file. */
struct order_vm shutdown_order(const struct vm *vm);

#endif
