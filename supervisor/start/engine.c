/* SPDX-License-Identifier: MIT */
#include "supervisor/start/start.h"

void start_failed(struct vm_start *s, const struct err *e)
{
	vm_start_fail(s->vm,
		s->fault != s->step->fault ? s->fault : policy_start_fault(s->fault, e->class), e);
}

static void engine_later(struct loop_task *t)
{
	struct vm_start *s = container_of(t, struct vm_start, task);

	start_at(s, s->step);
}

/* The event from the steps of one state to those of the next. */
static enum vm_event engine_event(enum vm_state to)
{
	return to == VM_SPAWNING   ? VM_EV_PREPARED
	       : to == VM_GREETING ? VM_EV_EXECUTED
	       : to == VM_JOINING  ? VM_EV_GREETED
				   : VM_EV_JOINED;
}

void start_next(struct vm_start *s)
{
	struct vm *vm = s->vm;
	const struct start_step *next = s->step + 1;
	enum vm_state state = next->state;

	if (state == s->step->state && next->later) {
		s->step = next;
		loop_later(vm->daemon->loop.ev, &s->task, engine_later);
	} else if (state == s->step->state) {
		start_at(s, next);
	} else {
		if (!next->run)
			start_free(vm);
		vm_event(vm, engine_event(state), NULL);
	}
}

void start_at(struct vm_start *s, const struct start_step *step)
{
	struct err e = ERR_INIT;
	int r;

	s->step = step;
	s->fault = step->fault;
	r = step->run(s, &e);
	if (r < 0)
		start_failed(s, &e);
	else if (r == STEP_DONE)
		start_next(s);
}

void vm_part_started(struct vm *vm, const struct err *e)
{
	if (e)
		start_failed(vm->start, e);
	else
		start_at(vm->start, vm->start->step);
}
