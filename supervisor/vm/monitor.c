/* SPDX-License-Identifier: MIT */
/* The connection to QEMU's monitor: connect, loss, silence, reconnect. */
#include "base/log.h"
#include "supervisor/vm/dirs.h"

static void monitor_connect_again(void *data)
{
	struct vm *vm = data;

	/* in STOPPING, each press of the power button connects */
	if (vm_state_is_up(vm->st.state))
		vm_connect_monitor(vm);
}

void vm_reconnect(struct vm *vm, double seconds)
{
	loop_timer_stop(&vm->mon.reconnect);
	loop_timer_init(&vm->mon.reconnect, vm->daemon->loop.ev, monitor_connect_again, vm);
	loop_timer_start(&vm->mon.reconnect, seconds);
}

static void monitor_ready(void *data, const json_t *greeting)
{
	vm_health(data, true, NULL);
	vm_event(data, VM_EV_GREETED, NULL);
}

/* While QEMU writes a snapshot, its monitor is expected to be silent. */
static void monitor_silent(void *data, const struct err *e)
{
	struct vm *vm = data;

	if (!vm->busy)
		vm_health(vm, false, e->text);
}

/* Repeats the queries that got no answer. */
static void monitor_heard(void *data)
{
	struct vm *vm = data;

	if (vm->mon.unresponsive <= 0)
		return;
	vm_health(vm, true, NULL);
	vm_event(vm, VM_EV_GREETED, NULL);
}

static void monitor_closed(void *data, const struct err *e)
{
	struct vm *vm = data;

	/* ends the calls made from the last replies */
	vm_monitor_close(vm);
	log_debug(vm->name, "monitor lost: %s", e->text);
	if (e->class == ERR_QEMU_FAILED) {
		vm_quarantine(vm, e);
		if (vm_state_is_starting(vm->st.state)) {
			vm_start_fail(vm, VM_END_START_FAILED, e);
			return;
		}
	}
	/* usually the process exits in the same loop iteration; if not, reconnect */
	if (vm_state_is_up(vm->st.state))
		vm_reconnect(vm, vm->mon.unresponsive > 0 ? VM_RECONNECT_SECONDS : 0.2);
	if (e->class == ERR_TIMEOUT)
		vm_health(vm, false, e->text);
}

const struct qmp_handlers vm_qmp_handlers = {
	.ready = monitor_ready,
	.event = vm_qmp_event,
	.silent = monitor_silent,
	.heard = monitor_heard,
	.closed = monitor_closed,
};

void vm_connect_monitor(struct vm *vm)
{
	double patience = vm->st.state == VM_GREETING ? vm_start_left(vm) : VM_QMP_SECONDS;
	double holdoff = vm->mon.hostile_since > 0
				 ? vm->mon.hostile_since + VM_HOSTILE_SECONDS - daemon_now()
				 : 0;
	struct err e = ERR_INIT;
	int fd;

	if (vm->mon.qmp || vm->proc.run_fd < 0)
		return;
	if (holdoff > 0) {
		if (vm_state_is_up(vm->st.state))
			vm_reconnect(vm, holdoff);
		return;
	}
	vm->mon.hostile_since = 0;
	fd = vm_socket_connect(vm, "qmp.sock", &e);
	if (fd >= 0) {
		vm->mon.qmp = qmp_new(vm->daemon->loop.ev, fd, patience, &vm_qmp_handlers, vm);
	} else if (vm->st.state != VM_GREETING) {
		/* losing the monitor never kills a guest */
		err_wrap(&e, 0, "its monitor cannot be reached, so only vmkeep kill can end it");
		vm_health(vm, false, e.text);
		vm_reconnect(vm, VM_RECONNECT_SECONDS);
	}
}
