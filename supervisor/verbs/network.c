/* SPDX-License-Identifier: MIT */
/* Network verbs. */
#include "supervisor/verbs/verb.h"

void verb_net_list(struct daemon *d, struct request *r)
{
	request_return(r, networks_list(d->networks));
}

/* False: no network has that name, and the client got the error. */
static bool verb_network_is_there(struct daemon *d, struct request *r)
{
	const char *name = request_string(r, "name");
	struct err e = ERR_INIT;

	if (networks_exists(d->networks, name, &e))
		return true;
	/* as for VMs: a harmful verb does not propose another network for a mistyped one */
	if (request_verb(r)->traits & API_HARMS)
		err_hint(&e, "vmkeep net list shows which networks there are");
	else if (vms_find(d->vms, name))
		err_hint(&e, "'%s' is a VM: see vmkeep info %s", name, name);
	request_error(r, &e);
	return false;
}

void verb_net_show(struct daemon *d, struct request *r)
{
	struct err e = ERR_INIT;

	if (verb_network_is_there(d, r))
		request_answer(r, networks_show(d->networks, request_string(r, "name"), &e), &e);
}

void verb_net_leases(struct daemon *d, struct request *r)
{
	struct err e = ERR_INIT;

	if (verb_network_is_there(d, r))
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
	if (verb_network_is_there(d, r))
		networks_need(d->networks, request_string(r, "name"), verb_network_net_started, r);
}

void verb_net_stop(struct daemon *d, struct request *r)
{
	const char *name = request_string(r, "name");
	bool force = request_bool(r, "force", false);
	struct err e = ERR_INIT;

	if (!verb_network_is_there(d, r))
		return;
	if (request_bool(r, "dry-run", false))
		request_answer(r, networks_stop_plan(d->networks, name, force, &e), &e);
	else
		networks_stop(d->networks, name, force, verb_network_net_stopped, r);
}
