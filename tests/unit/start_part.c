/* SPDX-License-Identifier: MIT */
/*
 * Proves that a part whose start waits delays the start of its VM until it calls back, that it is
 * called once more then and the parts after it only then, that its failure fails the start, and
 * that a VM that is stopped in the meantime ends, without a process to wait for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/start/start.h"
#include "supervisor/vm/vms.h"

static unsigned waited, later, stepped, cleaned;

static int start_slow(struct vm *vm, void **state, struct fd_list *fds, struct err *e)
{
	(void)vm, (void)state, (void)fds, (void)e;
	return waited++ ? STEP_DONE : STEP_WAITS;
}

static int start_quick(struct vm *vm, void **state, struct fd_list *fds, struct err *e)
{
	(void)vm, (void)state, (void)fds, (void)e;
	later++;
	return STEP_DONE;
}

static int step_after(struct vm_start *s, struct err *e)
{
	(void)s, (void)e;
	stepped++;
	return STEP_WAITS;
}

static void act_clean(struct vm *vm)
{
	start_free(vm);
	cleaned++;
}

static void act_not(struct vm *vm)
{
	fail_msg("an action in state %s", vm_state_inner_name(vm->st.state));
}

static const struct start_step steps[] = {
	{ "parts", VM_SPAWNING, start_parts, NULL, VM_END_HOST_CAUSE, false },
	{ "after", VM_SPAWNING, step_after, NULL, VM_END_HOST_CAUSE, false },
	{ NULL, VM_GREETING, NULL, NULL, VM_END_START_FAILED, false },
};
static const struct vm_part slow = { .name = "slow", .start = start_slow },
			    none = { .name = "none" },
			    quick = { .name = "quick", .start = start_quick };
static const struct vm_part *const parts[] = { &none, &slow, &quick };

struct world {
	struct daemon d;
	struct vms vms;
	void (*actions[VM_ACTIONS])(struct vm *vm);
	struct vm *vm;
};

static void world_make(struct world *w)
{
	*w = (struct world){ .vms.daemon = &w->d };
	assert_int_equal(loop_init(&w->d.loop), 0);
	w->d.dirs = (struct daemon_dirs){ .state_fd = -1, .run_fd = -1, .log_fd = -1 };
	for (size_t i = 1; i < VM_ACTIONS; i++)
		w->actions[i] = act_not;
	w->actions[VM_DO_KILL] = vm_kill_process;
	w->actions[VM_DO_CLEAN] = act_clean;
	w->d.actions = w->actions;
	w->d.parts = parts;
	w->d.n_parts = ARRAY_SIZE(parts);
	w->d.vms = &w->vms;
	w->d.probes = probes_new(w->d.loop.ev, -1, "", "", NULL);
	w->vm = vm_new(&w->d, "a");
	w->vm->log.quiet = true;
	w->vm->st.state = VM_SPAWNING;
	w->vm->st.want = VM_WANT_RUNNING;
	waited = later = stepped = cleaned = 0;
	start_at(start_new(w->vm), steps);
	assert_int_equal(waited, 1);
	assert_int_equal(later + stepped, 0);
}

static void world_unmake(struct world *w)
{
	vm_free(w->vm);
	probes_free(w->d.probes);
	loop_release(&w->d.loop);
}

static void a_part_that_waits_holds_the_start(void **state)
{
	struct world w;

	(void)state;
	world_make(&w);
	vm_part_started(w.vm, NULL);
	assert_int_equal(waited, 2);
	assert_int_equal(later, 1);
	assert_int_equal(stepped, 1);
	assert_string_equal(w.vm->start->step->name, "after");
	world_unmake(&w);
}

static void its_failure_is_the_start_s(void **state)
{
	struct err e = ERR_INIT;
	struct world w;

	(void)state;
	world_make(&w);
	err_set(&e, ERR_NO_RESOURCES, "no helper");
	vm_part_started(w.vm, &e);
	assert_int_equal(later + stepped, 0);
	assert_int_equal(cleaned, 1);
	assert_int_equal(w.vm->st.state, VM_STOPPED);
	assert_int_equal(w.vm->st.ending, VM_END_HOST_CAUSE);
	assert_string_equal(w.vm->st.reason, "start failed: no helper");
	world_unmake(&w);
}

static void a_kill_ends_the_wait(void **state)
{
	struct world w;

	(void)state;
	world_make(&w);
	w.vm->st.want = VM_WANT_STOPPED;
	vm_event(w.vm, VM_EV_KILL, "killed");
	assert_int_equal(cleaned, 1);
	assert_null(w.vm->start);
	assert_int_equal(w.vm->st.state, VM_STOPPED);
	world_unmake(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_part_that_waits_holds_the_start),
		cmocka_unit_test(its_failure_is_the_start_s),
		cmocka_unit_test(a_kill_ends_the_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
