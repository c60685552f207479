/* SPDX-License-Identifier: MIT */
/*
 * The steps of a start once the monitor answers. A fresh start and an adoption take the same
 * path: query QEMU's status, attach the NICs to their bridges, resume the guest unless it
 * already runs.
 */
#include "base/log.h"
#include "supervisor/qemu/device.h"
#include "supervisor/vm/inside.h"
#include "supervisor/vm/revert.h"
#include "supervisor/vm/run_state.h"
#include "supervisor/start/start.h"

/* The session reports lost connections and silence; the queries are repeated after either. */
static bool join_failed(struct vm *vm, const struct err *e)
{
	if (e && e->class != ERR_UNREACHABLE && e->class != ERR_TIMEOUT &&
		vm->st.state == VM_JOINING)
		start_failed(vm->start, e);
	return e != NULL;
}

/* NULL if the start is past that step, or was restarted. */
static struct vm_start *join_waits_at(
	const struct vm *vm, int (*run)(struct vm_start *s, struct err *e))
{
	return vm->start && vm->start->step->run == run ? vm->start : NULL;
}

/* The command line cannot express an unplugged cable. */
static void start_join_set_links(struct vm *vm)
{
	char id[80];

	for (size_t i = 0; i < vm->proc.conf.nics; i++)
		if (!vm->proc.conf.nic[i].link)
			vm_call(vm, "set_link",
				json_pack("{s:s, s:b}", "name",
					device_nic_id(&vm->proc.conf.nic[i], id), "up", 0),
				NULL);
}

/* QEMU has not run yet: fresh, or its daemon died between greeting and cont. */
int start_bridges(struct vm_start *s, struct err *e)
{
	int r = STEP_DONE;

	for (size_t i = 0; r == STEP_DONE && i < s->vm->proc.nics; i++) {
		struct vm_nic *n = &s->vm->proc.nic[i];

		r = networks_join(s->vm->daemon->networks, &n->net, &n->tap, e);
		if (r < 0)
			err_wrap(e, r, "nic '%s'", n->net.nic);
	}
	if (r == STEP_DONE)
		start_join_set_links(s->vm);
	return r;
}

static void join_on_cont(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;

	if (!join_failed(vm, e) && join_waits_at(vm, start_run))
		start_next(vm->start);
}

int start_run(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;

	vm_set_reboot_action(vm);
	/* a guest must run to act on its shutdown */
	if (vm->st.paused_start && vm->st.state != VM_STOPPING) {
		start_free(vm);
		vm_event(vm, VM_EV_JOINED_PAUSED, "start --paused");
	} else {
		vm_call(vm, "cont", NULL, join_on_cont);
	}
	return STEP_WAITS;
}

/* The record's reason for a pause holds if QEMU still reports the same; "paused" is the least
 * specific. */
static bool join_reason_holds(const struct vm *vm, const struct run_state *found, const char *why)
{
	char name[32];
	const struct run_state *was;

	snprintf(name, sizeof name, "%.*s", (int)strcspn(vm->st.reason, ":"), vm->st.reason);
	was = run_state_find(name);
	if (vm->st.state != VM_PAUSED || !vm->st.reason[0])
		return false;
	if (found->kind == RUN_IO_ERROR || found->kind == RUN_UNKNOWN)
		return streq(vm->st.reason, why);
	return was == found || (was->kind == RUN_UNKNOWN && streq(found->name, "paused"));
}

static void join_paused_because(struct vm *vm, const struct run_state *found, const char *why)
{
	const bool holds = join_reason_holds(vm, found, why), before = vm->st.state == VM_PAUSED;

	vm_event(vm, VM_EV_JOINED_PAUSED, holds ? NULL : why);
	/* it was paused before, but not for that reason */
	if (before && !holds)
		vm_report_state(vm, VM_PAUSED);
}

static void start_join_on_status(void *data, const json_t *result, const struct err *e);

/* BLOCK_IO_ERROR went to a previous daemon, or to nobody; the drives still know. */
static void join_on_blocks(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;
	size_t i;
	json_t *drive;

	if (vm->mon.io_error || (e && (e->class == ERR_UNREACHABLE || e->class == ERR_TIMEOUT)))
		return;
	json_array_foreach (result, i, drive) {
		const char *status = json_string_value(json_object_get(drive, "io-status"));
		const char *node = json_string_value(
			json_object_get(json_object_get(drive, "inserted"), "node-name"));

		if (!vm->mon.io_error && status && !streq(status, "ok"))
			vm->mon.io_error = vm_io_error_text(streq(status, "nospace"), node);
	}
	if (!vm->mon.io_error)
		vm->mon.io_error = vm_io_error_text(false, NULL);
}

static void start_join_paused(struct vm *vm, const struct run_state *found, const char *status)
{
	char why[160];

	if (found->kind == RUN_IO_ERROR) {
		snprintf(why, sizeof why, "io-error: %s", vm->mon.io_error);
		join_paused_because(vm, found, why);
		return;
	}
	/* it was told to stop, and its daemon died before resuming it for that */
	if (vm->st.state == VM_STOPPING && streq(status, "paused"))
		vm_call(vm, "cont", NULL, NULL);
	join_paused_because(vm, found, found->kind == RUN_UNKNOWN ? status : found->why);
}

static void join_found(struct vm *vm, const char *status)
{
	const struct run_state *found = run_state_find(status);

	vm_parts_joined(vm, found->kind == RUN_FRESH);
	if (found->kind != RUN_IO_ERROR) {
		free_ptr(&vm->mon.io_error);
	}
	if (found->kind == RUN_FRESH) {
		/* otherwise the process was started for a revert and its record is lost: see
		 * revert_ask.c */
		if (join_waits_at(vm, start_status) &&
			(vm->proc.is_child || !vm->revert || vm->st.paused_start))
			start_next(vm->start);
		return;
	}
	for (size_t i = 0; i < vm->proc.nics; i++)
		networks_rejoin(vm->daemon->networks, &vm->proc.nic[i].net, &vm->proc.nic[i].tap);
	vm_set_reboot_action(vm);
	if (found->kind == RUN_IO_ERROR && !vm->mon.io_error) {
		/* it may be resumed before the drives answer, so only the next status counts */
		vm_call(vm, "query-block", NULL, join_on_blocks);
		vm_call(vm, "query-status", NULL, start_join_on_status);
		return;
	}
	start_free(vm);
	if (found->kind == RUN_GOES) {
		vm_event(vm, VM_EV_JOINED, NULL);
	} else if (found->kind == RUN_ENDED) {
		vm_found_ended(vm, found);
	} else if (streq(status, "restore-vm")) {
		/* the daemon that started the load died before it could end the process */
		vm->st.ending = VM_END_CRASH;
		vm_event(vm, VM_EV_ENDED, "crashed: a snapshot's load failed half way");
	} else {
		start_join_paused(vm, found, status);
	}
}

static void start_join_on_status(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;
	const char *status = json_string_value(json_object_get(result, "status"));

	/* it may have been killed since */
	if (!join_failed(vm, e) && vm->mon.proved &&
		(vm->st.state == VM_JOINING || vm_state_is_live(vm->st.state)))
		join_found(vm, status ? status : "");
}

static void start_join_on_uuid(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;
	const char *uuid = json_string_value(json_object_get(result, "UUID"));
	struct err own = ERR_INIT;

	if (join_failed(vm, e))
		return;
	vm->mon.proved = streq(uuid, vm->proc.conf.uuid ? vm->proc.conf.uuid : vm->identity.uuid);
	if (vm->mon.proved)
		return;
	/* another QEMU answers on our socket: never act on it */
	err_set(&own, ERR_CONFLICT, "its monitor belongs to another QEMU (uuid %s)",
		uuid ? uuid : "?");
	vm_health(vm, false, own.text);
	vm_monitor_close(vm);
	if (vm_state_is_up(vm->st.state))
		vm_reconnect(vm, VM_RECONNECT_SECONDS);
}

int start_status(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;

	if (!vm->mon.qmp) {
		vm_connect_monitor(vm);
		return STEP_WAITS;
	}
	oom_watch_begin(&vm->proc.oom, vm->proc.pid);
	inside_hold(vm);
	if (vm->st.state == VM_JOINING)
		vm_arm_start(vm);
	/* all queries at once: a QEMU that must be woken for each reply takes that much longer to
	 * adopt */
	vm->mon.proved = vm->proc.is_child;
	if (!vm->mon.proved)
		vm_call(vm, "query-uuid", NULL, start_join_on_uuid);
	vm_call(vm, "query-status", NULL, start_join_on_status);
	vm_parts_greeted(vm);
	if (!vm->proc.is_child)
		vm_revert_ask(vm);
	return STEP_WAITS;
}

int start_monitor(struct vm_start *s, struct err *e)
{
	vm_arm_start(s->vm);
	vm_connect_monitor(s->vm);
	return STEP_WAITS;
}
