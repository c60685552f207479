/* SPDX-License-Identifier: MIT */
/*
 * A guest that ran out of space on the host stays paused until space is freed. Policy tries `cont`
 * from time to time, but its success proves nothing: QEMU pauses the guest again at the next write.
 * Only a guest that still runs a second later counts as resumed. A guest paused by any other disk
 * error is never retried.
 */
#include "supervisor/guest/parts.h"

#include "base/log.h"

static const double FIRST_TRY = 10, LONGEST_WAIT = 300, STEADY = 1; /* seconds */

enum space_phase {
	SPACE_IDLE,
	SPACE_WAITS,  /* paused for lack of space, until the timer starts the next try */
	SPACE_TRIES,  /* cont is in flight */
	SPACE_STEADY, /* running, which proves nothing until the timer ends */
};

struct space {
	struct vm *vm;
	enum space_phase phase;
	struct loop_timer timer;
	unsigned tries;
};

static bool space_is_wanted(const struct vm *vm)
{
	return vm->st.state == VM_PAUSED && vm->mon.io_error &&
	       strncmp(vm->mon.io_error, "nospace", 7) == 0;
}

/* seconds 0: no timer. */
static void space_enter(struct space *s, enum space_phase phase, double seconds)
{
	s->phase = phase;
	s->vm->log.quiet = phase == SPACE_TRIES || phase == SPACE_STEADY;
	loop_timer_stop(&s->timer);
	if (seconds > 0)
		loop_timer_start(&s->timer, seconds);
}

static void space_wait(struct space *s)
{
	double delay = FIRST_TRY;

	for (unsigned i = 0; i < s->tries && delay < LONGEST_WAIT; i++)
		delay *= 2;
	space_enter(s, SPACE_WAITS, delay < LONGEST_WAIT ? delay : LONGEST_WAIT);
}

static void space_tried(void *data, const json_t *result, const struct err *e)
{
	struct space *s = vm_part_state(data, &space_part);

	if (e && s && s->phase == SPACE_TRIES)
		space_wait(s);
}

static void space_try(struct space *s)
{
	if (!s->vm->mon.qmp || s->vm->mon.unresponsive > 0 || s->vm->busy) {
		space_wait(s);
		return;
	}
	s->tries++;
	space_enter(s, SPACE_TRIES, 2 * VM_QMP_SECONDS); /* the reply may be lost */
	vm_call(s->vm, "cont", NULL, space_tried);
}

static void space_timer(void *data)
{
	struct space *s = data;

	if (s->phase == SPACE_WAITS) {
		space_try(s);
	} else if (s->phase == SPACE_TRIES) {
		space_wait(s);
	} else {
		space_enter(s, SPACE_IDLE, 0);
		s->tries = 0;
		log_info(s->vm->name, "running again: space has been freed");
		vm_history(s->vm, "resumed", "policy", "space has been freed");
	}
}

static void space_state(struct vm *vm, void *state)
{
	struct space *s = state;

	if (!s)
		return;
	if (space_is_wanted(vm)) {
		if (s->phase == SPACE_IDLE || s->phase == SPACE_STEADY)
			space_wait(s);
	} else if (vm->st.state == VM_RUNNING && s->phase == SPACE_TRIES) {
		space_enter(s, SPACE_STEADY, STEADY);
	} else if (s->phase == SPACE_WAITS || vm->st.state != VM_RUNNING) {
		space_enter(s, SPACE_IDLE, 0);
	}
	if (vm->st.state == VM_RUNNING && s->phase == SPACE_IDLE)
		s->tries = 0; /* resumed by something else */
}

static void space_attach(struct vm *vm, void **state, enum vm_attach how)
{
	struct space *s;

	if (how == VM_ATTACH_LEFT)
		return;
	s = *state = xcalloc(1, sizeof *s);
	s->vm = vm;
	loop_timer_init(&s->timer, vm->daemon->loop.ev, space_timer, s);
	space_state(vm, s);
}

static void space_close(struct vm *vm, void **state, bool ended)
{
	if (*state)
		space_enter(*state, SPACE_IDLE, 0);
}

const struct vm_part space_part = {
	.name = "space",
	.attach = space_attach,
	.state = space_state,
	.close = space_close,
};
