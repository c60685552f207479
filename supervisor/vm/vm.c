/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "conf/conf.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/ended.h"
#include "supervisor/vm/revert.h"
#include "supervisor/vm/start_state.h"
#include "supervisor/vm/vms.h"

static void vm_set_since(struct vm *vm)
{
	vm->st.since = clock_wall();
	vm->st.since_boot = clock_boot();
}

static void vm_on_timer(void *data)
{
	struct vm *vm = data;

	if (vm_timer_is_over(vm))
		vm_event(vm, VM_EV_TIMER, NULL);
}

struct vm *vm_new(struct daemon *d, const char *name)
{
	struct vm *vm = xcalloc(1, sizeof *vm);

	vm->daemon = d;
	vm->name = xstrdup(name);
	vm->state_fd = vm->proc.run_fd = vm->proc.pidfd = vm->proc.mounts = -1;
	/* its files may never be readable: then all values are defaults, and no text is NULL */
	conf_vm_read(&vm->file.conf, name, "", 0, NULL);
	vm_set_since(vm);
	vm_limits_init(vm);
	loop_timer_init(&vm->timer, d->loop.ev, vm_on_timer, vm);
	ev_init(&vm->proc.exited, NULL);
	return vm;
}

void vm_free(struct vm *vm)
{
	start_free(vm);
	vm_waits_end(vm);
	vm_history_flush(vm);
	vm_arm(vm, 0);
	vm_monitor_release(vm);
	vm_parts_close(vm, false);
	vm_process_release(vm);
	conf_vm_release(&vm->file.conf);
	conf_vm_release(&vm->proc.conf);
	identity_release(&vm->identity);
	close_fd(&vm->state_fd);
	close_fd(&vm->proc.run_fd);
	free(vm->start_error);
	free(vm->predecessor);
	json_decref(vm->notes);
	free(vm->file.problems);
	free(vm->identity_problem);
	free(vm->held.why);
	free(vm->revert);
	free(vm->once);
	free(vm->name);
	free(vm);
}

void vm_set_reason(struct vm *vm, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	text[strcspn(text, "\n")] = '\0';
	text_clean(text);
	text_shorten(vm->st.reason, sizeof vm->st.reason, text);
}

/*
 * An action may cause the next event at once (spawn fails, nothing to prepare): the nested call
 * finds the new state already in place, and waits are checked once all has settled.
 */
void vm_event(struct vm *vm, enum vm_event ev, const char *reason)
{
	const struct vm_outcome to = vm_outcome(vm->st.state, ev);
	enum vm_state from = vm->st.state;

	log_debug(vm->name, "%s: %s -> %s, %s", vm_state_inner_name(from), vm_event_name(ev),
		vm_state_inner_name(to.next), vm_action_name(to.action));
	if (reason)
		vm_set_reason(vm, "%s", reason);
	vm->st.state = to.next;
	if (from != vm->st.state) {
		if (!reason && !vm_state_is_down(vm->st.state) && vm->st.state != VM_QUITTING)
			vm->st.reason[0] = '\0';
		if (!vm->adopting)
			vm_set_since(vm);
		vm_arm(vm, 0);
		vm_report_state(vm, from);
		ended_save(vm);
		vm_observed_state(vm);
	}
	/* after adoption, the record of the previous daemon holds until something changes; a
	 * press or a quit writes the record itself */
	if (vm_state_has_process(vm->st.state) && !(vm->adopting && vm->proc.recorded) &&
		to.action != VM_DO_PRESS && to.action != VM_DO_QUIT)
		vm_record_write(vm);
	else if (vm_state_is_resting(from) && vm->st.state == VM_STOPPED)
		vm_run_dir_remove(vm);
	if (to.action != VM_DO_NOTHING)
		vm->daemon->actions[to.action](vm);
	vm_parts_state(vm);
	vm_waits_check(vm);
	/* nothing is left of it: the next refresh removes it */
	if (vm->file.orphan && !vm_state_has_process(vm->st.state))
		vm->daemon->vms->changed = true;
}

void vm_ended(struct vm *vm, enum vm_ending ending)
{
	bool stay = policy_ended(&vm->proc.conf, ending) == CONF_ENDING_PAUSE &&
		    vm->st.want == VM_WANT_RUNNING;

	vm->st.ending = ending;
	vm_event(vm, stay ? VM_EV_JOINED_PAUSED : VM_EV_ENDED, vm_ending_name(ending));
}

void vm_health(struct vm *vm, bool well, const char *why)
{
	if (well == (vm->mon.unresponsive <= 0))
		return;
	vm->mon.unresponsive = well ? 0 : clock_boot();
	vm->mon.unresponsive_wall = well ? 0 : clock_wall();
	free(vm->mon.trouble);
	vm->mon.trouble = well ? NULL : xstrdup(why);
	if (!well)
		text_clean(vm->mon.trouble);
	vm_record_write(vm);
	vm_report_health(vm, well, vm->mon.trouble);
}

const char *vm_health_text(const struct vm *vm)
{
	if (vm->mon.unresponsive <= 0)
		return "ok";
	return vm->mon.hostile_since > 0 ? "unresponsive: hostile" : "unresponsive";
}

void vm_quarantine(struct vm *vm, const struct err *e)
{
	_cleanup_(free_ptr) char *why = xasprintf("hostile: %s", e->text);

	vm->mon.hostile_since = daemon_now();
	vm->mon.unresponsive = 0; /* so that vm_health() reports the new problem */
	vm_health(vm, false, why);
}

int vm_draft_identity(struct vm *vm, struct err *e)
{
	int r = 0;

	if (!vm->identity.dirty || vm->identity_problem)
		return 0;
	r = vm_state_dir(vm, e);
	return r < 0 ? r : identity_draft(&vm->identity, vm->state_fd, e);
}

bool vm_is_tombstone(const struct vm *vm)
{
	return vm->st.state == VM_PAUSED && vm->st.ending != VM_END_NONE;
}

static void vm_log_reply(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;

	if (e && e->class != ERR_UNREACHABLE)
		log_warning(vm->name, "%s", e->text);
}

void vm_call(struct vm *vm, const char *command, json_t *arguments, qmp_reply_fn *reply)
{
	if (!vm->mon.qmp) {
		json_decref(arguments);
		return;
	}
	qmp_call(vm->mon.qmp, command, arguments, -1, VM_QMP_SECONDS, reply ? reply : vm_log_reply,
		vm);
}

void vm_monitor_close(struct vm *vm)
{
	if (vm->mon.qmp)
		qmp_forget(vm->mon.qmp, vm);
	qmp_close(vm->mon.qmp);
	vm->mon.qmp = NULL;
	vm->mon.stops = 0; /* its answer is lost */
}

void vm_monitor_release(struct vm *vm)
{
	vm_monitor_close(vm);
	loop_timer_stop(&vm->mon.reconnect);
	loop_timer_stop(&vm->mon.reset);
	free(vm->mon.trouble);
	free(vm->mon.io_error);
	vm->mon = (struct vm_monitor){ 0 };
}

void vm_process_release(struct vm *vm)
{
	ev_io_stop(vm->daemon->loop.ev, &vm->proc.exited);
	close_fd(&vm->proc.pidfd);
	close_fd(&vm->proc.mounts);
	oom_watch_release(&vm->proc.oom);
	vm_free_nics(vm);
	vm->proc.pid = 0;
	vm->proc.starttime = 0;
	vm->proc.is_child = vm->proc.conf_lost = vm->proc.ready_seen = false;
	vm->proc.ready_status[0] = '\0';
	free_ptr(&vm->proc.cable);
	json_decref(vm->proc.changes);
	vm->proc.changes = NULL;
}
