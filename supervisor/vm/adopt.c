/* SPDX-License-Identifier: MIT */
/*
 * Adoption of processes started by a previous daemon. Pid, start time and boot id identify one
 * process forever; a pidfd keeps hold of it; its state is queried over QMP. Guests that exited
 * in the meantime are reported and cleaned up as usual.
 */
#include "supervisor/vm/adopt.h"

#include <fcntl.h>
#include <sys/pidfd.h>

#include "base/file.h"
#include "base/log.h"
#include "supervisor/core/sweeper.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/ended.h"
#include "supervisor/vm/found.h"
#include "supervisor/vm/lost.h"
#include "supervisor/vm/part.h"
#include "supervisor/vm/record.h"

static bool adopt_process(struct vm *vm, const struct record_process *p)
{
	if (!p->same_boot || p->pid <= 0)
		return false;
	vm->proc.pidfd = pidfd_open(p->pid, PIDFD_NONBLOCK);
	/* check after opening: a process that reused the pid would have a later start time */
	if (vm->proc.pidfd < 0 || !proc_is(p->pid, p->starttime)) {
		close_fd(&vm->proc.pidfd);
		return false;
	}
	vm->proc.pid = p->pid;
	vm->proc.starttime = p->starttime;
	vm->proc.is_child = false;
	return true;
}

/* Only an operation wanted that process, and the operation died with its daemon. */
static void adopt_end_servant(struct vm *vm)
{
	_cleanup_(free_ptr) char *serves = xstrdup(vm->st.serves);

	vm->st.want = VM_WANT_STOPPED;
	log_warning(vm->name, "was started for %s, which was interrupted: ending it", serves);
	vm_history(vm, "kill", NULL, serves);
	vm_event(vm, VM_EV_KILL, "killed");
}

/* Whether the taps are on their bridges is checked once the monitor answers, which may take
 * long. */
static void adopt_hold_nics(struct vm *vm)
{
	for (size_t i = 0; i < vm->proc.nics; i++)
		networks_hold(vm->daemon->networks, &vm->proc.nic[i].net, &vm->proc.nic[i].tap);
}

static void adopt_running(struct vm *vm, const struct record_process *p)
{
	_cleanup_(free_ptr) char *reason = vm->st.reason[0] ? xstrdup(vm->st.reason) : NULL;

	log_info(vm->name, "adopted, pid %d", (int)vm->proc.pid);
	/* unless we asked for the end, the status query will find it */
	if (!vm->proc.quit_sent)
		vm->st.ending = VM_END_NONE;
	vm_watch_process(vm);
	adopt_hold_nics(vm);
	free_ptr(&vm->start_error);
	vm->st.missed = false;
	if (vm->st.want != VM_WANT_STOPPED && !vm->st.serves[0])
		vm->st.last = VM_LAST_UP;
	vm->adopting = true;
	vm_event(vm,
		p->early		? VM_EV_ADOPT_EARLY
		: p->state == VM_PAUSED ? VM_EV_ADOPT_PAUSED
					: VM_EV_ADOPT,
		reason);
	vm->adopting = false;
	vm_history(vm, "adopted", NULL, NULL);
	vm_parts_attach(vm, VM_ATTACH_ADOPTED);
	if (p->state == VM_QUITTING)
		vm_event(vm, VM_EV_KILL, NULL);
	else if (vm->st.serves[0])
		adopt_end_servant(vm);
	else if (p->state == VM_STOPPING || vm->st.want == VM_WANT_RESTART)
		vm_event(vm, VM_EV_STOP, NULL);
}

/* Nobody saw how it ended. A power-off leaves a tombstone, so this was a crash, a kill, or our
 * own quit. */
static void adopt_explain_end(struct vm *vm, const struct record_process *p)
{
	if (!p->same_boot) {
		/* Enable= decides whether it starts at boot */
		vm->st.want = VM_WANT_STOPPED;
		vm->st.ending = VM_END_HOST_DOWN;
		log_info(vm->name, "was running when the host shut down");
	} else if (vm->proc.quit_sent || p->early) {
		/* an interrupted start is repeated, with no requester left */
		vm->st.by_policy |= p->early;
		if (vm->st.ending == VM_END_NONE)
			vm->st.ending = VM_END_QUIT;
	} else {
		vm->st.ending = VM_END_CRASH;
		vm_set_reason(vm, "crashed: it ended while no daemon was running");
	}
	/* output written in the meantime */
	if (p->same_boot && !p->early)
		vm_parts_attach(vm, VM_ATTACH_LEFT);
	vm_exited(vm);
}

/* No process: policy continues where it was. */
static void adopt_resting(struct vm *vm, const struct record_process *p)
{
	if (!p->same_boot || vm->file.orphan) {
		vm->st.want = VM_WANT_STOPPED;
		vm_run_dir_remove(vm);
		return;
	}
	vm->adopting = true;
	vm_event(vm, p->state == VM_FAILED ? VM_EV_GONE_FAIL : VM_EV_GONE_RESTART, NULL);
	vm->adopting = false;
	vm_enter_backoff(vm);
}

/* After a downgrade. Monitor and files belong to the newer vmkeep, which will adopt the process
 * later. We neither read nor write anything of it, but report it as running and can kill it. */
static bool adopt_newer(struct vm *vm, const struct record_process *p, const struct err *e)
{
	const struct record_process process = {
		.pid = p->pid, .starttime = p->starttime, .same_boot = true
	};
	_cleanup_(free_ptr) char *why = xasprintf("%s: this version can only kill it", e->text);

	close_fd(&vm->proc.run_fd);
	if (!adopt_process(vm, &process))
		return false;
	log_error(vm->name, "%s, and its process %d is running: left alone", e->text,
		(int)vm->proc.pid);
	lost_unknown(vm);
	vm->st.ending = VM_END_NONE;
	vm_watch_process(vm);
	adopt_hold_nics(vm);
	vm->st.want = VM_WANT_RUNNING;
	vm->adopting = true;
	vm_event(vm, VM_EV_ADOPT, why);
	vm->adopting = false;
	vm_health(vm, false, why);
	return true;
}

/* It is alive, but nothing except the record says that it belongs to the VM: leave it alone, and
 * start nothing beside it. */
static void adopt_hold(struct vm *vm, const struct record_process *p, const struct err *e)
{
	vm->held.why = xasprintf("%s, and its process %d is running", e->text, (int)p->pid);
	vm->held.pid = p->pid;
	vm->held.starttime = p->starttime;
	vm->st.ending = VM_END_NONE;
	vm_set_reason(vm, "%s", vm->held.why);
	log_error(vm->name, "%s: left alone", vm->held.why);
	close_fd(&vm->proc.run_fd);
}

/* Adopts a process without a record, and writes one. */
static void adopt_lost(struct vm *vm, const struct found_process *p)
{
	const struct record_process process = {
		.pid = p->pid, .starttime = p->starttime, .same_boot = true, .early = p->early
	};
	struct err e = ERR_INIT, hostile = ERR_INIT;

	if (vm_run_dir(vm, &e) < 0)
		log_error(vm->name, "%s", e.text);
	log_error(vm->name, "its run record is lost, but its process %d is running: adopted",
		(int)p->pid);
	vm->proc.pid = p->pid;
	vm->proc.starttime = p->starttime;
	lost_record(vm);
	if (p->hostile) {
		err_set(&hostile, ERR_QEMU_FAILED, "its QEMU claims to be VM '%s' (uuid %s)",
			p->is.name, p->is.uuid);
		vm_quarantine(vm, &hostile);
	}
	if (adopt_process(vm, &process)) {
		adopt_running(vm, &process);
		return;
	}
	vm->proc.pid = 0;
	vm_free_nics(vm);
	vm_run_dir_remove(vm);
}

void adopt_unrecorded(struct vm *vm)
{
	const uid_t uid = vm->identity.uid;
	const struct found_process *p;
	struct found f;

	if (!vm_state_is_down(vm->st.state) || !uid || !found_uid_lives(uid))
		return;
	/* a newer vmkeep owns that process: see adopt_newer() */
	if (vm->held.why && proc_is(vm->held.pid, vm->held.starttime))
		return;
	found_pass(&f, vm->daemon->vms, uid);
	found_choose(&f);
	p = found_of(&f, vm->name);
	if (p) {
		if (vm->st.state != VM_STOPPED)
			vm_event(vm, VM_EV_STOP, "");
		adopt_lost(vm, p);
	}
	found_release(&f);
}

/* Acts on a record without a process. */
static void adopt_ended(struct vm *vm, const struct record_process *p, const struct err *e)
{
	if (e->number) {
		log_error(vm->name, "%s: set aside", e->text);
		renameat(vm->proc.run_fd, "record.json", vm->proc.run_fd, "record.json.damaged");
		close_fd(&vm->proc.run_fd);
	} else if (p->state == VM_BACKOFF || p->state == VM_FAILED) {
		adopt_resting(vm, p);
	} else {
		adopt_explain_end(vm, p);
	}
}

/* A record without a living process: decided once all records with one are known. */
struct adopt_rest {
	struct vm *vm;
	struct record_process p;
	struct err e;
	bool missing; /* no record */
};

struct adopt {
	struct vms *vms;
	struct found found;
	struct adopt_rest *rest;
	size_t n;
};

static void adopt_rest(struct adopt *a, const struct adopt_rest *rest)
{
	a->rest = xrealloc(a->rest, a->n + 1, sizeof *a->rest);
	a->rest[a->n++] = *rest;
}

static void adopt_one(struct adopt *a, struct vm *vm, int run_fd)
{
	struct adopt_rest rest = { .vm = vm, .e = ERR_INIT };
	struct found_process *p;

	vm->proc.run_fd = run_fd;
	vm->file.orphan = !vm->file.stamp;
	/* its daemon died before there was anything to record, or the record was lost */
	rest.missing = faccessat(run_fd, "record.json", F_OK, AT_SYMLINK_NOFOLLOW) < 0;
	if (!rest.missing)
		vm_record_read(vm, &rest.p, &rest.e);
	if (rest.missing || rest.e.number || rest.p.state == VM_BACKOFF ||
		rest.p.state == VM_FAILED || !adopt_process(vm, &rest.p)) {
		adopt_rest(a, &rest);
	} else {
		p = found_pid(&a->found, vm->proc.pid);
		if (p)
			p->known = true;
		lost_repair(vm);
		adopt_running(vm, &rest.p);
	}
}

/* A new run directory that its daemon did not live to put in place. */
static void adopt_sweep_new(struct vms *vms, const char *name)
{
	_cleanup_(free_ptr) char *path = vm_path(name, NULL);
	struct err e = ERR_INIT;

	if (strncmp(name, VM_RUN_NEW, strlen(VM_RUN_NEW)) != 0 || streq(name, ".") ||
		streq(name, ".."))
		return;
	if (sweeper_take(vms->daemon->sweeper, path, &e) < 0)
		log_warning(NULL, "%s", e.text);
}

/* If RUN/vms is a file or a link, it contains nothing of ours: replaced. */
static DIR *adopt_open_all(struct daemon *d)
{
	DIR *dir = file_open_dir(d->dirs.run_fd, "vms", O_NOFOLLOW);
	struct err e = ERR_INIT;

	if (dir || sweeper_take(d->sweeper, "vms", &e) < 0 ||
		mkdirat(d->dirs.run_fd, "vms", 0700) < 0)
		return dir;
	return file_open_dir(d->dirs.run_fd, "vms", O_NOFOLLOW);
}

static void adopt_records(struct adopt *a)
{
	_cleanup_(close_dir) DIR *dir = adopt_open_all(a->vms->daemon);

	for (const struct dirent *d; dir && (d = readdir(dir));) {
		int run_fd;

		if (!conf_name_ok(d->d_name)) {
			adopt_sweep_new(a->vms, d->d_name);
			continue;
		}
		run_fd = openat(
			dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (run_fd < 0)
			continue;
		adopt_one(a, vms_add(a->vms, d->d_name), run_fd);
	}
}

/* A running process outweighs any record. */
static void adopt_rests(struct adopt *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct adopt_rest *rest = &a->rest[i];
		struct found_process *p = found_of(&a->found, rest->vm->name);

		if (p && rest->p.newer && p->pid == rest->p.pid &&
			p->starttime == rest->p.starttime &&
			adopt_newer(rest->vm, &rest->p, &rest->e)) {
			p->known = true;
			continue;
		}
		if (p) {
			if (rest->e.number)
				log_error(rest->vm->name, "%s", rest->e.text);
			continue; /* handled by adopt_found() */
		}
		p = found_pid(&a->found, rest->p.pid);
		if (rest->missing)
			vm_run_dir_remove(rest->vm);
		else if (rest->e.number && proc_is(rest->p.pid, rest->p.starttime) &&
			 !(p && p->known))
			adopt_hold(rest->vm, &rest->p,
				&rest->e); /* nothing but its record claims the process */
		else
			adopt_ended(rest->vm, &rest->p, &rest->e);
	}
}

static void adopt_found(struct adopt *a)
{
	for (size_t i = 0; i < a->found.n; i++) {
		const struct found_process *p = &a->found.at[i];
		struct vm *vm;

		if (!p->owner[0] || p->known || found_of(&a->found, p->owner) != p)
			continue;
		vm = vms_add(a->vms, p->owner);
		if (vm_state_has_process(vm->st.state) || vm->held.why) {
			log_error(vm->name, "has a second process %d: left alone", (int)p->pid);
			continue;
		}
		vm->file.orphan = !vm->file.stamp;
		adopt_lost(vm, p);
	}
}

/* What ended.json told, now that it is known which VMs have a process. */
static void adopt_settle(struct vm *vm)
{
	const bool unseen = vm->st.noted_up, failed = vm->st.gave_up;

	vm->st.gave_up = false;
	if (vm->st.state != VM_STOPPED || vm->held.why)
		return;
	if (unseen) {
		log_info(vm->name, "ended unseen: %s", vm->st.reason);
		vm_history(vm, "stopped", NULL, vm->st.reason);
		ended_save(vm);
	} else if (failed && !vm->file.orphan) {
		vm->adopting = true;
		vm_event(vm, VM_EV_GONE_FAIL, NULL);
		vm->adopting = false;
		vm_enter_backoff(vm);
	}
}

void vms_adopt(struct vms *vms)
{
	struct adopt a = { .vms = vms };

	found_pass(&a.found, vms, 0);
	adopt_records(&a);
	found_choose(&a.found);
	adopt_rests(&a);
	adopt_found(&a);
	for (size_t i = 0; i < vms->n; i++)
		adopt_settle(vms->vm[i]);
	found_release(&a.found);
	free(a.rest);
	/* orphans that have ended are removed at the next refresh */
	vms->changed = true;
}
