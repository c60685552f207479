/* SPDX-License-Identifier: MIT */
#include "supervisor/control/turns.h"

#include <assert.h>

#include "base/mem.h"
#include "supervisor/control/request_private.h"

struct turn { /* a waiting request */
	struct turn *next;
	struct turns *turns;
	struct request *request;
};

static void turns_free_one(struct turn *turn)
{
	struct turns *t = turn->turns;

	for (struct turn **p = &t->first; *p; p = &(*p)->next)
		if (*p == turn) {
			*p = turn->next;
			if (t->end == &turn->next)
				t->end = p;
			break;
		}
	free(turn);
}

static void turns_gone(void *data)
{
	turns_free_one(data);
}

static void turns_run(struct turns *t, struct request *r)
{
	r->is_program = true;
	account_program(r->account, 1);
	t->run(t->data, r);
}

/* Runs the first request that is allowed to. It may end at once, which schedules this again. */
static void turns_next(struct loop_task *task)
{
	struct turns *t = container_of(task, struct turns, task);

	for (struct turn *turn = t->first; turn; turn = turn->next) {
		struct request *r = turn->request;

		if (!account_may_run(r->account, r->role))
			continue;
		turns_free_one(turn);
		request_on_gone(r, NULL, NULL);
		loop_later(t->ev, &t->task, turns_next);
		turns_run(t, r);
		return;
	}
}

static void turns_one_less(void *data)
{
	struct turns *t = data;

	if (t->first)
		loop_later(t->ev, &t->task, turns_next);
}

void turns_init(struct turns *t, struct ev_loop *ev, struct accounts *as,
	void (*run)(void *data, struct request *r), void *data)
{
	*t = (struct turns){ .ev = ev, .accounts = as, .run = run, .data = data };
	t->end = &t->first;
	as->program_ended = turns_one_less;
	as->data = t;
}

void turns_release(struct turns *t)
{
	assert(!t->first);
	loop_cancel(t->ev, &t->task);
	t->accounts->program_ended = NULL;
}

void turns_take(struct turns *t, struct request *r)
{
	struct turn *turn;

	if (account_may_run(r->account, r->role)) {
		turns_run(t, r);
		return;
	}
	turn = xcalloc(1, sizeof *turn);
	turn->turns = t;
	turn->request = r;
	*t->end = turn;
	t->end = &turn->next;
	request_on_gone(r, turns_gone, turn);
}
