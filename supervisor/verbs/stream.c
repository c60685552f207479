/* SPDX-License-Identifier: MIT */
/* Verbs that take over the connection for raw bytes. */
#include <ev.h>

#include "base/mem.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/core/account.h"
#include "supervisor/core/logfile.h"
#include "supervisor/guest/console.h"

enum { LINES_ALL = 1000000, LOG_BYTES_MAX = 4 << 20, FLUSH_SECONDS = 30 };

void verb_console(struct vm *vm, struct request *r)
{
	const char *serial = request_string(r, "serial");
	struct buf leftover = BUF_INIT;
	struct hold *hold = NULL;
	struct err e = ERR_INIT;
	int fd;

	if (console_check(vm, serial, &e) < 0) {
		request_error(r, &e);
		return;
	}
	bool typing = !request_bool(r, "watch", false);
	unsigned lines = request_bool(r, "since-start", false)
				 ? CONSOLE_SINCE_START
				 : (unsigned)request_int(r, "lines", CONSOLE_LINES);
	const char *id = serial ? serial : vm->proc.conf.serial[0].id;
	_cleanup_(free_ptr) char *wanted = xstrdup(serial);

	fd = request_stream(r, json_pack("{s:s}", "serial", id), &leftover, &hold);
	if (fd >= 0)
		console_watch(vm, wanted, fd, hold, lines, typing, &leftover, &e);
	buf_release(&leftover);
}

/* --- sends the end of a file, then closes the connection --- */

struct outflow {
	struct ev_loop *ev;
	int fd;
	struct hold *hold;
	struct logtail tail;
	ev_io out;
	ev_timer patience;
};

static void verb_stream_outflow_free(struct outflow *o)
{
	ev_io_stop(o->ev, &o->out);
	ev_timer_stop(o->ev, &o->patience);
	close(o->fd);
	logtail_release(&o->tail);
	hold_free(o->hold);
	free(o);
}

static void verb_stream_outflow_evict(void *data, const struct err *e)
{
	verb_stream_outflow_free(data);
}

static void verb_stream_on_out(struct ev_loop *ev, ev_io *w, int revents)
{
	struct outflow *o = w->data;

	if (logtail_flush(&o->tail, o->fd) < 0 || o->tail.from == o->tail.to)
		verb_stream_outflow_free(o);
}

static void verb_stream_on_patience(struct ev_loop *ev, ev_timer *w, int revents)
{
	verb_stream_outflow_free(w->data);
}

static void verb_stream_outflow(
	struct ev_loop *ev, int fd, struct hold *hold, const struct logtail *tail)
{
	struct outflow *o = xcalloc(1, sizeof *o);

	o->ev = ev;
	o->fd = fd;
	o->hold = hold;
	o->tail = *tail;
	ev_io_init(&o->out, verb_stream_on_out, fd, EV_WRITE);
	ev_timer_init(&o->patience, verb_stream_on_patience, FLUSH_SECONDS, 0);
	o->out.data = o->patience.data = o;
	ev_io_start(ev, &o->out);
	ev_timer_start(ev, &o->patience);
	hold_stream(hold, verb_stream_outflow_evict, o);
	hold_set(hold, sizeof *o);
}

void verb_log(struct vm *vm, struct request *r)
{
	struct buf leftover = BUF_INIT;
	struct hold *hold = NULL;
	struct logtail tail;
	struct err e = ERR_INIT;
	bool qemu, follow;
	unsigned lines;
	int fd;

	qemu = streq(request_string(r, "which"), "qemu");
	follow = request_bool(r, "follow", false);
	lines = (unsigned)request_int(r, "lines", follow ? CONSOLE_LINES : LINES_ALL);
	if (follow && !qemu && console_check(vm, NULL, &e) < 0) {
		request_error(r, &e);
		return;
	}
	fd = request_stream(r, NULL, &leftover, &hold);
	buf_release(&leftover);
	if (fd < 0)
		return;
	if (follow && qemu) {
		follow_qemu_log(vm->daemon, vm->name, lines, fd, hold);
		return;
	}
	if (follow) {
		console_watch(vm, NULL, fd, hold, lines, false, &leftover, &e);
		return;
	}
	if (qemu)
		logtail_open(
			&tail, vm->daemon->dirs.log_fd, vm->name, "qemu.log", lines, LOG_BYTES_MAX);
	else
		console_tail(&tail, vm, lines);
	verb_stream_outflow(vm->daemon->loop.ev, fd, hold, &tail);
}
