/* SPDX-License-Identifier: MIT */
#include "supervisor/control/dispatch.h"

#include <assert.h>

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/api/result.h"
#include "supervisor/control/request_private.h"

/* --- verbs of the server itself ---------------------------------------------------------- */

static void dispatch_run_capabilities(struct request *r)
{
	request_return(r, NULL);
}

static void dispatch_run_subscribe(struct request *r)
{
	r->connection->subscribed = true;
	r->connection->once = !request_bool(r, "follow", true);
	request_return(r, NULL);
}

/* The whole schema, or the JSON schema of a verb's --json output. */
static void dispatch_run_schema(struct request *r)
{
	const char *name = request_string(r, "verb");
	const struct api_verb *v = api_verb_by_command(name);
	struct err e = ERR_INIT;

	v = v ? v : api_verb_by_execute(name);
	if (name && (!v || !v->command)) {
		err_set(&e, ERR_NOT_FOUND, "no verb '%s'", name);
		err_hint(&e, "'vmkeep help' lists the commands");
		request_error(r, &e);
		return;
	}
	request_return(r, v ? api_json_schema(v) : api_schema());
}

/* clang-format off */
static const struct {
	const char *execute;
	void (*run)(struct request *r);
} own[] = {
	{ "qmp_capabilities", dispatch_run_capabilities },
	{ "subscribe",        dispatch_run_subscribe },
	{ "query-schema",     dispatch_run_schema },
};
/* clang-format on */

static size_t dispatch_find_own(const char *execute)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(own) && !streq(own[i].execute, execute))
		i++;
	return i;
}

bool server_answers(const char *execute)
{
	return dispatch_find_own(execute) < ARRAY_SIZE(own);
}

static void dispatch_run(void *data, struct request *r)
{
	const struct dispatch *d = data;
	size_t i = dispatch_find_own(r->message.verb->execute);

	if (i < ARRAY_SIZE(own))
		own[i].run(r);
	else
		d->options->run(d->options->data, r);
}

void dispatch_init(struct dispatch *d, struct ev_loop *ev, const struct server_options *o)
{
	d->options = o;
	turns_init(&d->turns, ev, o->accounts, dispatch_run, d);
}

void dispatch_release(struct dispatch *d)
{
	turns_release(&d->turns);
}

/* --- authorization ----------------------------------------------------------------------- */

static const char *const hint[] = {
	[API_ROLE_NONE] = "",
	[API_ROLE_VIEW] = "join group vmkeep-view (look) or vmkeep (operate), or use sudo",
	[API_ROLE_CREATE] = "join group vmkeep-create (own VMs) or vmkeep (all), or use sudo",
	[API_ROLE_OWNER] = "join group vmkeep, or be named by Owner= in the VM's file, or use sudo",
	[API_ROLE_OPERATOR] = "join group vmkeep, or use sudo",
	[API_ROLE_ROOT] = "only root may do this: use sudo",
};
static_assert(ARRAY_SIZE(hint) == API_ROLES, "a role has no hint");

static bool dispatch_owns(const struct dispatch *d, const struct request *r)
{
	const struct server_options *o = d->options;
	const struct api_verb *v = r->message.verb;
	json_int_t job = request_int(r, "job", -1);

	if (v->role != API_ROLE_VIEW && v->role != API_ROLE_OWNER)
		return false;
	if (v->target == API_VM || v->target == API_VMS)
		return o->owns && o->owns(o->data, r, request_string(r, "name"));
	if (v->traits & API_OWN_ROWS)
		return o->owns && o->owns(o->data, r, NULL);
	return job >= 0 && o->owns_job && o->owns_job(o->data, r, job);
}

static bool dispatch_may(const struct dispatch *d, struct request *r, struct err *e)
{
	const struct api_verb *v = r->message.verb;
	const char *name = request_string(r, "name");

	if (r->role >= v->role)
		return true;
	if (dispatch_owns(d, r)) {
		r->role = API_ROLE_OWNER;
		return true;
	}
	if (name && v->command)
		err_set(e, ERR_PERMISSION, "permission denied: %s may not %s '%s'", r->peer->user,
			v->command, name);
	else
		err_set(e, ERR_PERMISSION, "permission denied: %s may not %s%s", r->peer->user,
			v->command ? v->command : v->execute,
			v->traits & API_OWN_ROWS ? " VMs" : "");
	err_hint(e, "%s", hint[v->role]);
	return false;
}

/* --- messages ---------------------------------------------------------------------------- */

static bool dispatch_is_dry(const struct request *r)
{
	return request_bool(r, "dry-run", false);
}

/* One line for each verb that changes something. */
static void dispatch_log_verb(const struct request *r)
{
	const struct api_verb *v = r->message.verb;
	const char *name = request_string(r, "name");
	bool vm = v->target == API_VM || v->target == API_VMS;

	if (v->role < API_ROLE_OWNER || dispatch_is_dry(r))
		return;
	if (vm || !name)
		log_info(vm ? name : NULL, "%s by %s (pid %d)", v->execute, r->peer->who,
			(int)r->peer->pid);
	else
		log_info(NULL, "network %s: %s by %s (pid %d)", name, v->execute, r->peer->who,
			(int)r->peer->pid);
}

/* True if a job may be started now, and the one that it would start is within the limits. */
static bool dispatch_has_room(const struct dispatch *d, const struct request *r, struct err *e)
{
	const struct server_options *o = d->options;
	const char *vm = request_string(r, "name");

	if (d->drains && (r->message.verb->traits & (API_JOB | API_STREAM)))
		return err_set(e, ERR_CONFLICT,
			       "the daemon is being replaced, and begins nothing new: try again in a moment") ==
		       0;
	vm = vm ? vm : "";
	return !(r->message.verb->traits & API_JOB) || dispatch_is_dry(r) || !o->jobs ||
	       account_may_work(r->account, r->role, vm, o->jobs(o->data, r, vm), e) == 0;
}

static void control_dispatch_run(struct dispatch *d, struct connection *c, struct message *m)
{
	struct request *r = request_new(c, m);
	struct err e = ERR_INIT;

	if (!dispatch_may(d, r, &e) || !dispatch_has_room(d, r, &e)) {
		request_error(r, &e);
		return;
	}
	dispatch_log_verb(r);
	/* a dry run inspects the VM's images with qemu-img */
	if ((r->message.verb->traits & API_PROGRAMS) ||
		(dispatch_is_dry(r) && r->message.verb->target == API_VM))
		turns_take(&d->turns, r);
	else
		dispatch_run(d, r);
}

void dispatch_message(struct dispatch *d, struct connection *c, const json_t *message)
{
	struct message m;
	struct err e = ERR_INIT;
	int r = message_parse(&m, message, &e);

	if (r == 0 && c->in_flight >= SERVER_IN_FLIGHT_MAX) {
		err_set(&e, ERR_NO_RESOURCES, "more than %d requests under way",
			SERVER_IN_FLIGHT_MAX);
		connection_fail(c, &e);
	} else if (r < 0 || account_may_request(c->account, c->role, &e) < 0) {
		connection_put_error(c, &e, m.id);
	} else {
		control_dispatch_run(d, c, &m);
	}
	message_release(&m);
}
