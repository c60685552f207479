/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/enter.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "supervisor/core/confine.h"
#include "supervisor/jail/plan.h"

enum { ENTER_FILES_MAX = 256, ENTER_LINE_MAX = 64 << 10 };
static const double ENTER_SECONDS = 60; /* of which it may do nothing */

struct enter {
	struct ev_loop *ev;
	struct confined *process; /* NULL: it has ended */
	int sock;
	ev_io said;
	struct buf line;
	int fd[PLAN_FDS_MAX];
	struct file_fds got; /* in fd */
	int lock[ENTER_FILES_MAX];
	json_t *kept;
	bool in, told, ours; /* ours: its user has not let it go */
	struct err error;
	enter_fn *done;
	void *data;
	void (*dropped)(void *data);
};

/* --- the plan --- */

static json_t *enter_plan(
	struct vm *vm, const char *role, json_t *files, json_t *identity, size_t n_fds)
{
	json_t *numbers = json_array();

	for (size_t i = 0; i < n_fds; i++)
		json_array_append_new(numbers, json_integer((json_int_t)i));
	return json_pack("{s:i, s:s, s:s, s:I, s:s, s:o, s:o, s:i, s:o*}", "version", PLAN_VERSION,
		"role", role, "name", vm->name, "uid", (json_int_t)vm->identity.uid, "root",
		vm->daemon->dirs.run, "fds", numbers, "files", files, "qemu", (int)vm->proc.pid,
		"identity", identity);
}

static struct confined *enter_spawn(struct vm *vm, const char *role, json_t *files /* stolen */,
	json_t *identity /* stolen */, confined_fn *done, void *data, struct err *e)
{
	const int fds[] = { vm->proc.mounts, vm->proc.pidfd };
	const struct child_options o = { .timeout = ENTER_SECONDS, .while_idle = true };
	json_t *plan;

	if (fds[0] < 0 || fds[1] < 0) {
		json_decref(files);
		json_decref(identity);
		err_set(e, ERR_FAILED, "its private root cannot be reached");
		return NULL;
	}
	plan = enter_plan(vm, role, files, identity, ARRAY_SIZE(fds));
	return confine_run(vm->daemon->loop.ev, vm->daemon->jail, plan, fds, ARRAY_SIZE(fds), &o,
		done, data, e);
}

/* --- what it says --- */

static void enter_free(struct enter *x)
{
	if (x->ours || x->process)
		return;
	for (size_t i = 0; i < x->got.n; i++)
		close_fd(&x->fd[i]);
	json_decref(x->kept);
	buf_release(&x->line);
	if (x->dropped)
		x->dropped(x->data);
	free(x);
}

static void enter_hang_up(struct enter *x)
{
	if (x->sock < 0)
		return;
	ev_io_stop(x->ev, &x->said);
	close_fd(&x->sock);
}

static void enter_take_locks(struct enter *x, const json_t *locks)
{
	for (size_t i = 0; i < json_array_size(locks) && i < x->got.n; i++) {
		json_int_t at = json_integer_value(json_array_get(locks, i));

		if (at >= 0 && at < ENTER_FILES_MAX)
			x->lock[at] = x->fd[i];
	}
}

static void enter_on_line(void *data, const json_t *doc)
{
	const json_t *entered = json_object_get(doc, "entered"),
		     *error = json_object_get(doc, "error");
	struct enter *x = data;

	if (error && !x->error.number)
		confine_error(error, &x->error);
	if (json_object_get(doc, "kept")) {
		json_decref(x->kept);
		x->kept = json_incref(json_object_get(doc, "kept"));
	}
	if (entered)
		enter_take_locks(x, json_object_get(entered, "locks"));
	x->in |= json_object_get(doc, "prepared") && !x->error.number;
}

static void enter_tell(struct enter *x)
{
	enter_fn *done = x->done;

	if (x->told || !x->ours)
		return;
	x->told = true;
	if (x->in) {
		done(x->data, x, x->lock, NULL);
		return;
	}
	if (!x->error.number)
		err_set(&x->error, ERR_FAILED, "vmkeep-jail ended without an answer");
	x->ours = false;
	done(x->data, NULL, NULL, &x->error);
}

/* Without its lock no file may stay. */
static bool enter_read(struct enter *x)
{
	const bool goes_on = confine_read(x->sock, &x->line, &x->got, enter_on_line, x);

	if (x->got.lost && !x->error.number)
		err_set(&x->error, ERR_NO_RESOURCES, "vmkeepd has too many open files");
	return goes_on;
}

static void enter_on_said(struct ev_loop *ev, ev_io *w, int revents)
{
	struct enter *x = w->data;

	if (!enter_read(x) && x->process) {
		ev_io_stop(ev, w); /* its end follows */
		shutdown(x->sock, SHUT_WR);
	}
	if (x->in)
		enter_tell(x);
}

static void enter_on_end(void *data, const struct child_result *r, const struct err *e)
{
	struct enter *x = data;

	x->process = NULL;
	if (x->sock >= 0 && !x->told)
		enter_read(x);
	if (e && !x->error.number)
		err_copy(&x->error, e);
	if (r->status == -ETIMEDOUT && !x->error.number)
		err_set(&x->error, ERR_TIMEOUT,
			"the file could not be opened within %g s: is its storage hanging?",
			ENTER_SECONDS);
	enter_hang_up(x);
	enter_tell(x);
	enter_free(x);
}

struct enter *enter_begin(
	struct vm *vm, json_t *files, json_t *identity, enter_fn *done, void *data, struct err *e)
{
	struct enter *x = xcalloc(1, sizeof *x);

	*x = (struct enter){ .ev = vm->daemon->loop.ev,
		.sock = -1,
		.ours = true,
		.line = BUF_MAX(ENTER_LINE_MAX),
		.got = { .fd = x->fd, .max = PLAN_FDS_MAX },
		.done = done,
		.data = data };
	for (size_t i = 0; i < ENTER_FILES_MAX; i++)
		x->lock[i] = -1;
	x->process = enter_spawn(vm, "enter", files, identity, enter_on_end, x, e);
	if (!x->process) {
		x->ours = false;
		enter_free(x);
		return NULL;
	}
	x->sock = confine_socket(x->process);
	ev_io_init(&x->said, enter_on_said, x->sock, EV_READ);
	x->said.data = x;
	ev_io_start(x->ev, &x->said);
	return x;
}

const json_t *enter_kept(const struct enter *x)
{
	return x->kept;
}

void enter_keep(struct enter *x)
{
	const char keep = PLAN_ENTER_KEEP;

	x->ours = false;
	if (x->sock >= 0)
		send(x->sock, &keep, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	enter_hang_up(x);
	enter_free(x);
}

void enter_drop(struct enter *x, void (*dropped)(void *data), void *data)
{
	x->ours = false;
	x->dropped = dropped;
	x->data = data;
	if (x->sock >= 0)
		shutdown(x->sock, SHUT_WR);
	enter_hang_up(x);
	enter_free(x);
}

/* --- leave --- */

struct leave {
	leave_fn *done;
	void *data;
};

static void enter_left(struct leave *l, const struct err *e)
{
	l->done(l->data, e);
	free(l);
}

static void enter_on_left(void *data, const struct child_result *r, const struct err *e)
{
	struct err own = ERR_INIT;

	if (!e && r->status != 0) {
		err_set(&own, ERR_FAILED, "vmkeep-jail was ended");
		e = &own;
	}
	enter_left(data, e);
}

void leave_begin(struct vm *vm, json_t *files, leave_fn *done, void *data)
{
	struct leave *l = xcalloc(1, sizeof *l);
	struct err e = ERR_INIT;

	*l = (struct leave){ .done = done, .data = data };
	if (!enter_spawn(vm, "leave", files, NULL, enter_on_left, l, &e))
		enter_left(l, &e);
}
