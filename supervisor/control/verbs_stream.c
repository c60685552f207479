/* SPDX-License-Identifier: MIT */
/* Verbs that hand the connection over: from then on it is raw bytes. */
#include <errno.h>
#include <ev.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "supervisor/control/verbs.h"
#include "supervisor/core/logfile.h"
#include "supervisor/vm/console.h"

enum { LINES_DEFAULT = 200, LINES_ALL = 1000000, LOG_BYTES_MAX = 4 << 20, FLUSH_SECONDS = 30 };

void verb_console(void *data, struct request *r)
{
	struct vm *vm = verb_vm(data, r);
	const char *serial = vm ? request_string(r, "serial") : NULL;
	struct buf leftover = BUF_INIT;
	struct err e = ERR_INIT;
	int fd;

	if (!vm)
		return;
	if (console_check(vm, serial, &e) < 0) {
		request_error(r, &e);
		return;
	}
	bool typing = !request_bool(r, "watch", false);
	unsigned lines = (unsigned)request_int(r, "lines", LINES_DEFAULT);
	const char *id = serial ? serial : vm->running.serial[0].id;
	_cleanup_(free_ptr) char *wanted = xstrdup(serial);

	fd = request_stream(r, json_pack("{s:s}", "serial", id), &leftover);
	if (fd >= 0)
		console_watch(vm, wanted, fd, lines, typing, &leftover, &e);
	buf_release(&leftover);
}

/* --- a text that is sent whole, then the connection ends --- */

struct outflow {
	int fd;
	struct buf text;
	ev_io out;
	ev_timer patience;
};

static void outflow_free(struct ev_loop *ev, struct outflow *o)
{
	ev_io_stop(ev, &o->out);
	ev_timer_stop(ev, &o->patience);
	close(o->fd);
	buf_release(&o->text);
	free(o);
}

static void on_out(struct ev_loop *ev, ev_io *w, int revents)
{
	struct outflow *o = w->data;
	ssize_t n = o->text.len ? send(o->fd, o->text.data, o->text.len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

	(void)revents;
	if (n > 0)
		buf_drop(&o->text, (size_t)n);
	if (o->text.len == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		outflow_free(ev, o);
}

static void on_patience(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)revents;
	outflow_free(ev, w->data);
}

static void outflow(struct ev_loop *ev, int fd, struct buf *text /* stolen */)
{
	struct outflow *o = xcalloc(1, sizeof *o);

	o->fd = fd;
	o->text = *text;
	*text = (struct buf)BUF_INIT;
	ev_io_init(&o->out, on_out, fd, EV_WRITE);
	ev_timer_init(&o->patience, on_patience, FLUSH_SECONDS, 0);
	o->out.data = o->patience.data = o;
	ev_io_start(ev, &o->out);
	ev_timer_start(ev, &o->patience);
}

void verb_log(void *data, struct request *r)
{
	struct daemon *d = data;
	struct vm *vm = verb_vm(d, r);
	struct buf text = BUF_MAX(LOG_BYTES_MAX), leftover = BUF_INIT;
	struct err e = ERR_INIT;
	bool qemu, follow;
	unsigned lines;
	int fd;

	if (!vm)
		return;
	qemu = streq(request_string(r, "which"), "qemu");
	follow = request_bool(r, "follow", false);
	lines = (unsigned)request_int(r, "lines", follow ? LINES_DEFAULT : LINES_ALL);
	if (follow && (qemu || console_check(vm, NULL, &e) < 0)) {
		if (qemu)
			err_set(&e, ERR_USAGE, "only the console's log can be followed");
		request_error(r, &e);
		return;
	}
	fd = request_stream(r, NULL, &leftover);
	buf_release(&leftover);
	if (fd < 0)
		return;
	if (follow) {
		console_watch(vm, NULL, fd, lines, false, &leftover, &e);
		return;
	}
	if (qemu)
		logfile_tail(d->dirs.log_fd, vm->name, "qemu.log", lines, &text);
	else
		console_tail(vm, NULL, lines, &text);
	outflow(d->loop.ev, fd, &text);
}
