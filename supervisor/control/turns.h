/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/turns.h - requests that run helper programs, a few at a time
 *
 * A check or the inspection of an image costs processes and memory for their output. A user's
 * requests beyond the bounds of account.h wait in order; other users' requests overtake them.
 */
#ifndef SUPERVISOR_CONTROL_TURNS_H
#define SUPERVISOR_CONTROL_TURNS_H

#include "base/loop.h"
#include "supervisor/control/request.h"
#include "supervisor/core/account.h"

struct turn;

struct turns {
	struct ev_loop *ev;
	struct accounts *accounts;
	void (*run)(void *data, struct request *r);
	void *data;
	struct turn *first, **end;
	struct loop_task task;
};

/* run is called once for each request, from turns_take() or later from the loop. */
void turns_init(struct turns *t, struct ev_loop *ev, struct accounts *as,
	void (*run)(void *data, struct request *r), void *data);
void turns_release(struct turns *t); /* when no request is waiting */
void turns_take(struct turns *t, struct request *r);

#endif
