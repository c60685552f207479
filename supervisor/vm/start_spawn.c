/* SPDX-License-Identifier: MIT */
/*
 * From PREPARED to a QEMU under way: sockets that we bind, our own QMP connection before QEMU exists,
 * taps, files, and vmkeep-jail with its plan. Synchronous and short; then the daemon holds a deadline
 * and three descriptors, nothing else.
 */
#include "supervisor/vm/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/jail/plan.h"
#include "supervisor/qemu/argv.h"
#include "supervisor/qemu/device.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/kept.h"
#include "supervisor/vm/part.h"
#include "supervisor/vm/record.h"
#include "supervisor/vm/uuid.h"

enum { PLAN_REPLY_MAX = 64 << 10, READS = 64 /* in a turn: more than a socket holds */ };

struct vm_launch {
	struct vm *vm;
	int plan_fd;
	ev_io io;
	struct buf reply;
	bool prepared;
	bool unkept; /* the identity had changed, and the jail has not said yet that it is on disk */
};

static int make_run_dir(struct vm *vm, struct err *e)
{
	if (vm_record_begin(vm, e) < 0)
		return e->number;
	if (mkdirat(vm->proc.run_fd, "root", 0755) < 0)
		return err_errno(e, "make directory '%s/vms/%s/root'", vm->daemon->dirs.run, vm->name);
	return 0;
}

static int make_monitor(struct vm *vm, struct fd_list *b, struct err *e)
{
	int fd = vm_socket_listen(vm, "qmp.sock", e);

	if (fd < 0)
		return fd;
	fd_list_add(b, fd, ARGV_FD_QMP);
	fd = vm_socket_connect(vm, "qmp.sock", e);
	if (fd < 0)
		return fd;
	vm->mon.qmp = qmp_new(vm->daemon->loop.ev, fd, vm_start_left(vm), &vm_qmp_handlers, vm);
	return 0;
}

static int make_taps(struct vm *vm, struct fd_list *b, struct err *e)
{
	for (size_t i = 0; i < vm->proc.nics; i++) {
		struct network_nic nic = vm_network_nic(vm, &vm->proc.nic[i]);
		int fd, r = networks_tap(vm->daemon->networks, &nic, &vm->proc.nic[i].tap, &fd, e);

		if (r < 0)
			return err_wrap(e, r, "nic '%s'", vm->proc.nic[i].id);
		fd_list_add(b, fd, argv_fd_tap(i));
	}
	return 0;
}

static void take_error(struct vm *vm, const json_t *error)
{
	struct err e = ERR_INIT;

	confine_error(error, &e);
	vm_start_failed(vm, VM_END_HOST_CAUSE, &e);
}

static void tell_created(struct vm *vm, const char *id)
{
	char size[24];

	for (size_t i = 0; i < vm->proc.conf.disks; i++)
		if (streq(vm->proc.conf.disk[i].id, id))
			vm_note(vm, "disk-created", "disk %s created, %s", id,
				text_size_exact(size, sizeof size, vm->proc.conf.disk[i].size));
}

/* The jail has it safely on disk, with the time at which it made images, and saw all. */
static void take_kept(struct vm_launch *l, const json_t *kept)
{
	struct vm *vm = l->vm;
	char path[PATH_MAX];
	json_t *disk;
	size_t i;

	json_array_foreach (json_object_get(kept, "disks"), i, disk) {
		const char *id = json_string_value(json_object_get(disk, "id"));
		struct identity_disk *d = identity_disk(&vm->identity, id);

		if (d)
			d->created = json_integer_value(json_object_get(disk, "created"));
		tell_created(vm, id);
	}
	for (i = 0; i < vm->proc.conf.disks; i++)
		if (vm->proc.conf.disk[i].path && !vm->proc.conf.disk[i].cdrom)
			identity_saw(&vm->identity,
				device_disk_path(&vm->proc.conf.disk[i], vm->daemon->image_dir, path),
				json_integer_value(json_object_get(kept, "seen")));
	if (vm_is_forgotten(vm, &vm->file.conf))
		vm_note(vm, "new-identity", "%s", VM_FORGOTTEN);
	vm->identity.kept = true;
	l->unkept = false;
}

/* The jail says what it kept, and why it failed or that exec comes next; end of file without an error
 * means that it happened. */
static void take_reply(struct vm_launch *l)
{
	bool failed = false;

	for (char *line = l->reply.data; line && *line;) {
		char *end = strchrnul(line, '\n');
		json_t *doc = json_loadb(line, (size_t)(end - line), 0, NULL);
		const json_t *error = json_object_get(doc, "error");
		const json_t *kept = json_object_get(doc, "kept");

		if (error)
			take_error(l->vm, error);
		if (kept)
			take_kept(l, kept);
		failed |= error != NULL;
		l->prepared |= json_object_get(doc, "prepared") != NULL;
		json_decref(doc);
		line = *end ? end + 1 : end;
	}
	l->prepared &= !failed;
}

static void launch_free(struct vm_launch *l)
{
	ev_io_stop(l->vm->daemon->loop.ev, &l->io);
	l->vm->identity.dirty |= l->unkept;
	close_fd(&l->plan_fd);
	buf_release(&l->reply);
	free(l);
}

void vm_launch_cancel(struct vm *vm)
{
	if (!vm->launch)
		return;
	launch_free(vm->launch);
	vm->launch = NULL;
}

/* Reads what is there; true at end of file. */
static bool drain_plan(struct vm_launch *l)
{
	char chunk[4096];
	ssize_t n = 1;

	for (int i = 0; i < READS && (n = read(l->plan_fd, chunk, sizeof chunk)) > 0; i++)
		buf_add(&l->reply, chunk, (size_t)n);
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

void vm_launch_finish(struct vm *vm)
{
	struct vm_launch *l = vm->launch;
	bool prepared;

	if (!l || !drain_plan(l))
		return;
	take_reply(l);
	prepared = l->prepared;
	vm_launch_cancel(vm);
	if (prepared)
		vm_event(vm, VM_EV_EXECUTED, NULL);
}

static void on_plan(struct ev_loop *ev, ev_io *w, int revents)
{
	struct vm_launch *l = w->data;

	(void)ev, (void)revents;
	vm_launch_finish(l->vm);
}

static int run_jail(struct vm *vm, const struct fd_list *b, const struct buf *plan, struct err *e)
{
	_cleanup_(close_fd) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char *argv[] = { vm->daemon->jail, vm->name, NULL };
	struct child_fd fds[4] = { { null, 0 }, { null, 1 }, { -1, 2 }, { -1, PLAN_FD } };
	struct vm_launch *l;
	int pair[2], r;

	for (size_t i = 0; i < b->n; i++)
		if (b->number[i] == STDERR_FILENO)
			fds[2].from = b->fd[i];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, "socket pair");
	fds[3].from = pair[1];
	r = confine_write(pair[0], plan->data, plan->len, b->fd, b->n, e);
	if (r == 0)
		r = child_spawn(argv, NULL, fds, ARRAY_SIZE(fds), &vm->proc.pid, &vm->proc.pidfd, e);
	if (r < 0)
		err_class(e, ERR_QEMU_FAILED);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		return r;
	}
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	vm->proc.is_child = true;
	vm->proc.starttime = proc_starttime(vm->proc.pid);
	/* The jail acts on a whole line, and this is its end: a daemon that dies before it leaves no
	 * process that nobody knows of. A jail that is gone already is told by its pidfd. */
	r = vm_record_save(vm, e);
	if (r < 0) {
		close(pair[0]);
		return r;
	}
	send(pair[0], "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	l = vm->launch = xcalloc(1, sizeof *l);
	*l = (struct vm_launch){ .vm = vm,
		.plan_fd = pair[0],
		.reply = BUF_MAX(PLAN_REPLY_MAX),
		.unkept = vm->identity.dirty };
	vm->identity.dirty = false; /* what changes from now on is not in the plan */
	ev_io_init(&l->io, on_plan, l->plan_fd, EV_READ);
	l->io.data = l;
	ev_io_start(vm->daemon->loop.ev, &l->io);
	return 0;
}

static int spawn(struct vm *vm, struct fd_list *b, struct buf *plan, struct err *e)
{
	int r = make_run_dir(vm, e);

	if (r == 0)
		r = make_monitor(vm, b, e);
	if (r == 0)
		r = vm_parts_start(vm, b, e);
	if (r == 0)
		r = make_taps(vm, b, e);
	/* where the jail keeps the identity */
	if (r == 0 && vm_state_dir(vm, e) < 0)
		r = e->number;
	if (r == 0)
		r = vm_plan(vm, b->number, b->n, plan, e);
	if (r == 0)
		r = kept_save(vm, e);
	if (r == 0)
		r = vm_record_save(vm, e);
	return r < 0 ? r : run_jail(vm, b, plan, e);
}

void vm_spawn(struct vm *vm)
{
	struct fd_list b = { .n = 0 };
	struct buf plan = BUF_MAX(PLAN_MAX);
	struct err e = ERR_INIT;
	int r;

	vm->proc.started = clock_wall();
	vm->proc.started_boot = clock_boot();
	vm->proc.begun = daemon_now();
	vm->proc.pid = 0;
	r = spawn(vm, &b, &plan, &e);
	fd_list_release(&b);
	buf_release(&plan);
	vm_prepare_cancel(vm);
	if (vm->proc.pidfd >= 0)
		vm_watch_process(vm); /* also of a jail that got no whole plan */
	if (r < 0) {
		vm_start_fail(vm, VM_END_HOST_CAUSE, &e);
		return;
	}
	vm_parts_attach(vm, VM_ATTACH_FRESH);
	if (vm->proc.conf.timeout_start_ms != UINT64_MAX)
		vm_arm(vm, (double)vm->proc.conf.timeout_start_ms / 1000);
	vm_arm_start(vm);
}
