/* SPDX-License-Identifier: MIT */
#include "supervisor/control/request.h"

#include "base/mem.h"
#include "conf/vm.h"
#include "supervisor/control/request_private.h"

static void request_unlink(struct request *r)
{
	struct connection *c = r->connection;

	if (!c)
		return;
	if (r->prev)
		r->prev->next = r->next;
	else
		c->request = r->next;
	if (r->next)
		r->next->prev = r->prev;
	r->prev = r->next = NULL;
	r->connection = NULL;
	c->in_flight--;
}

struct request *request_new(struct connection *c, struct message *m)
{
	struct request *r = xcalloc(1, sizeof *r);

	r->connection = c;
	r->message = *m;
	*m = (struct message){ 0 };
	r->peer = peer_ref(c->peer);
	r->role = c->role;
	r->account = account_ref(c->account);
	r->account->requests++;
	r->cost = sizeof *r + codec_cost(&c->in);
	account_change(r->account, 0, r->cost);
	r->next = c->request;
	if (r->next)
		r->next->prev = r;
	c->request = r;
	c->in_flight++;
	return r;
}

static void request_free(struct request *r)
{
	if (r->ending)
		return;
	request_unlink(r);
	message_release(&r->message);
	peer_unref(r->peer);
	account_change(r->account, r->cost, 0);
	r->account->requests--;
	if (r->is_program)
		account_program(r->account, -1);
	account_unref(r->account);
	free(r);
}

void request_orphan(struct request *r)
{
	request_unlink(r);
	if (!r->gone)
		return;
	r->ending = true;
	r->gone(r->gone_data);
	r->ending = false;
	request_free(r);
}

/* --- completion -------------------------------------------------------------------------- */

static void request_put_result(struct request *r, json_t *result)
{
	json_t *reply = json_pack(
		"{s:o, s:O*}", "return", result ? result : json_object(), "id", r->message.id);

	if (r->connection)
		connection_put(r->connection, reply);
	json_decref(reply);
}

void request_return(struct request *r, json_t *result)
{
	request_put_result(r, result);
	request_free(r);
}

void request_error(struct request *r, const struct err *e)
{
	if (r->failed)
		r->failed(r->failed_data, r, e);
	if (r->connection)
		connection_put_error(r->connection, e, r->message.id);
	request_free(r);
}

void request_answer(void *r, json_t *result, const struct err *e)
{
	if (!e || !e->number) {
		request_return(r, result);
		return;
	}
	json_decref(result);
	request_error(r, e);
}

int request_stream(struct request *r, json_t *result, struct buf *leftover, struct hold **hold)
{
	struct connection *c = r->connection;
	struct err e = ERR_INIT;

	if (c && c->hold && hold_may_stream(c->hold, &e) < 0) {
		json_decref(result);
		request_error(r, &e);
		return -1;
	}
	request_put_result(r, result);
	request_free(r);
	return c && !c->closed ? connection_take(c, leftover, hold) : -1;
}

void request_event(struct request *r, const char *name, json_t *data)
{
	json_t *event = message_event(name, data);

	if (r->connection)
		connection_put(r->connection, event);
	json_decref(event);
}

/* --- for handlers ------------------------------------------------------------------------ */

void request_on_gone(struct request *r, void (*gone)(void *data), void *data)
{
	r->gone = gone;
	r->gone_data = data;
}

void request_on_error(struct request *r, request_failed_fn *failed, void *data)
{
	r->failed = failed;
	r->failed_data = data;
}

const struct api_verb *request_verb(const struct request *r)
{
	return r->message.verb;
}

const json_t *request_arguments(const struct request *r)
{
	return r->message.arguments;
}

const char *request_string(const struct request *r, const char *arg)
{
	return json_string_value(json_object_get(r->message.arguments, arg));
}

bool request_bool(const struct request *r, const char *arg, bool otherwise)
{
	const json_t *value = json_object_get(r->message.arguments, arg);

	return value ? json_is_true(value) : otherwise;
}

json_int_t request_int(const struct request *r, const char *arg, json_int_t otherwise)
{
	const json_t *value = json_object_get(r->message.arguments, arg);

	return value ? json_integer_value(value) : otherwise;
}

double request_time(const struct request *r, const char *arg, double otherwise)
{
	const json_t *value = json_object_get(r->message.arguments, arg);

	return value ? json_number_value(value) : otherwise;
}

struct account *request_account(const struct request *r)
{
	return r->account;
}

size_t request_pass_cost(struct request *r)
{
	size_t cost = r->cost;

	r->cost = 0;
	return cost;
}

enum api_role request_role(const struct request *r)
{
	return r->role;
}

const char *request_who(const struct request *r)
{
	return r->peer->who;
}

struct peer *request_peer(const struct request *r)
{
	return r->peer;
}

bool request_owns(const struct request *r, const struct conf_list *owner)
{
	return peer_owns(r->peer, owner);
}
