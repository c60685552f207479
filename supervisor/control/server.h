/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/server.h - the control socket: clients in, requests to handlers, events out
 *
 * Owns listener and connections, peer credentials, limits. Speaks QMP's dialect (blueprint 4). A
 * client over its limits loses its connection, never another client: it gets one error line where
 * it reads. Descriptors that clients send are dropped in the kernel: no verb takes one, and closing
 * a stranger's descriptor ourselves could wait for his file system.
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
	SERVER_REQUEST_MAX = 1 << 20,	   /* bytes of one request */
	SERVER_OUTPUT_MAX = 4 << 20,	   /* bytes not yet read by one client */
	SERVER_IN_FLIGHT_MAX = 64,	   /* requests of one client */
	SERVER_REQUEST_NO_ROLE_MAX = 4096, /* bytes of one request of who has no role */
	SERVER_VALUES_MAX = 4096,	   /* JSON values in one request */
	SERVER_OUTPUT_PAUSE = 256 << 10, /* with so much not yet read, no more requests are taken */
	SERVER_OUTPUT_PAUSE_SOON = 16 << 10, /* where its user holds half of what may be held */
	SERVER_CLIENTS_MAX = 256,	     /* defaults of [Daemon] MaxClients= */
	SERVER_CLIENTS_PER_USER_MAX =
		64, /* and MaxClientsPerUser=; root is not counted in either */
};

/* What the server answers itself, for it needs no daemon: qmp_capabilities, subscribe, query-schema. */
bool server_answers(const char *execute);

struct server_options {
	const char *path; /* of the socket, of any length; replaced when nobody listens there */
	struct listener_heritage inherited;	    /* stands at path already, stolen */
	void (*run)(void *data, struct request *r); /* completes all other requests */
	struct accounts *accounts; /* of the users; streams and requests may outlive the server */
	unsigned clients_max, clients_per_user_max; /* 0: defaults */
	/* Whether this caller, who has not the role, owns the VM that the request names, or any VM (vm
	 * NULL). Asked for verbs about a VM whose role is view or owner. NULL: nobody owns anything. */
	bool (*owns)(void *data, const struct request *r, const char *vm);
	/* The same for the VM of the "job" that job-cancel names. */
	bool (*owns_job)(void *data, const struct request *r, json_int_t job);
	/* Jobs under way for a VM ("": for none), where a new one would not join one of them. */
	unsigned (*jobs)(void *data, const struct request *r, const char *vm);
	void *data; /* of these */
};

/* The options and the path are copied. ERR_CONFLICT when another daemon answers at path. */
struct server *server_new(struct ev_loop *ev, const struct server_options *o, struct err *e);
/* Closes all connections and removes the path where it is still ours; requests under way are gone.
 * Not from inside a handler. NULL is fine. */
void server_free(struct server *s);

/* Takes no more clients: they wait in the listening socket for who inherits it. */
void server_pause(struct server *s);
/* Where its path no longer leads to it: binds it anew. 1: it did; 0: nothing to do. Clients that are
 * connected, or wait to be, stay. */
int server_look(struct server *s, struct err *e);
/* For a successor by exec, see listener_hand_over(); the path stays when s is freed. */
struct listener_heritage server_hand_over(struct server *s);

/* New limits (0: defaults), and the groups vmkeep and vmkeep-view are looked up again: clients that
 * are there get the role that they have now. */
/* Are the groups that have a role others now? */
bool server_reload_plan(const struct server *s);
void server_reload(struct server *s, unsigned clients_max, unsigned clients_per_user_max);

/* To all subscribers. */
void server_event(struct server *s, const char *name, json_t *data /* stolen */);
size_t server_clients(const struct server *s);

#endif
