/* SPDX-License-Identifier: MIT */
#include "supervisor/control/server.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "supervisor/control/connection.h"
#include "supervisor/control/dispatch.h"
#include "supervisor/control/listener.h"
#include "supervisor/control/message.h"

enum { ACCEPT_PER_TURN = 32 };
static const double accept_pause =
	1; /* seconds, when descriptors are short; less when a client leaves */

struct server {
	struct ev_loop *ev;
	struct server_options options;
	struct connections connections;
	struct dispatch dispatch;
	struct peer_groups groups;
	struct listener listener;
	struct buf greeting;
	ev_io accept;
	ev_timer accept_again;
	int reserve; /* given up for a moment to tell a client that there are no descriptors left */
};

/* --- who may come in --------------------------------------------------------------------- */

/* A socket that has just been made takes a line. */
static void refuse(int fd, const struct err *e)
{
	struct buf line = BUF_INIT;
	json_t *o = json_object();

	json_object_set_new(o, "error", api_error_json(e));
	codec_encode(o, &line);
	json_decref(o);
	(void)!send(fd, line.data, line.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	buf_release(&line);
	close(fd);
}

/* A client without a role gives way to one who has one. */
static bool displace(struct server *s)
{
	struct err e = ERR_INIT;

	for (struct connection *c = s->connections.first; c; c = c->next)
		if (c->role == API_ROLE_NONE) {
			err_set(&e, ERR_NO_RESOURCES,
				"too many clients: another one needs the place");
			connection_fail(c, &e);
			return true;
		}
	return false;
}

/* Root is neither counted nor refused. */
static int admit(struct server *s, const struct peer *p, enum api_role role, struct err *e)
{
	unsigned all = 0, same = 0;

	if (role == API_ROLE_ROOT)
		return 0;
	for (struct connection *c = s->connections.first; c; c = c->next) {
		all += c->role != API_ROLE_ROOT;
		same += c->peer->uid == p->uid;
	}
	if (same >= s->options.clients_per_user_max) {
		err_set(e, ERR_NO_RESOURCES, "too many clients of uid %u, %u are connected", p->uid,
			same);
		return err_hint(e, "MaxClientsPerUser= in vmkeep.conf");
	}
	if (all >= s->options.clients_max && !(role > API_ROLE_NONE && displace(s))) {
		err_set(e, ERR_NO_RESOURCES, "too many clients, %u are connected", all);
		return err_hint(e, "MaxClients= in vmkeep.conf");
	}
	return 0;
}

static void welcome(struct server *s, int fd)
{
	struct err e = ERR_INIT;
	struct peer *p = peer_new(fd, &e);
	enum api_role role = p ? peer_role(p, &s->groups) : API_ROLE_NONE;

	if (p && peer_is_jail(p))
		err_set(&e, ERR_PERMISSION, "%s is a guest's", p->who);
	else if (p)
		admit(s, p, role, &e);
	if (e.number) {
		peer_unref(p);
		refuse(fd, &e);
		return;
	}
	connection_put_bytes(
		connection_new(&s->connections, fd, p, role), s->greeting.data, s->greeting.len);
}

/* --- accepting --------------------------------------------------------------------------- */

static void keep_reserve(struct server *s)
{
	if (s->reserve < 0)
		s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void resume_accept(struct server *s)
{
	keep_reserve(s);
	if (!ev_is_active(&s->accept_again))
		return;
	ev_timer_stop(s->ev, &s->accept_again);
	ev_io_start(s->ev, &s->accept);
}

static void pause_accept(struct server *s)
{
	ev_io_stop(s->ev, &s->accept);
	ev_timer_set(&s->accept_again, accept_pause, 0);
	ev_timer_start(s->ev, &s->accept_again);
}

/* The listener would wake us for ever: takes one client from it, with words. False: it still would.
 */
static bool turn_away(struct server *s)
{
	struct err e = ERR_INIT;
	bool nobody;
	int fd;

	if (s->reserve < 0)
		return false;
	close_fd(&s->reserve);
	fd = accept4(s->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	nobody = fd < 0 && errno == EAGAIN;
	if (fd >= 0) {
		err_set(&e, ERR_NO_RESOURCES, "no descriptors left for a client");
		refuse(fd, &e);
	}
	keep_reserve(s);
	return (fd >= 0 || nobody) && s->reserve >= 0;
}

/* accept4() says EMFILE also when nobody waits. */
static void can_accept(struct ev_loop *ev, ev_io *w, int revents)
{
	struct server *s = container_of(w, struct server, accept);

	(void)ev, (void)revents;
	for (int i = 0; i < ACCEPT_PER_TURN; i++) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			welcome(s, fd);
		} else if (errno != EINTR && errno != ECONNABORTED) {
			if (errno != EAGAIN && !turn_away(s))
				pause_accept(s);
			return;
		}
	}
}

static void can_accept_again(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct server *s = container_of(w, struct server, accept_again);

	(void)revents;
	keep_reserve(s);
	ev_io_start(ev, &s->accept);
}

/* --- connections ------------------------------------------------------------------------- */

static void message_came(struct connections *cs, struct connection *c, const json_t *message)
{
	dispatch_message(&container_of(cs, struct server, connections)->dispatch, c, message);
}

static void client_left(struct connections *cs)
{
	resume_accept(container_of(cs, struct server, connections));
}

void server_event(struct server *s, const char *name, json_t *data)
{
	struct buf line = BUF_INIT;
	json_t *event = message_event(name, data);
	struct connection *next;

	codec_encode(event, &line);
	json_decref(event);
	for (struct connection *c = s->connections.first; c; c = next) {
		next = c->next;
		if (!c->subscribed)
			continue;
		c->subscribed = !c->once;
		connection_put_bytes(c, line.data, line.len);
	}
	buf_release(&line);
}

size_t server_clients(const struct server *s)
{
	return s->connections.n;
}

/* --- life -------------------------------------------------------------------------------- */

/* QMP tools read version.qemu and print it. */
static void make_greeting(struct buf *out)
{
	int major = 0, minor = 0, micro = 0;
	json_t *o;

	sscanf(VMKEEP_VERSION, "%d.%d.%d", &major, &minor, &micro);
	o = json_pack("{s:{s:{s:{s:i,s:i,s:i},s:s},s:[]},s:{s:s,s:i}}", "QMP", "version", "qemu",
		"major", major, "minor", minor, "micro", micro, "package", "vmkeep " VMKEEP_VERSION,
		"capabilities", "vmkeep", "version", VMKEEP_VERSION, "api", API_VERSION);
	codec_encode(o, out);
	json_decref(o);
}

static void set_limits(struct server *s, unsigned clients_max, unsigned clients_per_user_max)
{
	s->options.clients_max = clients_max ? clients_max : SERVER_CLIENTS_MAX;
	s->options.clients_per_user_max =
		clients_per_user_max ? clients_per_user_max : SERVER_CLIENTS_PER_USER_MAX;
}

struct server *server_new(struct ev_loop *ev, const struct server_options *o, struct err *e)
{
	struct server *s = xcalloc(1, sizeof *s);
	int r = o->inherited.fd ? listener_inherit(&s->listener, o->path, &o->inherited, e)
				: listener_open(&s->listener, o->path, e);

	if (r < 0) {
		free(s);
		return NULL;
	}
	s->ev = ev;
	s->options = *o;
	s->reserve = -1;
	s->connections.message = message_came;
	s->connections.left = client_left;
	keep_reserve(s);
	connections_init(&s->connections, ev);
	dispatch_init(&s->dispatch, &s->options);
	make_greeting(&s->greeting);
	server_reload(s, o->clients_max, o->clients_per_user_max);
	ev_timer_init(&s->accept_again, can_accept_again, 0, 0);
	ev_io_init(&s->accept, can_accept, s->listener.fd, EV_READ);
	ev_io_start(ev, &s->accept);
	return s;
}

void server_pause(struct server *s)
{
	ev_timer_stop(s->ev, &s->accept_again);
	ev_io_stop(s->ev, &s->accept);
}

struct listener_heritage server_hand_over(struct server *s)
{
	return listener_hand_over(&s->listener);
}

void server_free(struct server *s)
{
	if (!s)
		return;
	ev_timer_stop(s->ev, &s->accept_again);
	ev_io_stop(s->ev, &s->accept);
	listener_close(&s->listener);
	connections_release(&s->connections);
	dispatch_release(&s->dispatch);
	buf_release(&s->greeting);
	close_fd(&s->reserve);
	free(s);
}

void server_reload(struct server *s, unsigned clients_max, unsigned clients_per_user_max)
{
	set_limits(s, clients_max, clients_per_user_max);
	peer_groups_load(&s->groups);
	for (struct connection *c = s->connections.first; c; c = c->next) {
		c->role = peer_role(c->peer, &s->groups);
		c->subscribed = c->subscribed && c->role >= API_ROLE_VIEW;
	}
}
