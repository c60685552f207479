/* SPDX-License-Identifier: MIT */
/* The client of a command in a guest: frames in both directions. */
#include "supervisor/guest/exec_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "supervisor/core/account.h"

enum { HEAD = 5, FRAME_MAX = HEAD + KEEPER_PIECE, CHUNK = 8 << 10 };

void exec_client_count(struct exec *x)
{
	struct exec_client *c = &x->client;

	if (c->hold)
		hold_set(c->hold, sizeof *x + c->from.len + c->to.len + x->input.len);
}

void exec_client_close(struct exec *x)
{
	struct exec_client *c = &x->client;

	if (c->fd < 0)
		return;
	ev_io_stop(x->ev, &c->in);
	ev_io_stop(x->ev, &c->out);
	close_fd(&c->fd);
	buf_release(&c->from);
	buf_release(&c->to);
	hold_free(c->hold);
	c->hold = NULL;
}

void exec_client_drop(struct exec *x)
{
	struct err e = ERR_INIT;

	exec_client_close(x);
	err_set(&e, ERR_UNREACHABLE, "its client left: the command is ended");
	x->up->fail(x, &e);
}

/* Called while others count what their own clients hold: it goes at its next turn. */
static void exec_client_evict(void *data, const struct err *e)
{
	struct exec *x = data;

	x->client.evicted = true;
	loop_timer_start(&x->look, 0);
}

/* --- output --- */

static void exec_client_flush(struct exec *x)
{
	struct exec_client *c = &x->client;
	ssize_t n = 0;

	while (c->to.len &&
		(n = send(c->fd, c->to.data, c->to.len, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
		buf_drop(&c->to, (size_t)n);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		exec_client_drop(x);
	else if (c->to.len)
		ev_io_start(x->ev, &c->out);
	else if (!x->job)
		exec_client_close(x);
	else
		ev_io_stop(x->ev, &c->out);
	exec_client_count(x);
}

void exec_client_send(struct exec *x, enum exec_frame type, const void *data, size_t len)
{
	struct exec_client *c = &x->client;
	uint32_t size = htonl((uint32_t)len);

	if (c->fd < 0)
		return;
	buf_addc(&c->to, (char)type);
	buf_add(&c->to, &size, sizeof size);
	buf_add(&c->to, data, len);
	exec_client_flush(x);
}

bool exec_client_is_behind(const struct exec *x)
{
	return x->client.fd >= 0 && x->client.to.len > 0;
}

static void exec_client_on_out(struct ev_loop *ev, ev_io *w, int revents)
{
	struct exec *x = w->data;

	exec_client_flush(x);
	if (!exec_client_is_behind(x))
		x->up->hurry(x);
	x->up->step(x);
}

void exec_client_ask(struct exec *x)
{
	struct exec_client *c = &x->client;

	if (c->fd < 0 || c->asked || c->ended || !x->job)
		return;
	c->asked = true;
	exec_client_send(x, EXEC_FRAME_INPUT, NULL, 0);
}

/* --- input --- */

static bool exec_client_take(struct exec *x, char type, const char *data, size_t len)
{
	struct exec_client *c = &x->client;

	if (type == EXEC_FRAME_SIGNAL && len == 4 && memcmp(data, "TERM", 4) == 0) {
		x->wanted[KEEPER_TERM] = true;
	} else if (type == EXEC_FRAME_SIGNAL && len == 4 && memcmp(data, "KILL", 4) == 0) {
		x->wanted[KEEPER_KILL] = true;
	} else if (type == EXEC_FRAME_INPUT && c->asked) {
		c->asked = false;
		c->ended = len == 0;
		x->wanted[KEEPER_EOF] = len == 0;
		buf_add(&x->input, data, len);
	} else {
		return false;
	}
	return true;
}

/* False: not what the protocol says. */
static bool exec_client_take_frames(struct exec *x)
{
	struct buf *b = &x->client.from;

	while (b->len >= HEAD) {
		uint32_t size;

		memcpy(&size, b->data + 1, sizeof size);
		size = ntohl(size);
		if (size > KEEPER_PIECE)
			return false;
		if (b->len < HEAD + size)
			break;
		if (!exec_client_take(x, b->data[0], b->data + HEAD, size))
			return false;
		buf_drop(b, HEAD + size);
	}
	return true;
}

static void exec_client_on_in(struct ev_loop *ev, ev_io *w, int revents)
{
	struct exec *x = w->data;
	struct exec_client *c = &x->client;
	char chunk[CHUNK];
	size_t room = FRAME_MAX - c->from.len;
	ssize_t n = recv(c->fd, chunk, room < CHUNK ? room : CHUNK, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		buf_add(&c->from, chunk, (size_t)n);
	if (n <= 0 || !exec_client_take_frames(x))
		exec_client_drop(x);
	exec_client_count(x);
	x->up->step(x);
}

void exec_client_open(struct exec *x, const struct exec_options *o)
{
	struct exec_client *c = &x->client;

	c->fd = o->fd;
	c->hold = o->hold;
	ev_io_init(&c->in, exec_client_on_in, c->fd, EV_READ);
	ev_io_init(&c->out, exec_client_on_out, c->fd, EV_WRITE);
	c->in.data = c->out.data = x;
	ev_io_start(x->ev, &c->in);
	hold_stream(c->hold, exec_client_evict, x);
	if (o->leftover->len > FRAME_MAX)
		c->evicted = true;
	else
		buf_add(&c->from, o->leftover->data, o->leftover->len);
	exec_client_count(x);
	c->evicted = c->evicted || !exec_client_take_frames(x);
}
