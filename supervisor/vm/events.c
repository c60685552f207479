/* SPDX-License-Identifier: MIT */
/*
 * QMP events. Every resulting state change is logged, saved and reported, so unrequested changes
 * are rate-limited: a QEMU that keeps changing state loses its monitor, see vm_quarantine().
 */
#include <limits.h>

#include "base/log.h"
#include "base/text.h"
#include "supervisor/vm/part.h"
#include "supervisor/vm/run_state.h"
#include "supervisor/vm/said.h"

bool vm_event_bearable(struct vm *vm)
{
	if (qmp_was_asked(vm->mon.qmp) || bucket_take(&vm->log.changes, 1, daemon_now()))
		return true;
	qmp_give_up(vm->mon.qmp, "unsolicited state changes");
	return false;
}

static bool events_is(const json_t *data, const char *key, const char *value)
{
	return streq(json_string_value(json_object_get(data, key)), value);
}

static void events_on_shutdown(struct vm *vm, const json_t *data)
{
	if (!vm_event_bearable(vm))
		return;
	if (vm->st.state == VM_STOPPING && events_is(data, "reason", "guest-shutdown"))
		vm_log_shutdown_method(vm);
	if (events_is(data, "reason", "guest-shutdown"))
		vm_ended(vm, VM_END_POWER_OFF);
	else if (events_is(data, "reason", "guest-reset"))
		vm_ended(vm, VM_END_REBOOT);
	else if (events_is(data, "reason", "host-signal") && vm->st.ending == VM_END_NONE)
		vm->st.ending = VM_END_HOST_SIGNAL;
	else if (events_is(data, "reason", "host-qmp-quit") && vm->st.ending == VM_END_NONE)
		vm->st.ending = VM_END_QMP_QUIT;
}

static void events_on_panic(struct vm *vm, const json_t *data)
{
	if (!events_is(data, "action", "run") && vm_event_bearable(vm))
		vm_ended(vm, VM_END_PANIC);
}

/* After an internal error QEMU waits to be reset, but the guest is as good as crashed. */
void vm_found_ended(struct vm *vm, const struct run_state *found)
{
	_cleanup_(free_ptr) char *fatal = NULL;
	_cleanup_(free_ptr) char *whole = NULL;
	_cleanup_(free_ptr) char *why = NULL;
	_cleanup_(free_ptr) char *tail = NULL;
	char bytes[SAID_MAX];
	size_t len;

	/* not one that is told to quit, or whose ending is known from an event */
	if ((vm->st.state != VM_JOINING && !vm_state_is_live(vm->st.state)) || vm_is_tombstone(vm))
		return;
	if (found->ending != VM_END_CRASH) {
		vm_ended(vm, found->ending);
		return;
	}
	tail = vm_last_words(vm, &why);
	/* registers follow, in more lines than the tail has */
	len = vm_parts_last_words(vm, bytes, sizeof bytes);
	whole = text_escape(bytes, len, true);
	fatal = said_fatal(whole);
	vm->st.ending = found->ending;
	vm_set_reason(vm, "crashed: %s", *fatal ? fatal : "internal error of QEMU");
	log_error(vm->name, "%s", vm->st.reason);
	if (*tail)
		log_warning(vm->name, "QEMU's final messages: %s", tail);
	vm_event(vm, VM_EV_ENDED, NULL);
}

static void events_paused(struct vm *vm, const char *why)
{
	char reason[160];

	if (vm->st.state != VM_RUNNING)
		return;
	snprintf(reason, sizeof reason, "%s%s", vm->mon.io_error ? "io-error: " : "",
		vm->mon.io_error ? vm->mon.io_error : why);
	vm_event(vm, VM_EV_PAUSED, reason);
}

static void events_ask_why(struct vm *vm);

static void events_on_status(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;
	const char *status = json_string_value(json_object_get(result, "status"));
	const struct run_state *found = run_state_find(status);
	bool again = vm->mon.stops > 1;

	vm->mon.stops = 0;
	if (e && (e->class == ERR_UNREACHABLE || e->class == ERR_TIMEOUT))
		return; /* the next connection asks again */
	if (again)
		events_ask_why(vm);
	else if (found->kind == RUN_ENDED)
		vm_found_ended(vm, found);
	else if (found->kind == RUN_UNKNOWN)
		events_paused(vm, status ? status : "paused");
	else if (found->kind != RUN_GOES)
		events_paused(vm, found->why);
}

static void events_ask_why(struct vm *vm)
{
	if (!vm->mon.stops++)
		vm_call(vm, "query-status", NULL, events_on_status);
}

/* QEMU delays the second of two within a second, when the guest may have been reset and runs
 * again: its state counts. */
static void events_on_watchdog(struct vm *vm, const json_t *data)
{
	if (vm_event_bearable(vm))
		events_ask_why(vm);
}

/* The event does not tell why. What somebody asked for, or a disk caused, is known; otherwise QEMU
 * or KVM may have given the guest up. In any state, since each STOP causes a command. */
static void events_on_stop(struct vm *vm, const json_t *data)
{
	if (!vm_event_bearable(vm))
		return;
	if (vm->who[0] || vm->busy || vm->mon.io_error)
		events_paused(vm, vm->busy ? vm->busy : "paused");
	events_ask_why(vm);
}

/* A guest in a reset loop looks like any running guest, so count its resets. */
static void events_count_reset(struct vm *vm, const json_t *data)
{
	struct vm_resets *r = &vm->log.resets;

	if (!json_is_true(json_object_get(data, "guest"))) {
		r->spared = daemon_now() + VM_RESET_SECONDS;
	} else if (daemon_now() >= r->spared) {
		r->n += r->n < INT_MAX;
		vm_report_reset(vm);
	}
}

static void events_on_reset(struct vm *vm, const json_t *data)
{
	events_count_reset(vm, data);
	vm_spare_reset(vm, VM_RESET_SECONDS);
}

static void events_on_resume(struct vm *vm, const json_t *data)
{
	if (!vm_event_bearable(vm))
		return;
	if (vm->mon.stops) /* a short pause: the answer will be "running" */
		events_paused(vm, "paused");
	free_ptr(&vm->mon.io_error);
	vm->st.paused_start = false;
	if (vm->st.state == VM_PAUSED)
		vm->st.ending = VM_END_NONE;
	vm_event(vm, VM_EV_RESUMED, NULL);
	/* it may have been reset while paused */
	vm_spare_reset(vm, VM_RESET_SECONDS);
}

char *vm_io_error_text(bool space, const char *node)
{
	return xasprintf("%s%s%s", space ? "nospace" : "disk", node ? " on " : "",
		node ? node + (strncmp(node, "d-", 2) == 0 ? 2 : 0) : "");
}

/* STOP follows if action is stop; only this event tells ENOSPC from other disk errors. */
static void events_on_io_error(struct vm *vm, const json_t *data)
{
	const char *node = json_string_value(json_object_get(data, "node-name"));
	bool space = json_is_true(json_object_get(data, "nospace"));

	/* all requests in flight fail at once: the first one has the cause */
	if (!events_is(data, "action", "stop") || vm->mon.io_error)
		return;
	vm->mon.io_error = vm_io_error_text(space, node);
	log_error(vm->name, "guest stopped by an i/o error: %s", vm->mon.io_error);
}

void vm_qmp_event(void *data, const char *name, const json_t *event_data)
{
	static const struct {
		const char *name;
		void (*run)(struct vm *vm, const json_t *data);
	} events[] = {
		{ "SHUTDOWN", events_on_shutdown },
		{ "GUEST_PANICKED", events_on_panic },
		{ "WATCHDOG", events_on_watchdog },
		{ "RESET", events_on_reset },
		{ "STOP", events_on_stop },
		{ "RESUME", events_on_resume },
		{ "BLOCK_IO_ERROR", events_on_io_error },
	};

	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		if (streq(events[i].name, name))
			events[i].run(data, event_data);
	vm_parts_event(data, name, event_data);
}
