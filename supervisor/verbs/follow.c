/* SPDX-License-Identifier: MIT */
/* `log -f NAME qemu`: sends the end of qemu.log, then what is added, also by later starts. */
#include <errno.h>
#include <ev.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "supervisor/core/account.h"
#include "supervisor/core/logfile.h"
#include "supervisor/verbs/verb.h"

enum { FOLLOW_BYTES_MAX = 4 << 20, FOLLOW_CHUNK = 16 << 10 };
#define FOLLOW_SECONDS 0.01 /* what is written by then is sent together */

struct follow {
	struct ev_loop *ev;
	struct vms *vms;
	struct vm_observer observer;
	int log_fd, fd;
	char name[64];
	struct hold *hold;
	struct logtail tail; /* from: what was sent; fd -1: no log yet */
	ev_io in, out;
	struct loop_timer timer;
};

static void follow_free(struct follow *f)
{
	vms_unobserve(f->vms, &f->observer);
	ev_io_stop(f->ev, &f->in);
	ev_io_stop(f->ev, &f->out);
	loop_timer_stop(&f->timer);
	close(f->fd);
	logtail_release(&f->tail);
	hold_free(f->hold);
	free(f);
}

static void follow_evict(void *data, const struct err *e)
{
	follow_free(data);
}

/* The log was rotated, or is new. */
static bool follow_reopen(struct follow *f)
{
	struct logtail now;
	struct stat old, st;

	logtail_open(&now, f->log_fd, f->name, "qemu.log", 1, FOLLOW_BYTES_MAX);
	if (now.fd < 0 || fstat(now.fd, &st) < 0 ||
		(f->tail.fd >= 0 && fstat(f->tail.fd, &old) == 0 && old.st_ino == st.st_ino &&
			old.st_dev == st.st_dev)) {
		logtail_release(&now);
		return false;
	}
	logtail_release(&f->tail);
	f->tail = now;
	f->tail.from = 0;
	return true;
}

/* False: the client is gone. */
static bool follow_send(struct follow *f)
{
	char chunk[FOLLOW_CHUNK];

	do {
		ssize_t n, sent = 0;

		while (f->tail.fd >= 0 &&
			(n = pread(f->tail.fd, chunk, sizeof chunk, f->tail.from)) > 0) {
			sent = send(f->fd, chunk, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (sent < 0 && errno == EAGAIN) {
				ev_io_start(f->ev, &f->out);
				return true;
			}
			if (sent < 0)
				return false;
			f->tail.from += sent;
		}
	} while (follow_reopen(f));
	ev_io_stop(f->ev, &f->out);
	return true;
}

static void follow_on_log(void *data, struct vm *vm)
{
	struct follow *f = data;

	if (streq(vm->name, f->name) && !loop_timer_is_active(&f->timer))
		loop_timer_start(&f->timer, FOLLOW_SECONDS);
}

static void follow_on_timer(void *data)
{
	if (!follow_send(data))
		follow_free(data);
}

static void follow_on_out(struct ev_loop *ev, ev_io *w, int revents)
{
	if (!follow_send(w->data))
		follow_free(w->data);
}

/* The client sends nothing: it left. */
static void follow_on_in(struct ev_loop *ev, ev_io *w, int revents)
{
	struct follow *f = w->data;
	char ignored[256];
	ssize_t n = recv(f->fd, ignored, sizeof ignored, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		follow_free(f);
}

void follow_qemu_log(struct daemon *d, const char *vm, unsigned lines, int fd, struct hold *hold)
{
	struct follow *f = xcalloc(1, sizeof *f);

	f->ev = d->loop.ev;
	f->vms = d->vms;
	f->log_fd = d->dirs.log_fd;
	f->fd = fd;
	f->hold = hold;
	snprintf(f->name, sizeof f->name, "%s", vm);
	logtail_open(&f->tail, f->log_fd, vm, "qemu.log", lines, FOLLOW_BYTES_MAX);
	ev_io_init(&f->in, follow_on_in, fd, EV_READ);
	ev_io_init(&f->out, follow_on_out, fd, EV_WRITE);
	f->in.data = f->out.data = f;
	loop_timer_init(&f->timer, f->ev, follow_on_timer, f);
	f->observer = (struct vm_observer){ .log = follow_on_log, .data = f };
	vms_observe(f->vms, &f->observer);
	ev_io_start(f->ev, &f->in);
	hold_stream(hold, follow_evict, f);
	hold_set(hold, sizeof *f);
	follow_on_timer(f);
}
