/* SPDX-License-Identifier: MIT */
/* Network verbs. */
#include "supervisor/verbs/verb.h"

void verb_net_list(struct daemon *d, struct request *r)
{
	request_return(r, networks_list(d->networks));
}

void verb_net_show(struct daemon *d, struct request *r)
{
	struct err e = ERR_INIT;

	request_answer(r, networks_show(d->networks, request_string(r, "name"), &e), &e);
}

void verb_net_leases(struct daemon *d, struct request *r)
{
	struct err e = ERR_INIT;

	request_answer(r, networks_leases(d->networks, request_string(r, "name"), &e), &e);
}

static void verb_network_net_started(void *data, const struct err *e)
{
	request_answer(data, e ? NULL : json_pack("{s:s}", "state", "up"), e);
}

static void verb_network_net_stopped(void *data, const struct err *e)
{
	request_answer(data, e ? NULL : json_pack("{s:s}", "state", "down"), e);
}

void verb_net_start(struct daemon *d, struct request *r)
{
	networks_need(d->networks, request_string(r, "name"), verb_network_net_started, r);
}

void verb_net_stop(struct daemon *d, struct request *r)
{
	const char *name = request_string(r, "name");
	bool force = request_bool(r, "force", false);
	struct err e = ERR_INIT;

	if (request_bool(r, "dry-run", false))
		request_answer(r, networks_stop_plan(d->networks, name, force, &e), &e);
	else
		networks_stop(d->networks, name, force, verb_network_net_stopped, r);
}
