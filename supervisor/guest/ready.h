/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/ready.h - ReadyWhen=: is this VM ready, so that its dependents may start?
 *
 * Polled by the waiter, a few times a second; the result of a connection attempt is read on the
 * next poll.
 */
#ifndef SUPERVISOR_GUEST_READY_H
#define SUPERVISOR_GUEST_READY_H

#include <stdbool.h>
#include <stddef.h>

struct vm;

struct ready {
	int fd; /* connection attempt in flight, or -1 */
	double since;
};

#define READY_INIT { .fd = -1 }

/* For a running VM. */
bool ready_check(struct ready *r, struct vm *vm);
void ready_release(struct ready *r);

/* Output of the guest's first serial port, in order. */
void ready_feed(struct vm *vm, const char *data, size_t len);
/* The guest reported that it is ready; saved in the run record for a new daemon. */
void ready_is(struct vm *vm);

#endif
