/* SPDX-License-Identifier: MIT */
/* Jobs, networks, raw QMP, the daemon itself. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/verbs/verb.h"

#define QMP_TIMEOUT 30.0 /* seconds */

void verb_version(void *data, struct request *r)
{
	struct daemon *d = data;

	request_return(r, json_pack("{s:s, s:i, s:i, s:f, s:f, s:f}", "package", VMKEEP_VERSION, "api", API_VERSION,
				  "pid", (int)getpid(), "uptime", clock_boot() - d->started, "longest_turn",
				  d->loop.longest_turn, "longest_turn_elapsed", d->loop.longest_elapsed));
}

void verb_jobs(void *data, struct request *r)
{
	request_return(r, jobs_list(data));
}

void verb_job_cancel(void *data, struct request *r)
{
	struct job *j = job_find(data, request_int(r, "job", 0));
	struct err e = ERR_INIT;

	if (j && j->ended <= 0 && j->cancel) {
		if (j->cancel(j->cancel_data, &e) < 0)
			request_error(r, &e);
		else
			request_return(r, NULL);
		return;
	}
	if (!j)
		err_set(&e, ERR_NOT_FOUND, "no such job");
	else if (j->ended > 0)
		err_set(&e, ERR_WRONG_STATE, "the job has ended");
	else
		err_set(&e, ERR_WRONG_STATE, "%s cannot be cancelled", j->verb);
	request_error(r, &e);
}

/* --- raw QMP --- */

struct raw {
	struct request *r;
};

static void raw_gone(void *data)
{
	struct raw *raw = data;

	raw->r = NULL;
}

static void raw_reply(void *data, const json_t *result, const struct err *e)
{
	struct raw *raw = data;

	if (raw->r && e)
		request_error(raw->r, e);
	else if (raw->r)
		request_return(raw->r, result ? json_deep_copy(result) : NULL);
	free(raw);
}

void verb_qmp(void *data, struct request *r)
{
	struct vm *vm = verb_vm(data, r);
	const json_t *command;
	const char *execute;
	json_t *arguments;
	struct err e = ERR_INIT;
	struct raw *raw;

	if (!vm || !verb_needs_guest(r, vm))
		return;
	command = json_object_get(request_arguments(r), "command");
	execute = json_string_value(json_is_string(command) ? command : json_object_get(command, "execute"));
	if (!execute || !vm->mon.qmp) {
		if (!execute)
			err_set(&e, ERR_USAGE, "not a QMP command: it has no \"execute\"");
		else
			err_set(&e, ERR_TIMEOUT, "its monitor does not answer");
		request_error(r, &e);
		return;
	}
	log_info(vm->name, "qmp %s by %s", execute, request_who(r));
	/* these change its state, and the history says who did */
	if (streq(execute, "quit") || streq(execute, "stop") || streq(execute, "cont"))
		vm_asked(vm, request_who(r));
	arguments = json_object_get(command, "arguments");
	raw = xcalloc(1, sizeof *raw);
	raw->r = r;
	request_on_gone(r, raw_gone, raw);
	qmp_call(vm->mon.qmp, execute, arguments ? json_deep_copy(arguments) : NULL, -1,
		request_time(r, "timeout", QMP_TIMEOUT), raw_reply, raw);
}

/* --- networks --- */

void verb_net_list(void *data, struct request *r)
{
	struct daemon *d = data;

	request_return(r, networks_list(d->networks));
}

static void answer(struct request *r, json_t *result, const struct err *e)
{
	if (result)
		request_return(r, result);
	else
		request_error(r, e);
}

void verb_net_show(void *data, struct request *r)
{
	struct daemon *d = data;
	struct err e = ERR_INIT;

	answer(r, networks_show(d->networks, request_string(r, "name"), &e), &e);
}

void verb_net_leases(void *data, struct request *r)
{
	struct daemon *d = data;
	struct err e = ERR_INIT;

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

void verb_net_start(void *data, struct request *r)
{
	struct daemon *d = data;

	networks_need(d->networks, request_string(r, "name"), net_done, net_new(r, "up"));
}

void verb_net_stop(void *data, struct request *r)
{
	struct daemon *d = data;
	const char *name = request_string(r, "name");
	bool force = request_bool(r, "force", false);
	struct err e = ERR_INIT;

	if (request_bool(r, "dry-run", false))
		answer(r, networks_stop_plan(d->networks, name, force, &e), &e);
	else
		networks_stop(d->networks, name, force, net_done, net_new(r, "down"));
}
