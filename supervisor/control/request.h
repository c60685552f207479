/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/request.h - one request of a client, as its handler sees it
 *
 * Handlers know nothing of framing or sockets. Each request is completed exactly once: by
 * request_return(), request_error() or request_stream(), in the handler or later; completing
 * frees it. If the client disconnects first and the handler has set request_on_gone(), the
 * request ends with that call, which comes from the loop. If it has not, it must still complete
 * the request; the answer is dropped.
 */
#ifndef SUPERVISOR_CONTROL_REQUEST_H
#define SUPERVISOR_CONTROL_REQUEST_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "supervisor/api/api.h"

struct request;

void request_return(struct request *r, json_t *result /* stolen; NULL: {} */);
void request_error(struct request *r, const struct err *e);
/* Returns the error if e is set, else the result. r is the request; void *, so that this can
 * serve as a callback. */
void request_answer(void *r, json_t *result /* stolen */, const struct err *e);
/* Replies {"return": result} and hands over the connection: a non-blocking socket, owned by the
 * caller, with the reply written. leftover: bytes the client sent after the request, without the
 * end of its line. hold: also the caller's, to be freed when the descriptor is closed. Returns
 * the descriptor, or -1 if the client is gone, does not read, or was told that its user has too
 * many streams. The client's other requests end too. */
struct buf;
struct hold;
int request_stream(
	struct request *r, json_t *result /* stolen */, struct buf *leftover, struct hold **hold);

/* An event for this client only, e.g. progress of the job that it waits for. */
void request_event(struct request *r, const char *name, json_t *data /* stolen */);

/* gone is called once if the client disconnects before completion; the request ends with it.
 * NULL: no longer. */
void request_on_gone(struct request *r, void (*gone)(void *data), void *data);

/* failed is called with each error that ends the request, also if the client is gone. NULL: no
 * longer. */
typedef void request_failed_fn(void *data, const struct request *r, const struct err *e);
void request_on_error(struct request *r, request_failed_fn *failed, void *data);

const struct api_verb *request_verb(const struct request *r);
/* Already checked against the verb's table: names, types, required ones. Sizes and times given as
 * text were converted to numbers (bytes; seconds). */
const json_t *request_arguments(const struct request *r);
const char *request_string(const struct request *r, const char *arg); /* NULL: absent */
bool request_bool(const struct request *r, const char *arg, bool otherwise);
json_int_t request_int(const struct request *r, const char *arg, json_int_t otherwise);
double request_time(const struct request *r, const char *arg, double otherwise); /* seconds */

struct account;
struct account *request_account(const struct request *r);
struct peer;
struct peer *request_peer(const struct request *r); /* borrowed */
/* The bytes of the request that its account is charged with; the caller's to give back from now on.
 * For what keeps the arguments longer than the request lives. */
size_t request_pass_cost(struct request *r);
/* The role that admitted the request: API_ROLE_OWNER for an owner of the VM without a role. */
enum api_role request_role(const struct request *r);
/* "uid 1000 (pid 4711)", for logs and history. */
const char *request_who(const struct request *r);
/* True if the client is one of these owners: users or @groups, by name or number. Names are
 * looked up only in /etc/passwd and /etc/group: a query to a directory server would block the
 * loop. */
struct conf_list;
bool request_owns(const struct request *r, const struct conf_list *owner);

#endif
