/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/ready.h - ReadyWhen=: may those that come after this VM start?
 *
 * Asked again and again by who waits, a few times a second; a connection that is tried is looked at
 * the next time.
 */
#ifndef SUPERVISOR_GUEST_READY_H
#define SUPERVISOR_GUEST_READY_H

#include <stdbool.h>
#include <stddef.h>

struct vm;

struct ready {
	int fd; /* of a connection under way, or -1 */
	double since;
};

#define READY_INIT { .fd = -1 }

/* Of a VM that runs. */
bool ready_check(struct ready *r, struct vm *vm);
void ready_release(struct ready *r);

/* What the guest wrote to its first serial port, in order. */
void ready_feed(struct vm *vm, const char *data, size_t len);
/* The guest said so; the record keeps it for a new daemon. */
void ready_is(struct vm *vm);

#endif
