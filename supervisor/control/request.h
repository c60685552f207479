/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/request.h - one request of a client, as its handler sees it
 *
 * Handlers know nothing of framing or sockets. Each request is completed exactly once: by
 * request_return(), request_error() or request_stream(), in the handler or later; completing frees
 * it. When the client goes away first, either the handler has asked to be told by
 * request_on_gone(): then the request ends with that call, which comes from the loop. Or it has
 * not: then completing is still due, and answers nobody.
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
/* The one or the other: the error where there is one, else the result. r: the request, so that this
 * is what it says to many a callback. */
void request_answer(void *r, json_t *result /* stolen */, const struct err *e);
/* Replies {"return": result} and hands over the connection: a non-blocking socket, now the
 * caller's, with the reply written. leftover: bytes the client already sent behind the request,
 * without the line's end. hold: the caller's too, to be freed when the descriptor is closed. Returns
 * the descriptor, or -1 when the client is gone, does not read, or was told that its user has too
 * many streams. Other requests of this client are gone too. */
struct buf;
struct hold;
int request_stream(
	struct request *r, json_t *result /* stolen */, struct buf *leftover, struct hold **hold);

/* An event for this client only, e.g. progress of the job that it waits for. */
void request_event(struct request *r, const char *name, json_t *data /* stolen */);

/* gone is called once when the client leaves before completion; the request ends with it. NULL: not
 * any more. */
void request_on_gone(struct request *r, void (*gone)(void *data), void *data);

const struct api_verb *request_verb(const struct request *r);
/* Arguments were checked against the verb's table: names, types, required ones. Sizes and times
 * given as text were already turned into numbers (bytes; seconds). */
const json_t *request_arguments(const struct request *r);
const char *request_string(const struct request *r, const char *arg); /* NULL: absent */
bool request_bool(const struct request *r, const char *arg, bool otherwise);
json_int_t request_int(const struct request *r, const char *arg, json_int_t otherwise);
double request_time(const struct request *r, const char *arg, double otherwise); /* seconds */

struct account;
struct account *request_account(const struct request *r);
/* What the request was let in with: API_ROLE_OWNER for an owner of the VM without a role. */
enum api_role request_role(const struct request *r);
/* "uid 1000 (pid 4711)", for logs and history. */
const char *request_who(const struct request *r);
/* Is the client one of these owners: users, @groups, by name or number? Names are looked up in
 * /etc/passwd and /etc/group only: asking a directory server would stop the loop. */
struct conf_list;
bool request_owns(const struct request *r, const struct conf_list *owner);

#endif
