/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/server.h - the control socket: clients in, requests to handlers, events out
 *
 * Owns the listener, connections, peer credentials and limits. Speaks QMP's dialect. A client
 * over its limits loses its own connection, never another client's, after one error line if it
 * reads. The kernel drops descriptors that clients send: no verb takes one, and closing a foreign
 * descriptor could block on its file system.
 */
#ifndef SUPERVISOR_CONTROL_SERVER_H
#define SUPERVISOR_CONTROL_SERVER_H

#include <jansson.h>

#include "base/err.h"
#include "supervisor/control/listener.h"
#include "supervisor/control/request.h"

struct accounts;
struct ev_loop;
struct server;

enum {
	SERVER_REQUEST_MAX = 1 << 20,	     /* bytes of one request */
	SERVER_OUTPUT_MAX = 4 << 20,	     /* unread output bytes of one client */
	SERVER_IN_FLIGHT_MAX = 64,	     /* requests of one client */
	SERVER_REQUEST_NO_ROLE_MAX = 4096,   /* bytes of one request from a client without a role */
	SERVER_VALUES_MAX = 4096,	     /* JSON values in one request */
	SERVER_OUTPUT_PAUSE = 256 << 10,     /* with this much unread, no more requests are read */
	SERVER_OUTPUT_PAUSE_SOON = 16 << 10, /* the same, once its user holds half the limit */
	SERVER_CLIENTS_MAX = 256,	     /* defaults of [Daemon] MaxClients= */
	SERVER_CLIENTS_PER_USER_MAX =
		64, /* and of MaxClientsPerUser=; root is exempt from both of these limits */
};

/* Verbs of the server itself, which need no daemon: qmp_capabilities, subscribe, query-schema. */
bool server_answers(const char *execute);

struct server_options {
	const char *path; /* of the socket, of any length; a stale socket is replaced */
	struct inherited_socket inherited;	    /* already listening at path, stolen */
	void (*run)(void *data, struct request *r); /* completes all other requests */
	struct accounts *accounts; /* per user; streams and requests may outlive the server */
	unsigned clients_max, clients_per_user_max; /* 0: defaults */
	/* True if this client, which lacks the role, owns the VM that the request names, or any
	 * VM (vm NULL). Called for verbs on a VM with role view or owner. NULL: nobody owns
	 * anything. */
	bool (*owns)(void *data, const struct request *r, const char *vm);
	/* The same for the "job" that job-cancel names: it is theirs, or its VM. */
	bool (*owns_job)(void *data, const struct request *r, json_int_t job);
	/* Running jobs of a VM ("": of none), not counting one that a new job would join. */
	unsigned (*jobs)(void *data, const struct request *r, const char *vm);
	void *data; /* for these callbacks */
};

/* Copies the options and the path. ERR_CONFLICT if another daemon answers at path. */
struct server *server_new(struct ev_loop *ev, const struct server_options *o, struct err *e);
/* Closes all connections and removes the path if it is still ours; pending requests end. Not from
 * inside a handler. NULL is fine. */
void server_free(struct server *s);

/* Stops accepting: clients wait in the listening socket for its heir. */
void server_pause(struct server *s);
/* Refuses whatever would begin a job or a stream, or no longer. */
void server_drain(struct server *s, bool drain);
/* Binds the path again if it no longer leads to the socket. 1: it did; 0: nothing to do.
 * Connected and queued clients are kept. */
int server_look(struct server *s, struct err *e);
/* For a successor by exec, see listener_hand_over(); the path is kept when s is freed. */
struct inherited_socket server_hand_over(struct server *s);

/* True if server_reload() would find other groups that grant a role. */
bool server_reload_plan(const struct server *s);
/* Sets new limits (0: defaults) and looks up the groups that grant a role again: connected
 * clients get their new roles. */
void server_reload(struct server *s, unsigned clients_max, unsigned clients_per_user_max);

/* To all subscribers. */
void server_event(struct server *s, const char *name, json_t *data /* stolen */);
size_t server_clients(const struct server *s);

#endif
