/* SPDX-License-Identifier: MIT */
#include "base/file.h"
#include "supervisor/core/confine.h"
#include "supervisor/vm/start_state.h"

enum { REPLY_MAX = 64 << 10 };

struct vm_start *start_new(struct vm *vm)
{
	struct vm_start *s = xcalloc(1, sizeof *s);

	s->vm = vm;
	s->plan_fd = -1;
	s->reply = (struct buf)BUF_MAX(REPLY_MAX);
	ev_init(&s->plan_io, NULL);
	vm->start = s;
	return s;
}

void start_close_jail(struct vm_start *s)
{
	ev_io_stop(s->vm->daemon->loop.ev, &s->plan_io);
	s->vm->identity.dirty |= s->unkept;
	s->unkept = false;
	json_decref(s->refused);
	s->refused = NULL;
	close_fd(&s->plan_fd);
}

enum vm_ending start_jail_error(const json_t *refused, struct err *e)
{
	confine_error(refused, e);
	return json_is_true(json_object_get(refused, "stays"))
		       ? VM_END_START_FAILED
		       : policy_start_fault(VM_END_HOST_CAUSE, e->class);
}

void start_free(struct vm *vm)
{
	struct vm_start *s = vm->start;

	if (!s)
		return;
	vm->start = NULL;
	loop_cancel(vm->daemon->loop.ev, &s->task);
	probes_forget(vm->daemon->probes, s);
	network_wait_cancel(s->net);
	confine_cancel(s->tool);
	child_cancel(s->child);
	volume_cancel(s->volume);
	start_close_jail(s);
	fd_list_release(&s->fds);
	json_decref(s->plan);
	buf_release(&s->reply);
	free(s);
}

const char *vm_start_step(const struct vm *vm)
{
	bool starting = vm->st.state == VM_PREPARING || vm_state_is_starting(vm->st.state);

	return starting && vm->start ? vm->start->step->name : NULL;
}
