/* SPDX-License-Identifier: MIT */
/* Networks. */
#include "base/mem.h"
#include "supervisor/verbs/verb.h"

void verb_net_list(struct daemon *d, struct vm *vm, struct request *r)
{
	(void)vm;
	request_return(r, networks_list(d->networks));
}

static void answer(struct request *r, json_t *result, const struct err *e)
{
	if (result)
		request_return(r, result);
	else
		request_error(r, e);
}

void verb_net_show(struct daemon *d, struct vm *vm, struct request *r)
{
	struct err e = ERR_INIT;

	(void)vm;
	answer(r, networks_show(d->networks, request_string(r, "name"), &e), &e);
}

void verb_net_leases(struct daemon *d, struct vm *vm, struct request *r)
{
	struct err e = ERR_INIT;

	(void)vm;
	answer(r, networks_leases(d->networks, request_string(r, "name"), &e), &e);
}

struct net { /* a request that waits for a network */
	struct request *r;
	const char *state; /* what it will be */
};

static void net_gone(void *data)
{
	struct net *n = data;

	n->r = NULL;
}

static void net_done(void *data, const struct err *e)
{
	struct net *n = data;

	if (n->r && e)
		request_error(n->r, e);
	else if (n->r)
		request_return(n->r, json_pack("{s:s}", "state", n->state));
	free(n);
}

static struct net *net_new(struct request *r, const char *state)
{
	struct net *n = xcalloc(1, sizeof *n);

	n->r = r;
	n->state = state;
	request_on_gone(r, net_gone, n);
	return n;
}

void verb_net_start(struct daemon *d, struct vm *vm, struct request *r)
{
	(void)vm;
	networks_need(d->networks, request_string(r, "name"), net_done, net_new(r, "up"));
}

void verb_net_stop(struct daemon *d, struct vm *vm, struct request *r)
{
	const char *name = request_string(r, "name");
	bool force = request_bool(r, "force", false);
	struct err e = ERR_INIT;

	(void)vm;
	if (request_bool(r, "dry-run", false))
		answer(r, networks_stop_plan(d->networks, name, force, &e), &e);
	else
		networks_stop(d->networks, name, force, net_done, net_new(r, "down"));
}
