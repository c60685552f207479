/* SPDX-License-Identifier: MIT */
#include "supervisor/control/server.h"

#include <sys/socket.h>

#include "base/accept.h"
#include "base/mem.h"
#include "supervisor/control/connection.h"
#include "supervisor/control/dispatch.h"
#include "supervisor/control/listener.h"
#include "supervisor/control/message.h"
#include "supervisor/control/request_private.h"

enum { ACCEPT_PER_TURN = 32, ACCEPT_LAST = 4096 /* the longest backlog */ };

struct server {
	struct ev_loop *ev;
	struct server_options options;
	struct accounts *accounts;
	struct connections connections;
	struct dispatch dispatch;
	struct peer_groups groups;
	struct listener listener;
	char *path;
	bool paused;
	struct line *greeting;
	struct acceptor acceptor;
};

/* --- admission --------------------------------------------------------------------------- */

/* A new socket has buffer space for one line. */
static void server_refuse(int fd, const struct err *e)
{
	struct buf line = BUF_INIT;
	json_t *o = json_pack("{s:o}", "error", api_error_json(e));

	codec_encode(o, &line);
	json_decref(o);
	(void)!send(fd, line.data, line.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	buf_release(&line);
	close(fd);
}

static void server_welcome(struct acceptor *acceptor, int fd)
{
	struct server *s = container_of(acceptor, struct server, acceptor);
	struct err e = ERR_INIT;
	struct peer *p = peer_new(fd, &e);
	enum api_role role = p ? peer_role(p, &s->groups) : API_ROLE_NONE;
	struct account *a = p ? account_of(s->accounts, p->uid, role == API_ROLE_ROOT) : NULL;

	if (p && peer_is_jail(p))
		err_set(&e, ERR_PERMISSION, "%s is a guest's", p->user);
	else if (p)
		account_may_connect(a, role, &e);
	if (e.number) {
		peer_unref(p);
		server_refuse(fd, &e);
	} else {
		connection_put_line(connection_new(&s->connections, fd, p, a, role), s->greeting);
	}
	account_unref(a);
}

static void server_no_descriptors(struct acceptor *a, int fd)
{
	struct err e = ERR_INIT;

	err_set(&e, ERR_NO_RESOURCES, "no descriptors left for a client");
	server_refuse(fd, &e);
}

/* --- connections ------------------------------------------------------------------------- */

static void server_message_came(struct connections *cs, struct connection *c, const json_t *message)
{
	dispatch_message(&container_of(cs, struct server, connections)->dispatch, c, message);
}

static void server_client_left(struct connections *cs)
{
	acceptor_retry(&container_of(cs, struct server, connections)->acceptor);
}

static struct line *server_encode(json_t *message /* stolen */)
{
	struct buf text = BUF_INIT;
	struct line *l;

	codec_encode(message, &text);
	json_decref(message);
	l = line_new(text.data, text.len);
	buf_release(&text);
	return l;
}

void server_event(struct server *s, const char *name, json_t *data)
{
	struct line *l = server_encode(message_event(name, data));

	/* a connection closed here stays in memory, with its next, until the iteration ends */
	for (struct connection *c = s->connections.first; c; c = c->next) {
		if (!c->subscribed)
			continue;
		c->subscribed = !c->once;
		connection_put_line(c, l);
	}
	line_unref(l);
}

size_t server_clients(const struct server *s)
{
	return s->connections.n;
}

/* --- life cycle -------------------------------------------------------------------------- */

/* QMP tools read version.qemu and print it. */
static struct line *server_make_greeting(void)
{
	int major = 0, minor = 0, micro = 0;

	sscanf(VMKEEP_VERSION, "%d.%d.%d", &major, &minor, &micro);
	return server_encode(json_pack("{s:{s:{s:{s:i,s:i,s:i},s:s},s:[]},s:{s:s,s:i}}", "QMP",
		"version", "qemu", "major", major, "minor", minor, "micro", micro, "package",
		"vmkeep " VMKEEP_VERSION, "capabilities", "vmkeep", "version", VMKEEP_VERSION,
		"api", API_VERSION));
}

static void server_set_limits(struct server *s, unsigned clients_max, unsigned clients_per_user_max)
{
	s->accounts->clients_max = clients_max ? clients_max : SERVER_CLIENTS_MAX;
	s->accounts->clients_per_user_max =
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
	s->path = xstrdup(o->path);
	s->options.path = s->path;
	s->accounts = o->accounts;
	s->connections.message = server_message_came;
	s->connections.orphaned = request_orphan;
	s->connections.left = server_client_left;
	connections_init(&s->connections, ev);
	dispatch_init(&s->dispatch, ev, &s->options);
	s->greeting = server_make_greeting();
	server_reload(s, o->clients_max, o->clients_per_user_max);
	acceptor_init(&s->acceptor, ev, s->listener.fd, ACCEPT_PER_TURN, server_welcome,
		server_no_descriptors);
	acceptor_start(&s->acceptor);
	return s;
}

void server_pause(struct server *s)
{
	s->paused = true;
	acceptor_stop(&s->acceptor);
}

void server_drain(struct server *s, bool drain)
{
	s->dispatch.drains = drain;
}

int server_look(struct server *s, struct err *e)
{
	struct listener fresh;
	int r, fd;

	if (s->paused || !listener_is_lost(&s->listener, s->path))
		return 0;
	r = listener_open(&fresh, s->path, e);
	if (r < 0)
		return r;
	/* clients queued in the old socket came by this path too */
	for (int i = 0; i < ACCEPT_LAST; i++) {
		fd = accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			break;
		server_welcome(&s->acceptor, fd);
	}
	acceptor_stop(&s->acceptor);
	listener_close(&s->listener);
	s->listener = fresh;
	acceptor_init(&s->acceptor, s->ev, s->listener.fd, ACCEPT_PER_TURN, server_welcome,
		server_no_descriptors);
	acceptor_start(&s->acceptor);
	return 1;
}

struct inherited_socket server_hand_over(struct server *s)
{
	return listener_hand_over(&s->listener);
}

void server_free(struct server *s)
{
	if (!s)
		return;
	acceptor_stop(&s->acceptor);
	listener_close(&s->listener);
	connections_release(&s->connections);
	dispatch_release(&s->dispatch);
	line_unref(s->greeting);
	free(s->path);
	free(s);
}

void server_reload(struct server *s, unsigned clients_max, unsigned clients_per_user_max)
{
	server_set_limits(s, clients_max, clients_per_user_max);
	peer_groups_load(&s->groups);
	for (struct connection *c = s->connections.first; c; c = c->next)
		connection_set_role(c, peer_role(c->peer, &s->groups));
}

bool server_reload_plan(const struct server *s)
{
	struct peer_groups fresh;

	peer_groups_load(&fresh);
	return memcmp(&fresh, &s->groups, sizeof fresh) != 0;
}
