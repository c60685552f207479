/* SPDX-License-Identifier: MIT */
/*
 * From greeting to running. Fresh start and adoption are one path: ask what QEMU is, put its NICs on
 * their bridges, let it go if it has not gone yet.
 */
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/qemu/device.h"
#include "supervisor/vm/part.h"
#include "supervisor/vm/revert.h"
#include "supervisor/vm/dirs.h"

static void join_connect_again(void *data)
{
	struct vm *vm = data;

	/* while it stops, each press of the power button tries */
	if (vm_state_is_up(vm->st.state))
		vm_greet(vm);
}

static void join_reconnect(struct vm *vm, double seconds)
{
	loop_timer_stop(&vm->mon.reconnect);
	loop_timer_init(&vm->mon.reconnect, vm->daemon->loop.ev, join_connect_again, vm);
	loop_timer_start(&vm->mon.reconnect, seconds);
}

/* A lost connection and silence are told by the session; the look is taken again after either. */
static bool failed(struct vm *vm, const struct err *e)
{
	if (e && e->class != ERR_UNREACHABLE && e->class != ERR_TIMEOUT && vm->st.state == VM_JOINING)
		vm_start_fail(vm, VM_END_START_FAILED, e);
	return e != NULL;
}

static void on_cont(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;

	(void)result;
	if (!failed(vm, e))
		vm_event(vm, VM_EV_JOINED, NULL);
}

static int join_networks(struct vm *vm, bool again, struct err *e)
{
	for (size_t i = 0; i < vm->proc.nics; i++) {
		struct network_nic nic = vm_network_nic(vm, &vm->proc.nic[i]);
		int r = 0;

		if (again)
			networks_rejoin(vm->daemon->networks, &nic, &vm->proc.nic[i].tap);
		else
			r = networks_join(vm->daemon->networks, &nic, &vm->proc.nic[i].tap, e);
		if (r < 0)
			return err_wrap(e, r, "nic '%s'", vm->proc.nic[i].id);
	}
	return 0;
}

/* The command line cannot say that a cable is out. */
static void set_links(struct vm *vm)
{
	char id[80];

	for (size_t i = 0; i < vm->proc.conf.nics; i++)
		if (!vm->proc.conf.nic[i].link)
			vm_call(vm, "set_link",
				json_pack("{s:s, s:b}", "name", device_nic_id(&vm->proc.conf.nic[i], id), "up", 0), NULL);
}

/* A QEMU that has not run yet: fresh, or its daemon died between greeting and cont. */
static void let_go(struct vm *vm)
{
	struct err e = ERR_INIT;

	if (join_networks(vm, false, &e) < 0) {
		vm_start_fail(vm, VM_END_START_FAILED, &e);
		return;
	}
	set_links(vm);
	vm_set_reboot_action(vm);
	/* one that is to stop has to run for it */
	if (vm->st.paused_start && vm->st.state != VM_STOPPING)
		vm_event(vm, VM_EV_JOINED_PAUSED, "start --paused");
	else
		vm_call(vm, "cont", NULL, on_cont);
}

static void paused_because(struct vm *vm, const char *why)
{
	if (vm->st.state != VM_PAUSED || !vm->st.reason[0])
		vm_event(vm, VM_EV_JOINED_PAUSED, why);
	else
		vm_event(vm, VM_EV_JOINED_PAUSED, NULL);
}

/* What BLOCK_IO_ERROR said was said to a former daemon, or to nobody: the drives still know. */
static void on_blocks(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;
	char why[160];
	bool found_before;
	size_t i;
	json_t *drive;

	(void)e;
	free(vm->mon.io_error);
	vm->mon.io_error = NULL;
	json_array_foreach (result, i, drive) {
		const char *status = json_string_value(json_object_get(drive, "io-status"));
		const char *node = json_string_value(
			json_object_get(json_object_get(drive, "inserted"), "node-name"));

		if (!vm->mon.io_error && status && !streq(status, "ok"))
			vm->mon.io_error = vm_io_error_text(streq(status, "nospace"), node);
	}
	if (!vm->mon.io_error)
		vm->mon.io_error = vm_io_error_text(false, NULL);
	snprintf(why, sizeof why, "io-error: %s", vm->mon.io_error);
	found_before = vm->st.state == VM_PAUSED && !streq(vm->st.reason, why);
	vm_set_reason(vm, "%s", why);
	paused_because(vm, why);
	/* it stood still already, but not for that */
	if (found_before)
		vm_tell_state(vm, VM_PAUSED);
}

/* The RunState of QEMU's qapi/run-state.json, and what it means here. */
static void found(struct vm *vm, const char *status)
{
	static const struct {
		const char *status;
		enum vm_ending ending;
	} tombstones[] = {
		{ "shutdown", VM_END_POWER_OFF },
		{ "guest-panicked", VM_END_PANIC },
		{ "watchdog", VM_END_WATCHDOG },
	};

	vm_parts_joined(vm, streq(status, "prelaunch"));
	if (!streq(status, "io-error")) {
		free(vm->mon.io_error);
		vm->mon.io_error = NULL;
	}
	if (streq(status, "prelaunch")) {
		/* its record is lost: it was started for a revert, which revert.c finds out */
		if (vm->proc.is_child || !vm->revert || vm->st.paused_start)
			let_go(vm);
		return;
	}
	join_networks(vm, true, NULL);
	vm_set_reboot_action(vm);
	if (streq(status, "running") || streq(status, "suspended")) {
		vm_event(vm, VM_EV_JOINED, NULL);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(tombstones); i++)
		if (streq(status, tombstones[i].status)) {
			vm_ended(vm, tombstones[i].ending);
			return;
		}
	if (streq(status, "restore-vm")) {
		/* the daemon that had the load done died before it could end what it left */
		vm->st.ending = VM_END_CRASH;
		vm_event(vm, VM_EV_ENDED, "crashed: a snapshot's load failed half way");
	} else if (streq(status, "io-error") && !vm->mon.io_error) {
		vm_call(vm, "query-block", NULL, on_blocks);
	} else if (streq(status, "io-error")) {
		paused_because(vm, "io-error");
	} else {
		/* it was asked to stop, and its daemon died before it let it go on for that */
		if (vm->st.state == VM_STOPPING && streq(status, "paused"))
			vm_call(vm, "cont", NULL, NULL);
		paused_because(vm, streq(status, "paused") ? "paused" : status);
	}
}

static void on_status(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;
	const char *status = json_string_value(json_object_get(result, "status"));

	if (!failed(vm, e) && vm->mon.proved)
		found(vm, status ? status : "");
}

static void on_uuid(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;
	const char *uuid = json_string_value(json_object_get(result, "UUID"));
	struct err own = ERR_INIT;

	if (failed(vm, e))
		return;
	vm->mon.proved = streq(uuid, vm->proc.conf.uuid ? vm->proc.conf.uuid : vm->identity.uuid);
	if (vm->mon.proved)
		return;
	/* somebody else's QEMU sits at our socket: never act on it */
	err_set(&own, ERR_CONFLICT, "its monitor belongs to another QEMU (uuid %s)", uuid ? uuid : "?");
	vm_health(vm, false, own.text);
	vm_monitor_close(vm);
	if (vm_state_is_up(vm->st.state))
		join_reconnect(vm, VM_RECONNECT_SECONDS);
}

void vm_join(struct vm *vm)
{
	if (!vm->mon.qmp) {
		vm_greet(vm);
		return;
	}
	oom_watch_begin(&vm->proc.oom, vm->proc.pid);
	if (vm->st.state == VM_JOINING)
		vm_arm_start(vm);
	/* all at once: a guest that has to be woken for each answer takes that much longer to adopt */
	vm->mon.proved = vm->proc.is_child;
	if (!vm->mon.proved)
		vm_call(vm, "query-uuid", NULL, on_uuid);
	vm_call(vm, "query-status", NULL, on_status);
	vm_parts_greeted(vm);
	if (!vm->proc.is_child)
		vm_revert_ask(vm);
}

const struct qmp_handlers vm_qmp_handlers = {
	.ready = vm_qmp_ready,
	.event = vm_qmp_event,
	.silent = vm_qmp_silent,
	.heard = vm_qmp_heard,
	.closed = vm_qmp_closed,
};

void vm_greet(struct vm *vm)
{
	double patience = vm->st.state == VM_GREETING ? vm_start_left(vm) : VM_QMP_SECONDS;
	double penance = vm->mon.hostile_since > 0 ? vm->mon.hostile_since + VM_HOSTILE_SECONDS - daemon_now() : 0;
	struct err e = ERR_INIT;
	int fd;

	if (vm->st.state == VM_GREETING)
		vm_arm_start(vm);
	if (vm->mon.qmp || vm->proc.run_fd < 0)
		return;
	if (penance > 0) {
		if (vm_state_is_up(vm->st.state))
			join_reconnect(vm, penance);
		return;
	}
	vm->mon.hostile_since = 0;
	fd = vm_socket_connect(vm, "qmp.sock", &e);
	if (fd >= 0) {
		vm->mon.qmp = qmp_new(vm->daemon->loop.ev, fd, patience, &vm_qmp_handlers, vm);
	} else if (vm->st.state != VM_GREETING) {
		/* a lost monitor never kills a guest */
		err_wrap(&e, 0, "its monitor cannot be reached, only vmkeep kill ends it");
		vm_health(vm, false, e.text);
		join_reconnect(vm, VM_RECONNECT_SECONDS);
	}
}

void vm_qmp_ready(void *data, const json_t *greeting)
{
	(void)greeting;
	vm_health(data, true, NULL);
	vm_event(data, VM_EV_GREETED, NULL);
}

/* While a snapshot is written the monitor is silent by nature. */
void vm_qmp_silent(void *data, const struct err *e)
{
	struct vm *vm = data;

	if (!vm->busy)
		vm_health(vm, false, e->text);
}

/* What was asked in vain is asked again. */
void vm_qmp_heard(void *data)
{
	struct vm *vm = data;

	if (vm->mon.unresponsive <= 0)
		return;
	vm_health(vm, true, NULL);
	vm_event(vm, VM_EV_GREETED, NULL);
}

void vm_qmp_closed(void *data, const struct err *e)
{
	struct vm *vm = data;

	/* calls that were made from the last replies end after this */
	vm_monitor_close(vm);
	log_debug(vm->name, "monitor lost: %s", e->text);
	if (e->class == ERR_QEMU_FAILED) {
		vm_hostile(vm, e);
		if (vm_state_is_starting(vm->st.state)) {
			vm_start_fail(vm, VM_END_START_FAILED, e);
			return;
		}
	}
	/* usually the process ends in the same turn; only if not, connect again */
	if (vm_state_is_up(vm->st.state))
		join_reconnect(vm, vm->mon.unresponsive > 0 ? VM_RECONNECT_SECONDS : 0.2);
	if (e->class == ERR_TIMEOUT)
		vm_health(vm, false, e->text);
}
