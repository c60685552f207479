/* SPDX-License-Identifier: MIT */
/*
 * The steps of a start that create the process: sockets that we bind, a QMP connection before
 * QEMU exists, taps, and vmkeep-jail with its plan. They are short and synchronous. Afterwards
 * the start holds only a timeout and three fds.
 */
#include "supervisor/start/start.h"

#include <fcntl.h>
#include <limits.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/qemu/argv.h"
#include "supervisor/qemu/device.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/kept.h"
#include "supervisor/vm/record.h"
#include "supervisor/vm/uuid.h"

int start_run_dir(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;

	vm->proc.started = clock_wall();
	vm->proc.started_boot = clock_boot();
	vm->proc.begun = daemon_now();
	vm->proc.pid = 0;
	vm_arm_start(vm);
	if (vm_run_dir_may(vm, e) < 0 || vm_record_begin(vm, e) < 0)
		return e->number;
	if (mkdirat(vm->proc.run_fd, "root", 0755) == 0)
		return STEP_DONE;
	return err_errno(e, "create directory '%s/vms/%s/root'", vm->daemon->dirs.run, vm->name);
}

int start_socket(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;
	int fd = fd_list_add(&s->fds, vm_socket_listen(vm, "qmp.sock", e), ARGV_FD_QMP);

	if (fd == 0)
		fd = vm_socket_connect(vm, "qmp.sock", e);
	if (fd < 0)
		return fd;
	vm->mon.qmp = qmp_new(vm->daemon->loop.ev, fd, vm_start_left(vm), &vm_qmp_handlers, vm);
	return STEP_DONE;
}

/* One after the other; a part that had to wait is called again. */
int start_parts(struct vm_start *s, struct err *e)
{
	const struct daemon *d = s->vm->daemon;
	int r = STEP_DONE;

	for (; r == STEP_DONE && s->part < d->n_parts; s->part += r == STEP_DONE)
		if (d->parts[s->part]->start)
			r = d->parts[s->part]->start(s->vm, &s->vm->part[s->part], &s->fds, e);
	return r;
}

int start_taps(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;

	for (size_t i = 0; i < vm->proc.nics; i++) {
		struct vm_nic *n = &vm->proc.nic[i];
		int fd, r = networks_tap(vm->daemon->networks, &n->net, &n->tap, &fd, e);

		if (r < 0)
			return err_wrap(e, r, "nic '%s'", n->net.nic);
		fd_list_add(&s->fds, fd, argv_fd_tap(i));
	}
	return STEP_DONE;
}

/* Before there is a process, so that the next daemon finds whatever is created. */
int start_record(struct vm_start *s, struct err *e)
{
	int r = kept_save(s->vm, e);

	return r < 0 ? r : vm_record_save(s->vm, e);
}

/* --- the jail --- */

static void start_spawn_jail_on_error(struct vm *vm, const json_t *error)
{
	struct err e = ERR_INIT;
	const enum vm_ending fault = start_jail_error(error, &e);

	vm_start_failed(vm, fault, &e);
}

static void start_spawn_jail_note_created(struct vm *vm, const char *id)
{
	char size[24];

	for (size_t i = 0; i < vm->proc.conf.disks; i++)
		if (streq(vm->proc.conf.disk[i].id, id))
			vm_note(vm, "disk-created", "disk %s created, %s", id,
				text_size_exact(size, sizeof size, vm->proc.conf.disk[i].size));
}

/* The jail reports that the identity is safely on disk, with the creation time of new images and
 * the time at which it saw all of them. */
static void start_spawn_jail_on_kept(struct vm_start *s, const json_t *kept)
{
	struct vm *vm = s->vm;
	char path[PATH_MAX];
	json_t *disk;
	size_t i;

	json_array_foreach (json_object_get(kept, "disks"), i, disk) {
		const char *id = json_string_value(json_object_get(disk, "id"));
		struct identity_disk *d = identity_disk(&vm->identity, id);

		if (d)
			d->created = json_integer_value(json_object_get(disk, "created"));
		start_spawn_jail_note_created(vm, id);
	}
	for (i = 0; i < vm->proc.conf.disks; i++)
		if (vm->proc.conf.disk[i].path && !vm->proc.conf.disk[i].cdrom)
			identity_saw(&vm->identity,
				device_disk_path(&vm->proc.conf.disk[i], vm->proc.conf.disk[i].path,
					vm->daemon->image_dir, path),
				json_integer_value(json_object_get(kept, "seen")));
	if (json_object_get(kept, "bases"))
		identity_read_bases(&vm->identity, json_object_get(kept, "bases"));
	if (vm_is_forgotten(vm, &vm->file.conf))
		vm_note(vm, "new-identity", "%s", VM_FORGOTTEN);
	vm->identity.kept = true;
	s->unkept = false;
}

/* The jail reports what it saved, then an error or its upcoming exec; end of file without an
 * error means that the exec happened. */
static void start_spawn_jail_parse_line(void *data, const json_t *doc)
{
	const json_t *error = json_object_get(doc, "error"), *kept = json_object_get(doc, "kept");
	struct vm_start *s = data;

	if (error) {
		json_decref(s->refused);
		s->refused = json_deep_copy(error);
	}
	if (kept)
		start_spawn_jail_on_kept(s, kept);
	s->prepared = !error && (s->prepared || json_object_get(doc, "prepared"));
}

static void start_spawn_jail_finish(struct vm_start *s)
{
	if (s->plan_fd < 0 ||
		confine_read(s->plan_fd, &s->reply, NULL, start_spawn_jail_parse_line, s))
		return;
	if (s->refused)
		start_spawn_jail_on_error(s->vm, s->refused);
	start_close_jail(s);
	/* if the monitor answered in the same loop iteration, the start is already past this
	 * step */
	if (s->prepared && s->step->run == start_jail)
		start_next(s);
}

static void start_spawn_jail_on_reply(struct ev_loop *ev, ev_io *w, int revents)
{
	start_spawn_jail_finish(w->data);
}

static int start_spawn_jail_run(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;
	const char *argv[] = { vm->daemon->jail, vm->name, NULL };
	struct confine_process jail = { .pidfd = -1, .sock = -1 };
	int output = -1, r;

	for (size_t i = 0; i < s->fds.n; i++)
		if (s->fds.number[i] == STDERR_FILENO)
			output = s->fds.fd[i];
	r = confine_spawn(&jail, argv, s->plan, s->fds.fd, s->fds.n, output, e);
	s->plan = NULL;
	if (r < 0)
		return err_class(e, ERR_QEMU_FAILED);
	s->plan_fd = jail.sock;
	vm->proc.pid = jail.pid;
	vm->proc.pidfd = jail.pidfd;
	vm->proc.is_child = true;
	vm->proc.starttime = proc_starttime(vm->proc.pid);
	/* The jail waits for confine_go(), so a daemon that dies here leaves no unrecorded
	 * process. If the jail is gone already, its pidfd tells. */
	r = vm_record_save(vm, e);
	if (r < 0)
		return r;
	confine_go(s->plan_fd);
	s->unkept = vm->identity.dirty;
	vm->identity.dirty = false; /* later changes are not in the plan */
	s->on_exit = start_spawn_jail_finish;
	ev_io_init(&s->plan_io, start_spawn_jail_on_reply, s->plan_fd, EV_READ);
	s->plan_io.data = s;
	ev_io_start(vm->daemon->loop.ev, &s->plan_io);
	return 0;
}

int start_jail(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;
	int r = start_spawn_jail_run(s, e);

	fd_list_release(&s->fds);
	if (vm->proc.pidfd >= 0)
		vm_watch_process(vm); /* even if the jail did not get the whole plan */
	if (r < 0) {
		start_close_jail(s);
		return r;
	}
	vm_parts_attach(vm, VM_ATTACH_FRESH);
	return STEP_WAITS;
}
