/* SPDX-License-Identifier: MIT */
/*
 * Reports what happens to a VM: log, subscribers, history, and hooks for events that need a
 * person.
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "supervisor/core/aside.h"
#include "supervisor/core/history.h"
#include "supervisor/core/hooks.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/ended.h"

#define UNTOLD_SECONDS 10.0

void vm_limits_init(struct vm *vm)
{
	vm->log.changes = (struct bucket)BUCKET(VM_CHANGES_A_SECOND, VM_CHANGES_AT_ONCE);
	vm->log.records = (struct bucket)BUCKET(1.0 / VM_RECORDS_SECONDS, VM_RECORDS_AT_ONCE);
	vm->log.resets.told =
		(struct bucket)BUCKET(1.0 / VM_RESET_EVENT_SECONDS, VM_RESETS_AT_ONCE);
	vm->log.resets.written =
		(struct bucket)BUCKET(1.0 / VM_RESET_RECORD_SECONDS, VM_RESETS_AT_ONCE);
}

static void tell_record(struct vm *vm, const struct history_record *r)
{
	_cleanup_(free_ptr) char *dir = vm_path(vm->name, NULL),
				 *path = vm_path(vm->name, VM_HISTORY);
	int fd = vm->daemon->dirs.state_fd;
	struct err e = ERR_INIT;

	mkdirat(fd, dir, 0700); /* usually exists; other failures show up below */
	aside_clear(fd, path, vm->name);
	if (history_append(fd, path, r, &e) < 0)
		log_warning(vm->name, "history: %s", e.text);
}

void vm_history_flush(struct vm *vm)
{
	struct vm_untold *u = &vm->log.untold;
	char why[sizeof u->why + 64];

	loop_timer_stop(&u->timer);
	if (!u->n)
		return;
	snprintf(why, sizeof why, "%s%s%u more in the preceding seconds", u->why,
		u->why[0] ? "; " : "", u->n - 1);
	tell_record(
		vm, &(struct history_record){
			    .time = u->time, .event = u->event, .why = u->n > 1 ? why : u->why });
	u->n = 0;
}

static void tell_untold(void *data)
{
	vm_history_flush(data);
}

static void tell_later(struct vm *vm, const char *event, const char *why)
{
	struct vm_untold *u = &vm->log.untold;

	u->n++;
	u->time = clock_wall();
	snprintf(u->event, sizeof u->event, "%s", event);
	snprintf(u->why, sizeof u->why, "%s", why ? why : "");
	if (loop_timer_is_active(&u->timer))
		return;
	loop_timer_init(&u->timer, vm->daemon->loop.ev, tell_untold, vm);
	loop_timer_start(&u->timer, UNTOLD_SECONDS);
}

void vm_history(struct vm *vm, const char *event, const char *who, const char *why)
{
	if (!history_is_asked(who) && !bucket_take(&vm->log.records, 1, daemon_now())) {
		tell_later(vm, event, why);
		return;
	}
	vm_history_flush(vm);
	tell_record(vm, &(struct history_record){
				.time = clock_wall(), .event = event, .who = who, .why = why });
}

void vm_set_requester(struct vm *vm, const char *who)
{
	snprintf(vm->who, sizeof vm->who, "%s", who ? who : "");
}

static void tell_alert(const struct vm *vm, const char *event, const char *reason)
{
	const struct conf_vm *c = vm->file.have_conf ? &vm->file.conf : &vm->proc.conf;

	hooks_run(vm->daemon->hooks,
		&(struct hooks_event){ .vm = vm->name,
			.event = event,
			.state = vm_state_name(vm->st.state),
			.reason = reason,
			.pid = vm_state_has_process(vm->st.state) ? vm->proc.pid : 0,
			.program = c->hook_failed });
}

/* A start that its requester saw fail needs no alert. */
static void tell_alert_state(const struct vm *vm, enum vm_state from)
{
	bool given_up = vm->st.state == VM_STOPPED && vm->st.ending == VM_END_CRASH &&
			vm_state_has_process(from);

	if (vm->st.state == VM_FAILED || given_up)
		tell_alert(vm, "failed", vm->st.reason);
	else if (vm->st.state == VM_BACKOFF && vm_ending_is_wrong(vm->st.ending) &&
		 !policy_is_eager(vm->st.ending, vm->st.eager, daemon_now()))
		tell_alert(vm, "crash-restart", vm->st.reason);
	else if (vm->st.state == VM_PAUSED && vm->mon.io_error)
		tell_alert(vm, "io-error", vm->st.reason);
}

/* NULL: an intermediate state, not worth a record. */
static const char *tell_event_of(const struct vm *vm, enum vm_state from)
{
	switch (vm->st.state) {
	case VM_STOPPED:
		return "stopped";
	case VM_PREPARING:
		return "start";
	case VM_RUNNING:
		return from == VM_PAUSED     ? "resumed"
		       : from == VM_STOPPING ? "stop-timeout"
					     : "running";
	case VM_PAUSED:
		return "paused";
	case VM_STOPPING:
		return vm->st.want == VM_WANT_RESTART ? "reboot" : "stop";
	case VM_QUITTING:
		if (!vm->who[0] || vm->st.want == VM_WANT_RUNNING)
			return NULL;
		return vm->st.want == VM_WANT_RESTART ? "reboot" : "kill";
	case VM_BACKOFF:
		if (vm->st.ending == VM_END_START_FAILED || vm->st.ending == VM_END_HOST_CAUSE)
			return "start-failed";
		return vm_ending_is_wrong(vm->st.ending) ? "crashed" : "restart";
	case VM_FAILED:
		return "failed";
	case VM_SPAWNING:
	case VM_GREETING:
	case VM_JOINING:
	case VM_STATES:
		break;
	}
	return NULL;
}

static void tell_write_history(struct vm *vm, enum vm_state from)
{
	const char *event = tell_event_of(vm, from);
	char why[sizeof vm->st.reason + 48];
	double left = vm->st.due - clock_boot();

	if (!event)
		return;
	if (vm->st.state == VM_BACKOFF && left > 0)
		snprintf(why, sizeof why, "%s%srestarting in %.0f s", vm->st.reason,
			vm->st.reason[0] ? "; " : "", left);
	else
		snprintf(why, sizeof why, "%s", vm->st.reason);
	if (!vm->who[0] && (vm->st.state == VM_BACKOFF || from == VM_BACKOFF))
		vm_set_requester(vm, vm->st.again[0] ? vm->st.again : "policy");
	vm_history(vm, event, vm->who, why);
	vm->who[0] = '\0';
}

/* A pause that is a step of an operation, which is told as a whole. */
static bool tell_is_part(const struct vm *vm, enum vm_state from)
{
	const enum vm_state s = vm->st.state;

	return vm->busy && !vm->mon.io_error &&
	       ((from == VM_RUNNING && s == VM_PAUSED) || (from == VM_PAUSED && s == VM_RUNNING));
}

/* For people, in the log, and for clients. The steps within a state only matter for debugging:
 * vm_event() logs them. */
static void tell_change(const struct vm *vm, enum vm_state from)
{
	const char *who = vm->who, *reason = vm->st.reason;

	/* what is adopted did not change: that line is written there */
	if (!vm->adopting)
		log_write(tell_is_part(vm, from) ? LOG_DEBUG_ : LOG_INFO_, vm->name,
			"%s -> %s%s%s%s%s%s", vm_state_name(from), vm_state_name(vm->st.state),
			*reason ? " (" : "", reason, *reason ? ")" : "", *who ? " by " : "", who);
	daemon_event(vm->daemon, "VM_STATE",
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", vm->name, "state",
			vm_state_name(vm->st.state), "from", vm_state_name(from), "reason", reason,
			"want", vm_want_name(vm->st.want)));
}

void vm_report_state(struct vm *vm, enum vm_state from)
{
	if (!streq(vm_state_name(from), vm_state_name(vm->st.state)))
		tell_change(vm, from);
	if (vm->adopting || vm->log.quiet || tell_is_part(vm, from))
		return;
	tell_write_history(vm, from);
	tell_alert_state(vm, from);
}

void vm_report_health(struct vm *vm, bool well, const char *why)
{
	if (well)
		log_info(vm->name, "answers again");
	else
		log_warning(vm->name, "unresponsive: %s", why);
	daemon_event(vm->daemon, "VM_HEALTH",
		json_pack("{s:s, s:s, s:s}", "name", vm->name, "health",
			well ? "ok" : "unresponsive", "reason", why ? why : ""));
	vm_history(vm, well ? "responsive" : "unresponsive", NULL, why);
	if (!well)
		tell_alert(vm, "unresponsive", why ? why : "");
}

const char *vm_boot_requester(const struct vm *vm)
{
	return vm->file.conf.enable == CONF_ENABLE_LAST ? "Enable=last" : "Enable=yes";
}

void vm_report_missed(struct vm *vm, const char *why)
{
	_cleanup_(free_ptr) char *first = xstrndup(why, strcspn(why, "\n"));

	text_clean(first);
	vm->st.missed = true;
	vm_history(vm, "not-started", vm_boot_requester(vm), first);
	ended_save(vm);
	tell_alert(vm, "not-started", first);
}

/* A guest may reset as often as it likes: each report has the total. */
void vm_report_reset(struct vm *vm)
{
	struct vm_resets *r = &vm->log.resets;
	char why[64];

	r->last = clock_wall();
	r->last_boot = clock_boot();
	if (bucket_take(&r->told, 1, daemon_now()))
		daemon_event(vm->daemon, "VM_RESET",
			json_pack("{s:s, s:i}", "name", vm->name, "resets", (int)r->n));
	if (!bucket_take(&r->written, 1, daemon_now()))
		return;
	snprintf(why, sizeof why, "%u since its start", r->n);
	log_info(vm->name, "the guest reset itself: %s", why);
	vm_history(vm, "guest-reset", NULL, why);
	vm_record_write(vm);
}

void vm_log_shutdown_method(const struct vm *vm)
{
	if (vm->stop.presses)
		log_info(vm->name, "guest shut down after %u presses of the power button",
			vm->stop.presses);
	else if (vm->stop.agent_asked)
		log_info(vm->name, "guest shut down by its agent");
}

void vm_note(struct vm *vm, const char *event, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	text_clean(text);
	log_info(vm->name, "%s", text);
	vm_history(vm, event, vm->who[0] ? vm->who : NULL, text);
	if (!vm->notes)
		vm->notes = json_array();
	if (json_array_size(vm->notes) < VM_NOTES_MAX)
		json_array_append_new(vm->notes, json_string(text));
}

json_t *vm_take_notes(struct vm *vm)
{
	json_t *notes = vm->notes;

	vm->notes = NULL;
	return notes;
}
