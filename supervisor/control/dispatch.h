/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/dispatch.h - from a message to its handler: verb, arguments, role
 */
#ifndef SUPERVISOR_CONTROL_DISPATCH_H
#define SUPERVISOR_CONTROL_DISPATCH_H

#include "supervisor/control/connection.h"
#include "supervisor/control/server.h"
#include "supervisor/control/turns.h"

struct dispatch {
	const struct server_options *options; /* the server's copy */
	struct turns turns;		      /* requests waiting to run programs */
	bool drains;			      /* no job or stream begins */
};

void dispatch_init(struct dispatch *d, struct ev_loop *ev, const struct server_options *o);
void dispatch_release(struct dispatch *d); /* after all connections */
/* Answers invalid and unauthorized requests; passes all others to their handler. */
void dispatch_message(struct dispatch *d, struct connection *c, const json_t *message);

#endif
