/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/typing.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "base/log.h"
#include "supervisor/vm/dirs.h"

#define CALM 0.01 /* seconds between two reads from the guest */

static struct ev_loop *typing_loop(const struct typing *t)
{
	return t->vm->daemon->loop.ev;
}

void typing_close(struct typing *t)
{
	if (t->fd < 0)
		return;
	ev_io_stop(typing_loop(t), &t->in);
	ev_io_stop(typing_loop(t), &t->out);
	loop_timer_stop(&t->calm);
	close_fd(&t->fd);
	buf_clear(&t->bytes);
}

/* The same bytes go to the output file. Here they are only drained, at 6 MiB a second, so that a
 * guest that floods the port does not keep the loop busy. */
static void typing_on_in(struct ev_loop *ev, ev_io *w, int revents)
{
	struct typing *t = w->data;
	char chunk[64 << 10];
	ssize_t n = read(w->fd, chunk, sizeof chunk);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		typing_close(t);
		return;
	}
	ev_io_stop(ev, w);
	loop_timer_start(&t->calm, CALM);
}

static void typing_on_calm(void *data)
{
	struct typing *t = data;

	ev_io_start(typing_loop(t), &t->in);
}

static void typing_on_out(struct ev_loop *ev, ev_io *w, int revents)
{
	struct typing *t = w->data;
	ssize_t n = write(t->fd, t->bytes.data, t->bytes.len);

	if (n > 0)
		buf_drop(&t->bytes, (size_t)n);
	if (t->bytes.len == 0)
		ev_io_stop(ev, w);
}

void typing_init(struct typing *t, struct vm *vm, const char *serial)
{
	*t = (struct typing){ .vm = vm, .serial = serial, .fd = -1, .bytes = BUF_MAX(TYPING_MAX) };
	loop_timer_init(&t->calm, typing_loop(t), typing_on_calm, t);
}

static void typing_connect(struct typing *t)
{
	struct err e = ERR_INIT;
	char name[80];

	snprintf(name, sizeof name, "serial-%s.sock", t->serial);
	t->fd = vm_socket_connect(t->vm, name, &e);
	if (t->fd < 0) {
		log_warning(t->vm->name, "console: %s", e.text);
		t->fd = -1;
		return;
	}
	ev_io_init(&t->in, typing_on_in, t->fd, EV_READ);
	ev_io_init(&t->out, typing_on_out, t->fd, EV_WRITE);
	t->in.data = t->out.data = t;
	ev_io_start(typing_loop(t), &t->in);
}

void typing_send(struct typing *t, const char *data, size_t len)
{
	if (t->fd < 0)
		typing_connect(t);
	if (t->fd >= 0 && buf_add(&t->bytes, data, len) == 0)
		ev_io_start(typing_loop(t), &t->out);
}

bool typing_is_taken(const struct typing *t)
{
	int unread = 0;

	return t->fd < 0 ||
	       (t->bytes.len == 0 && (ioctl(t->fd, SIOCOUTQ, &unread) < 0 || unread == 0));
}
