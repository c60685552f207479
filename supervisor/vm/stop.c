/* SPDX-License-Identifier: MIT */
/*
 * The ways down: power button, quit, kill; and why the process ended.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/pidfd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/qemu/device.h"
#include "supervisor/qemu/probe.h"
#include "supervisor/vm/start_state.h"
#include "supervisor/vm/said.h"
#include "supervisor/vm/vms.h"

enum { LAST_TURNS = 64 };

void vm_power_button(struct vm *vm)
{
	double left = vm->stop.deadline - daemon_now();

	vm->stop.pressed = clock_lost();
	vm_record_write(vm); /* for stop_left */
	if (!vm->mon.qmp)
		vm_connect_monitor(vm);
	if (!vm->stop.agent_asked && vm_parts_power_off(vm, true)) {
		vm->stop.agent_asked = true;
		log_info(vm->name, "asking the guest agent to shut down");
		/* if little time is left, half of it is for the button */
		vm_arm(vm, left < 0.01			      ? 0.01
			   : left / 2 < VM_AGENT_STOP_SECONDS ? left / 2
							      : VM_AGENT_STOP_SECONDS);
		return;
	}
	if (vm->stop.agent_asked && !vm->stop.presses)
		log_info(vm->name,
			"the guest agent's shutdown had no effect: pressing the power button");
	vm->stop.presses++;
	/* success only means that the button was pressed; before the guest listens, a press is
	 * lost */
	vm_call(vm, "system_powerdown", NULL, NULL);
	vm_arm(vm, left < 0.01 ? 0.01 : left < VM_PRESS_SECONDS ? left : VM_PRESS_SECONDS);
}

/* The guest may have had no time to react, or was suspended itself. */
static bool stop_lost_time(const struct vm *vm)
{
	return clock_lost() - vm->stop.pressed > CLOCK_GAP;
}

void vm_power_button_again(struct vm *vm)
{
	bool leave = vm->proc.conf.on_stop_timeout == CONF_STOP_TIMEOUT_LEAVE;
	char killed[96];

	if (daemon_now() >= vm->stop.deadline && !stop_lost_time(vm)) {
		/* 0: requested from a daemon that did not record the timeout */
		if (vm->stop.timeout > 0)
			snprintf(killed, sizeof killed,
				"killed: the guest did not power off within %.0f s",
				vm->stop.timeout);
		else
			snprintf(killed, sizeof killed,
				"killed: the guest did not power off in time");
		vm->stop.left = leave;
		if (leave) {
			vm->st.want = VM_WANT_RUNNING;
			vm->st.last = VM_LAST_UP;
		}
		vm_event(vm, leave ? VM_EV_STOP_LEAVE : VM_EV_STOP_KILL,
			!leave		   ? killed
			: vm->mon.io_error ? "an i/o error stopped the guest"
					   : "guest ignored the power button");
		return;
	}
	if (daemon_now() >= vm->stop.deadline) {
		log_info(vm->name, "asking once more: this daemon was stopped, or the host slept");
		vm->stop.deadline = daemon_now() + VM_PRESS_SECONDS;
	}
	vm_power_button(vm);
}

void vm_kill_process(struct vm *vm)
{
	/* repeated request: the timer of the first one is still running */
	if (vm->proc.kill_sent && loop_timer_is_active(&vm->timer))
		return;
	if (vm->proc.kill_sent && !vm->proc.unkillable) {
		char why[256];

		vm->proc.unkillable = true;
		death_refused(vm->proc.pid, why, sizeof why);
		log_error(vm->name, "%s", why);
		vm->mon.unresponsive = 0; /* worse than what may have been reported before */
		vm_health(vm, false, why);
	}
	vm->proc.quit_sent = vm->proc.kill_sent = true;
	if (vm->st.ending == VM_END_NONE)
		vm->st.ending = VM_END_QUIT;
	if (vm->proc.pidfd < 0) { /* a part is still starting */
		vm_exited(vm);
		return;
	}
	vm_record_write(vm);
	pidfd_send_signal(vm->proc.pidfd, SIGKILL, NULL, 0);
	vm_arm(vm, VM_KILL_SECONDS);
}

/* A reply, or a lost connection: QEMU is flushing the disks. */
static void stop_on_quit(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;

	if (vm->st.state == VM_QUITTING && !vm->proc.kill_sent && (!e || e->class != ERR_TIMEOUT))
		vm_arm(vm, VM_QUIT_SECONDS);
}

void vm_quit(struct vm *vm)
{
	bool lives = vm->st.ending == VM_END_NONE && !vm->busy;

	if (!vm->mon.qmp || vm->mon.unresponsive > 0) {
		vm_kill_process(vm);
		return;
	}
	vm->proc.quit_sent = true;
	if (vm->st.ending == VM_END_NONE)
		vm->st.ending = VM_END_QUIT;
	vm_record_write(vm);
	vm_call(vm, "quit", NULL, stop_on_quit);
	/* a live guest that is cut off has flushed what it cares about; one that powered itself
	 * off, and a snapshot being written, get the longer timeout even if QEMU is silent */
	vm_arm(vm, lives ? VM_QUIT_REPLY_SECONDS : VM_QUIT_SECONDS);
}

void vm_start_timeout(struct vm *vm)
{
	const bool refused = vm->start->refused;
	enum vm_ending fault = VM_END_START_FAILED;
	struct err e = ERR_INIT;

	/* the jail reported an error but does not exit */
	if (refused)
		fault = start_jail_error(vm->start->refused, &e);
	else
		err_set(&e, ERR_QEMU_FAILED,
			"not up after %.0f s: still waiting for the %s; it was killed",
			(double)vm->proc.conf.timeout_start_ms / 1000, vm->start->step->name);
	vm_start_failed(vm, fault, &e);
	if (refused)
		start_close_jail(vm->start);
	vm_kill_process(vm);
}

/* The path in "Is another process using the image [PATH]?" */
static char *stop_image_path(const char *said)
{
	static const char before[] = "using the image [";
	const char *from = strstr(said, before), *end;

	from = from ? from + strlen(before) : NULL;
	end = from ? strstr(from, "]?") : NULL;
	return end ? xstrndup(from, (size_t)(end - from)) : NULL;
}

static bool stop_image_is_of(
	const struct conf_vm *c, const char *image_dir, const char *path, const char **disk)
{
	char buf[PATH_MAX];

	for (size_t i = 0; i < c->disks; i++) {
		const struct conf_disk *d = &c->disk[i];
		bool has = d->path && streq(device_disk_path(d, d->path, image_dir, buf), path);

		for (size_t k = 0; !has && k < d->base.n; k++)
			has = streq(device_disk_path(d, d->base.item[k], image_dir, buf), path);
		if (has) {
			*disk = d->id;
			return true;
		}
	}
	return false;
}

/* Does QEMU report that an image is in use? vmkeep-jail checks before and names the holder, but
 * two VMs that start at the same moment can both pass. Then QEMU's own locks decide, and its
 * message is compared with what we know; no image is opened. */
static bool stop_is_conflict(const struct vm *vm, const char *said, struct err *e)
{
	const struct daemon *d = vm->daemon;
	const char *lock = strstr(said, "Failed to get "), *disk = NULL, *ignored;
	_cleanup_(free_ptr) char *path = NULL;

	if (!lock || !strstr(lock, " lock"))
		return false;
	path = stop_image_path(lock);
	if (!path || !stop_image_is_of(&vm->proc.conf, d->image_dir, path, &disk)) {
		err_set(e, ERR_CONFLICT, "an image is in use by another process: %s", lock);
		return true;
	}
	err_set(e, ERR_CONFLICT, "disk '%s': %s is in use by another process", disk, path);
	for (size_t i = 0; i < d->vms->n; i++) {
		const struct vm *other = d->vms->vm[i];

		if (other != vm && other->proc.pid > 0 && vm_state_has_process(other->st.state) &&
			stop_image_is_of(&other->proc.conf, d->image_dir, path, &ignored))
			err_set(e, ERR_CONFLICT, "disk '%s': %s is in use by VM '%s' (pid %d)",
				disk, path, other->name, (int)other->proc.pid);
	}
	err_hint(e, "stop that first");
	return true;
}

/* Who is at fault that QEMU did not start. Its warnings count as well: they name missing CPU
 * features. */
static enum vm_ending stop_failed_start(struct vm *vm, const char *how, char **why, struct err *e)
{
	char said[SAID_MAX];
	size_t n = vm_parts_last_words(vm, said, sizeof said);
	bool host;

	free(*why);
	host = said_failure(said, n, how, why, e);
	said_hint_own(vm->proc.conf.args.n || vm->proc.conf.binary, how, *why, e);
	return host ? VM_END_HOST_CAUSE : VM_END_START_FAILED;
}

/* The process exited unexpectedly: find out why. */
static void stop_explain_end(struct vm *vm)
{
	_cleanup_(free_ptr) char *why = NULL;
	_cleanup_(free_ptr) char *tail = vm_last_words(vm, &why);
	struct err e = ERR_INIT;
	struct death death;
	char how[128];
	bool hinted;

	death_read(&death, vm->proc.pidfd, &vm->proc.oom, vm->proc.kill_sent);
	if (vm->st.ending != VM_END_NONE)
		return;
	if (vm->st.state == VM_GREETING && !vm->proc.is_child) {
		/* a jail does not become QEMU without the daemon that spawned it: start again */
		vm->st.ending = VM_END_QUIT;
	} else if (vm->st.state == VM_GREETING && stop_is_conflict(vm, tail, &e)) {
		vm_start_failed(vm, VM_END_HOST_CAUSE, &e);
	} else if (vm_state_is_starting(vm->st.state)) {
		if (vm->proc.accel == CONF_ACCEL_KVM)
			probes_kvm_doubt(vm->daemon->probes);
		death_how(&death, how, sizeof how);
		vm_start_failed(vm, stop_failed_start(vm, how, &why, &e), &e);
		/* the reason also has the fix, but not at the expense of the cause */
		hinted = *e.hint && strlen(why) + strlen(e.hint) + sizeof "start failed: ; " <
					    sizeof vm->st.reason;
		vm_set_reason(vm, "start failed: %s%s%s", *why ? why : how, hinted ? "; " : "",
			hinted ? e.hint : "");
	} else {
		vm->st.ending = VM_END_CRASH;
		death_text(&death, how, sizeof how);
		vm_set_reason(vm, "%s", how);
		if (*tail)
			log_warning(vm->name, "QEMU's final messages: %s", tail);
	}
}

static void stop_on_exit(struct ev_loop *ev, ev_io *w, int revents)
{
	struct vm *vm = w->data;

	ev_io_stop(ev, w);
	/* drain both sockets: final messages of the jail and QEMU may still be queued */
	if (vm->start && vm->start->on_exit)
		vm->start->on_exit(vm->start);
	/* until end of file, which closes it: SHUTDOWN may be queued behind many other events */
	for (int i = 0; vm->mon.qmp && i < LAST_TURNS; i++)
		qmp_take(vm->mon.qmp);
	stop_explain_end(vm);
	vm_exited(vm);
}

void vm_watch_process(struct vm *vm)
{
	ev_io_init(&vm->proc.exited, stop_on_exit, vm->proc.pidfd, EV_READ);
	vm->proc.exited.data = vm;
	ev_io_start(vm->daemon->loop.ev, &vm->proc.exited);
}
