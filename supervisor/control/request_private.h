/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/request_private.h - a request, as the server sees it
 *
 * Linked to its connection until it is completed or the connection is freed.
 */
#ifndef SUPERVISOR_CONTROL_REQUEST_PRIVATE_H
#define SUPERVISOR_CONTROL_REQUEST_PRIVATE_H

#include "supervisor/control/connection.h"
#include "supervisor/control/message.h"
#include "supervisor/control/request.h"

struct request {
	struct connection *connection; /* NULL: freed */
	struct request *prev, *next;
	struct message message;
	struct peer *peer;
	struct account *account;
	size_t cost;	 /* bytes charged to the account */
	bool is_program; /* counted among the account's programs */
	enum api_role role;
	void (*gone)(void *data);
	void *gone_data;
	bool ending; /* gone is being called */
	request_failed_fn *failed;
	void *failed_data;
};

struct request *request_new(struct connection *c, struct message *m /* stolen */);
/* The connection is about to be freed: notifies the handler. */
void request_orphan(struct request *r);

#endif
