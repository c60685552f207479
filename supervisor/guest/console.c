/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/console.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/core/backlog.h"
#include "supervisor/core/logfile.h"
#include "supervisor/guest/ready.h"
#include "supervisor/guest/typing.h"
#include "supervisor/guest/output.h"
#include "supervisor/guest/parts.h"
#include "supervisor/qemu/argv.h"
#include "supervisor/vm/dirs.h"

#define TAKEN_LOOK     0.05 /* seconds between checks whether QEMU has read what was typed */
#define TAKEN_PATIENCE 10.0 /* seconds before unread input is given up */

struct watcher {
	struct watcher *next;
	struct port *port;
	int fd;
	ev_io in, out;
	struct logtail tail; /* sent first */
	uint64_t pos;	     /* next byte to send, in port.shown */
	struct hold *hold;
	bool typing, leaving; /* leaving: freed once the guest has read what was typed */
	bool evicted;	      /* freed on the next loop event */
};

struct port {
	struct vm *vm;
	char *id;
	bool first, fresh; /* fresh: the log has been written since the start by us alone */
	char title[96];
	struct spool spool;
	struct logfile log;
	struct watcher *watchers;
	struct backlog shown; /* output that not all watchers have been sent yet */
	struct typing typing;
	ev_timer taken;
	double patience; /* clock_now() deadline */
};

struct console {
	size_t n;
	struct port port[];
};

static struct ev_loop *console_loop_of(const struct port *p)
{
	return p->vm->daemon->loop.ev;
}

/* --- watchers --- */

/* Drops what all watchers have been sent. */
static void console_forget_shown(struct port *p)
{
	uint64_t least = p->shown.end;

	for (const struct watcher *w = p->watchers; w; w = w->next)
		least = w->pos < least ? w->pos : least;
	backlog_forget(&p->shown, least);
}

static void console_watcher_free(struct watcher *w)
{
	struct port *p = w->port;
	bool typist = false;

	for (struct watcher **q = &p->watchers; *q; q = &(*q)->next)
		if (*q == w) {
			*q = w->next;
			break;
		}
	ev_io_stop(console_loop_of(p), &w->in);
	ev_io_stop(console_loop_of(p), &w->out);
	close(w->fd);
	logtail_release(&w->tail);
	hold_free(w->hold);
	free(w);
	console_forget_shown(p);
	for (w = p->watchers; w; w = w->next)
		typist |= w->typing;
	if (!typist)
		typing_close(&p->typing);
}

static void console_on_taken(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct port *p = t->data;

	if (!typing_is_taken(&p->typing) && clock_now() < p->patience)
		return;
	ev_timer_stop(ev, t);
	for (struct watcher *w = p->watchers, *next; w; w = next) {
		next = w->next;
		if (w->leaving)
			console_watcher_free(w);
	}
}

static void console_leave(struct watcher *w)
{
	struct port *p = w->port;

	w->leaving = true;
	ev_io_stop(console_loop_of(p), &w->in);
	p->patience = clock_now() + TAKEN_PATIENCE;
	ev_timer_again(console_loop_of(p), &p->taken);
}

static void console_on_watcher_in(struct ev_loop *ev, ev_io *io, int revents)
{
	struct watcher *w = io->data;
	char chunk[1024];
	ssize_t n = read(w->fd, chunk, sizeof chunk);

	if (n > 0 && w->typing)
		typing_send(&w->port->typing, chunk, (size_t)n);
	else if (n == 0 && w->typing)
		console_leave(w);
	else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		console_watcher_free(w);
}

static bool console_watcher_is_behind(const struct watcher *w)
{
	return w->tail.from < w->tail.to || w->pos < w->port->shown.end;
}

/* False if it disconnected or must be freed. */
static bool console_watcher_flush(struct watcher *w)
{
	const struct backlog *shown = &w->port->shown;
	ssize_t n = w->evicted ? -1 : 0;
	const char *data;
	size_t len;

	if (w->evicted || logtail_flush(&w->tail, w->fd) < 0)
		return false;
	while (w->tail.from == w->tail.to && (data = backlog_at(shown, w->pos, &len), len > 0) &&
		(n = send(w->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
		w->pos += (uint64_t)n;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	if (console_watcher_is_behind(w))
		ev_io_start(console_loop_of(w->port), &w->out);
	else
		ev_io_stop(console_loop_of(w->port), &w->out);
	hold_set(w->hold, sizeof *w + (size_t)(shown->end - w->pos));
	return !w->evicted;
}

static void console_on_watcher_out(struct ev_loop *ev, ev_io *io, int revents)
{
	struct watcher *w = io->data;

	if (console_watcher_flush(w))
		console_forget_shown(w->port);
	else
		console_watcher_free(w);
}

/* May be called while the watcher list is being walked, so only mark it and let the loop free
 * it. */
static void console_watcher_evict(void *data, const struct err *e)
{
	struct watcher *w = data;

	w->evicted = true;
	w->tail.from = w->tail.to;
	w->pos = w->port->shown.end;
	shutdown(w->fd, SHUT_RDWR);
	hold_set(w->hold, sizeof *w);
	ev_io_start(console_loop_of(w->port), &w->out);
}

static void console_show(struct port *p, const char *data, size_t len)
{
	if (p->watchers)
		backlog_add(&p->shown, data, len);
}

/* Runs after the bytes have been punched out of the file: if a client sees output and ends this
 * daemon, the next one shows no byte twice. */
static void console_port_done(void *data)
{
	struct port *p = data;

	for (struct watcher *w = p->watchers, *next; w; w = next) {
		next = w->next;
		/* drop a slow watcher rather than stall the guest */
		if (!console_watcher_flush(w) || p->shown.end - w->pos > CONSOLE_WATCHER_MAX)
			console_watcher_free(w);
	}
	console_forget_shown(p);
}

/* --- draining --- */

static size_t console_port_take(void *data, char *bytes, size_t len)
{
	struct port *p = data;

	logfile_append(&p->log, bytes, len);
	console_show(p, bytes, len);
	if (p->first)
		ready_feed(p->vm, bytes, len);
	return len;
}

static void console_port_lost(void *data, uint64_t bytes)
{
	struct port *p = data;
	char line[96];

	snprintf(line, sizeof line, "\r\n--- at least %llu bytes before this were dropped ---\r\n",
		(unsigned long long)bytes);
	logfile_append(&p->log, line, strlen(line));
	console_show(p, line, strlen(line));
}

static const struct spool_kind port_kind = {
	.take = console_port_take, .lost = console_port_lost, .done = console_port_done
};

static const char *console_log_name(const char *id, bool first, char buf[80])
{
	if (first)
		return "console.log";
	snprintf(buf, 80, "console-%s.log", id);
	return buf;
}

static void console_port_open(struct port *p, const struct conf_serial *conf, bool first)
{
	struct vm *vm = p->vm;
	struct err e = ERR_INIT;
	char name[96];

	p->first = first;
	if (conf->log && logfile_open(&p->log, vm->daemon->dirs.log_fd, vm->name,
				 console_log_name(p->id, first, name), conf->log_size,
				 (unsigned)conf->log_keep, &e) < 0)
		log_warning(vm->name, "%s", e.text);
	snprintf(p->title, sizeof p->title, "console '%s'", p->id);
	p->spool = (struct spool){ .kind = &port_kind, .data = p, .name = p->title };
	snprintf(name, sizeof name, "out/serial-%s", p->id);
	if (output_read(vm, &p->spool, name, &e) < 0)
		log_warning(vm->name, "%s: %s", p->title, e.text);
}

static int console_start(struct vm *vm, void **state, struct fd_list *fds, struct err *e)
{
	char name[96];
	int r = 0;

	for (size_t i = 0; r == 0 && i < vm->proc.conf.serials; i++) {
		snprintf(name, sizeof name, "serial-%s.sock", vm->proc.conf.serial[i].id);
		r = fd_list_add(fds, vm_socket_listen(vm, name, e), argv_fd_serial(i));
		if (r < 0)
			break;
		snprintf(name, sizeof name, "out/serial-%s", vm->proc.conf.serial[i].id);
		r = fd_list_add(fds, output_make(vm, name, e), argv_fd_serial_log(i));
	}
	return r;
}

/* After adoption, output continues without loss. */
static void console_attach(struct vm *vm, void **state, enum vm_attach how)
{
	size_t n = vm->proc.conf.serials;
	struct console *c;

	if (vm->proc.run_fd < 0)
		return;
	c = xcalloc(1, sizeof *c + n * sizeof *c->port);
	c->n = n;
	*state = c;
	for (size_t i = 0; i < n; i++) {
		struct port *p = &c->port[i];

		*p = (struct port){ .vm = vm,
			.id = xstrdup(vm->proc.conf.serial[i].id),
			.fresh = how == VM_ATTACH_FRESH,
			.spool = SPOOL_INIT,
			.log = LOGFILE_INIT };
		typing_init(&p->typing, vm, p->id);
		ev_timer_init(&p->taken, console_on_taken, 0, TAKEN_LOOK);
		p->taken.data = p;
		console_port_open(p, &vm->proc.conf.serial[i], i == 0);
	}
}

/* Drains the rest and disconnects the watchers. */
static void console_close(struct vm *vm, void **state, bool ended)
{
	struct console *c = *state;

	for (size_t i = 0; c && i < c->n; i++) {
		struct port *p = &c->port[i];

		spool_close(&p->spool, !vm_state_has_process(vm->st.state));
		while (p->watchers)
			console_watcher_free(p->watchers);
		ev_timer_stop(console_loop_of(p), &p->taken);
		typing_close(&p->typing);
		backlog_release(&p->shown);
		logfile_release(&p->log);
		free(p->id);
	}
}

const struct vm_part console_part = {
	.name = "console",
	.start = console_start,
	.attach = console_attach,
	.close = console_close,
};

/* --- called by verbs --- */

static void console_refuse_port(const struct console *c, const char *serial, struct err *e)
{
	_cleanup_(buf_release) struct buf names = BUF_INIT;

	for (size_t i = 0; i < c->n; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", c->port[i].id);
	err_set(e, ERR_NOT_FOUND, "has no serial port '%s'", serial);
	err_hint(e, c->n > 1 ? "its serial ports are %s" : "its serial port is %s", names.data);
}

static struct port *console_find_port(const struct vm *vm, const char *serial, struct err *e)
{
	struct console *c = vm_part_state(vm, &console_part);

	for (size_t i = 0; c && i < c->n; i++)
		if (!serial || streq(c->port[i].id, serial))
			return &c->port[i];
	if (!c)
		err_set(e, ERR_WRONG_STATE, "is %s: it has no console at the moment",
			vm_state_name(vm->st.state));
	else if (serial && c->n)
		console_refuse_port(c, serial, e);
	else
		err_set(e, ERR_NOT_FOUND, "has no serial port");
	return NULL;
}

int console_check(const struct vm *vm, const char *serial, struct err *e)
{
	return console_find_port(vm, serial, e) ? 0 : e->number;
}

static void console_open_tail(
	struct logtail *t, const struct vm *vm, const char *serial, unsigned lines, size_t max)
{
	const struct conf_vm *c =
		vm_state_has_process(vm->st.state) ? &vm->proc.conf : &vm->file.conf;
	char name[80];

	*t = (struct logtail)LOGTAIL_INIT;
	for (size_t i = 0; i < c->serials; i++)
		if (!serial ? i == 0 : streq(c->serial[i].id, serial))
			logtail_open(t, vm->daemon->dirs.log_fd, vm->name,
				console_log_name(c->serial[i].id, i == 0, name), lines, max);
}

void console_tail(struct logtail *t, const struct vm *vm, unsigned lines)
{
	console_open_tail(t, vm, NULL, lines, CONSOLE_TAIL_MAX);
}

/* Where a previous daemon logged part of it, there are the usual lines. */
static void console_open_tail_of(struct logtail *t, const struct port *p, unsigned lines)
{
	bool all = lines == CONSOLE_SINCE_START && p->fresh;
	uint64_t max = all && p->log.written < CONSOLE_TAIL_MAX ? p->log.written : CONSOLE_TAIL_MAX;

	if (lines == CONSOLE_SINCE_START && !all)
		lines = CONSOLE_LINES;
	console_open_tail(t, p->vm, p->id, lines, (size_t)max);
}

int console_watch(struct vm *vm, const char *serial, int fd, struct hold *hold, unsigned lines,
	bool typing, const struct buf *leftover, struct err *e)
{
	struct port *p = console_find_port(vm, serial, e);
	struct watcher *w;

	if (!p) {
		close(fd);
		hold_free(hold);
		return e->number;
	}
	spool_read(&p->spool);
	w = xcalloc(1, sizeof *w);
	*w = (struct watcher){
		.port = p, .fd = fd, .hold = hold, .pos = p->shown.end, .typing = typing
	};
	hold_stream(hold, console_watcher_evict, w);
	ev_io_init(&w->in, console_on_watcher_in, fd, EV_READ);
	ev_io_init(&w->out, console_on_watcher_out, fd, EV_WRITE);
	w->in.data = w->out.data = w;
	w->next = p->watchers;
	p->watchers = w;
	ev_io_start(console_loop_of(p), &w->in);
	console_open_tail_of(&w->tail, p, lines);
	if (typing && leftover->len)
		typing_send(&p->typing, leftover->data, leftover->len);
	if (!console_watcher_flush(w))
		console_watcher_free(w);
	return 0;
}
