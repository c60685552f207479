/* SPDX-License-Identifier: MIT */
#include "supervisor/control/connection.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "supervisor/control/server.h"

enum { READ_CHUNK = 16 << 10 }; /* per iteration, so that a busy client does not starve others */

#define TURN_MAX \
	0.001 /* seconds into an iteration; later requests wait. QEMU sessions get more time */

/* --- end of the iteration ----------------------------------------------------------------- */

static void connection_make_due(struct connection *c)
{
	struct connections *cs = c->all;

	if (c->is_due || (c->running && !c->closed))
		return;
	c->is_due = true;
	c->next_due = cs->due;
	cs->due = c;
	ev_idle_start(cs->ev, &cs->turn);
}

static void connection_free(struct connection *c)
{
	while (c->request)
		c->all->orphaned(c->request);
	peer_unref(c->peer);
	account_unref(c->account);
	free(c);
}

/* --- memory accounting ------------------------------------------------------------------- */

/* May close it: if the user is over the limit, the user's largest connection is closed. */
static void connection_count(struct connection *c)
{
	if (c->hold)
		hold_set(c->hold,
			sizeof *c + peer_bytes(c->peer) + c->in.in.len + outbox_bytes(&c->out));
}

static void connection_evict(void *data, const struct err *e)
{
	connection_fail(data, e);
}

/* --- input and output -------------------------------------------------------------------- */

/* The limit is lower while the user holds a lot, so that a slow reader is throttled, not closed. */
static bool connection_must_pause(const struct connection *c)
{
	bool much = c->account->bytes > account_bounds(c->role)->bytes / 2;

	return c->out.len > (much ? SERVER_OUTPUT_PAUSE_SOON : SERVER_OUTPUT_PAUSE);
}

/* Reads requests only while there is capacity for answers. */
static void connection_watch(struct connection *c)
{
	int events = (connection_must_pause(c) ? 0 : EV_READ) | (c->out.len ? EV_WRITE : 0);

	if (c->closed || (c->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(c->all->ev, &c->io);
	ev_io_set(&c->io, c->io.fd, events);
	ev_io_start(c->all->ev, &c->io);
}

static void connection_write_out(struct connection *c)
{
	if (!c->closed && outbox_flush(&c->out, c->io.fd) < 0)
		connection_close(c);
}

/* Handles messages for as long as the iteration has time; true if there may be more. */
static bool connection_take_messages(struct connection *c)
{
	struct err e = ERR_INIT;
	json_t *message;

	while (!c->closed && !connection_must_pause(c) && loop_turn(c->all->ev) < TURN_MAX) {
		switch (codec_next(&c->in, &message, &e)) {
		case CODEC_NONE:
			return false;
		case CODEC_BAD:
			err_class(&e, ERR_USAGE);
			connection_fail(c, &e);
			return false;
		case CODEC_MESSAGE:
			c->all->message(c->all, c, message);
			json_decref(message);
			break;
		}
	}
	return !c->closed;
}

static void connection_run(struct connection *c)
{
	bool more;

	c->running = true;
	do {
		more = connection_take_messages(c);
		connection_write_out(c);
	} while (more && !connection_must_pause(c) && loop_turn(c->all->ev) < TURN_MAX);
	c->running = false;
	connection_count(c);
	connection_watch(c);
	if (more && !connection_must_pause(c))
		connection_make_due(c);
}

/* recv() without a control buffer: the kernel drops descriptors that a client sends. */
static void connection_read_in(struct connection *c)
{
	char chunk[READ_CHUNK];
	ssize_t n = recv(c->io.fd, chunk, sizeof chunk, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		connection_close(c);
	else
		codec_feed(&c->in, chunk, (size_t)n);
}

static void connection_io_ready(struct ev_loop *ev, ev_io *w, int revents)
{
	struct connection *c = container_of(w, struct connection, io);

	if ((revents & EV_READ) && !connection_must_pause(c))
		connection_read_in(c);
	else
		connection_write_out(c);
	if (!c->closed)
		connection_run(c);
}

/* Callbacks may add connections to the list, or close those still to be handled here. */
static void connection_turn_ends(struct ev_loop *ev, ev_idle *w, int revents)
{
	struct connections *cs = container_of(w, struct connections, turn);
	struct connection *due = cs->due, *c;

	ev_idle_stop(ev, w);
	cs->due = NULL;
	while ((c = due)) {
		due = c->next_due;
		c->is_due = false;
		if (c->closed)
			connection_free(c);
		else
			connection_run(c);
	}
}

/* --- life cycle -------------------------------------------------------------------------- */

void connections_init(struct connections *cs, struct ev_loop *ev)
{
	cs->ev = ev;
	ev_idle_init(&cs->turn, connection_turn_ends);
	ev_set_priority(&cs->turn, EV_MAXPRI);
}

void connections_release(struct connections *cs)
{
	while (cs->first || cs->due) {
		while (cs->first)
			connection_close(cs->first);
		connection_turn_ends(cs->ev, &cs->turn, 0);
	}
}

struct connection *connection_new(struct connections *cs, int fd, struct peer *peer,
	struct account *account, enum api_role role)
{
	struct connection *c = xcalloc(1, sizeof *c);

	c->all = cs;
	c->peer = peer;
	c->role = role;
	c->account = account_ref(account);
	c->hold = hold_new(account, role, connection_evict, c);
	codec_init(&c->in, role == API_ROLE_NONE ? SERVER_REQUEST_NO_ROLE_MAX : SERVER_REQUEST_MAX);
	c->in.values_max = SERVER_VALUES_MAX;
	c->next = cs->first;
	if (c->next)
		c->next->prev = c;
	cs->first = c;
	cs->n++;
	ev_io_init(&c->io, connection_io_ready, fd, EV_READ);
	ev_io_start(cs->ev, &c->io);
	connection_count(c);
	return c;
}

void connection_set_role(struct connection *c, enum api_role role)
{
	c->role = c->hold->role = role;
	c->subscribed = c->subscribed && role >= API_ROLE_VIEW;
}

static void connection_leave(struct connection *c)
{
	struct connections *cs = c->all;

	ev_io_stop(cs->ev, &c->io);
	c->closed = true;
	if (c->prev)
		c->prev->next = c->next;
	else
		cs->first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	cs->n--;
	codec_release(&c->in);
	outbox_release(&c->out);
	connection_make_due(c);
}

void connection_close(struct connection *c)
{
	int fd = c->io.fd;

	if (c->closed)
		return;
	connection_leave(c);
	close(fd);
	hold_free(c->hold);
	c->hold = NULL;
	c->all->left(c->all);
}

void connection_fail(struct connection *c, const struct err *e)
{
	log_debug(NULL, "control: %s: %s", c->peer->who, e->text);
	connection_put_error(c, e, NULL);
	connection_write_out(c);
	connection_close(c);
}

/* The bytes after the last message's line. */
static int connection_take_leftover(struct connection *c, struct buf *leftover)
{
	size_t len = codec_pending(&c->in);
	const char *rest;

	if (len == 0)
		return 0;
	rest = c->in.in.data + c->in.start;
	if (*rest == '\r')
		rest++, len--;
	if (len && *rest == '\n')
		rest++, len--;
	return buf_add(leftover, rest, len);
}

int connection_take(struct connection *c, struct buf *leftover, struct hold **hold)
{
	int fd = c->io.fd;

	connection_write_out(c);
	if (c->closed)
		return -1;
	if (c->out.len || connection_take_leftover(c, leftover) < 0) {
		connection_close(c);
		return -1;
	}
	connection_leave(c);
	*hold = c->hold;
	c->hold = NULL;
	return fd;
}

/* --- output messages --------------------------------------------------------------------- */

void connection_put_line(struct connection *c, struct line *l)
{
	if (c->closed)
		return;
	if (c->out.len + l->len > SERVER_OUTPUT_MAX) {
		log_debug(
			NULL, "control: %s does not read its replies: disconnected", c->peer->who);
		connection_close(c);
		return;
	}
	outbox_add(&c->out, l);
	connection_make_due(c);
	connection_count(c);
}

static void connection_put_too_long(struct connection *c, const json_t *message)
{
	struct err e = ERR_INIT;

	err_set(&e, ERR_NO_RESOURCES, "the answer is longer than %d bytes", SERVER_OUTPUT_MAX);
	err_hint(&e, "request less at a time");
	connection_put_error(c, &e, json_object_get(message, "id"));
}

void connection_put(struct connection *c, const json_t *message)
{
	struct buf text = BUF_MAX(SERVER_OUTPUT_MAX);
	struct line *l;

	if (c->closed)
		return;
	if (codec_encode(message, &text) < 0) {
		connection_put_too_long(c, message);
		return;
	}
	l = line_new(text.data, text.len);
	buf_release(&text);
	connection_put_line(c, l);
	line_unref(l);
}

void connection_put_error(struct connection *c, const struct err *e, json_t *id)
{
	json_t *reply = json_pack("{s:o, s:O*}", "error", api_error_json(e), "id", id);

	connection_put(c, reply);
	json_decref(reply);
}
