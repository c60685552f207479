/* SPDX-License-Identifier: MIT */
#include "supervisor/verbs/verb.h"

#include <stdint.h>

#include "base/mem.h"

const struct server_handler verb_handlers[] = {
	{ "vm-start",	       verb_start },
	{ "vm-stop",	       verb_stop },
	{ "vm-kill",	       verb_kill },
	{ "vm-reboot",	       verb_reboot },
	{ "vm-reset",	       verb_reset },
	{ "vm-pause",	       verb_pause },
	{ "vm-resume",	       verb_resume },
	{ "vm-wait",	       verb_wait },
	{ "vm-list",	       verb_list },
	{ "vm-info",	       verb_info },
	{ "vm-ip",	       verb_ip },
	{ "vm-console",	       verb_console },
	{ "vm-log",	       verb_log },
	{ "vm-check",	       verb_check },
	{ "vm-cat",	       verb_cat },
	{ "vm-diff",	       verb_diff },
	{ "vm-cmdline",	       verb_cmdline },
	{ "vm-set-memory",     verb_set_memory },
	{ "vm-qmp",	       verb_qmp },
	{ "vm-history",	       verb_history },
	{ "vm-reset-failed",   verb_reset_failed },
	{ "vm-forget",	       verb_forget },
	{ "snapshot-create",   verb_snapshot_create },
	{ "snapshot-list",     verb_snapshot_list },
	{ "snapshot-revert",   verb_snapshot_revert },
	{ "snapshot-delete",   verb_snapshot_delete },
	{ "vms-shutdown",      verb_shutdown_all },
	{ "guest-ping",	       verb_guest_ping },
	{ "guest-info",	       verb_guest_info },
	{ "guest-exec",	       verb_guest_exec },
	{ "guest-fs",	       verb_guest_fs },
	{ "guest-trim",	       verb_guest_trim },
	{ "guest-freeze",      verb_guest_freeze },
	{ "guest-thaw",	       verb_guest_thaw },
	{ "guest-time",	       verb_guest_time },
	{ "guest-passwd",      verb_guest_passwd },
	{ "guest-command",     verb_guest_command },
	{ "job-list",	       verb_jobs },
	{ "job-cancel",	       verb_job_cancel },
	{ "net-list",	       verb_net_list },
	{ "net-show",	       verb_net_show },
	{ "net-leases",	       verb_net_leases },
	{ "net-start",	       verb_net_start },
	{ "net-stop",	       verb_net_stop },
	{ "host-check",	       verb_host_check },
	{ "reload",	       verb_reload },
	{ "reexec",	       verb_reexec },
	{ "query-version",     verb_version },
};
const size_t verb_handlers_n = ARRAY_SIZE(verb_handlers);

struct vm *verb_vm(struct daemon *d, struct request *r)
{
	struct err e = ERR_INIT;
	struct vm *vm = vms_get(d->vms, request_string(r, "name"), &e);

	if (!vm)
		request_error(r, &e);
	return vm;
}

static bool is_owner(void *data, const struct conf_list *owner)
{
	return request_owns(data, owner);
}

bool verb_owns(struct daemon *d, const struct request *r, const char *name)
{
	return vms_owned(d->vms, name, is_owner, (void *)(uintptr_t)r);
}

/* Only those that may be own ones are looked at again: there may be a thousand. */
bool verb_owns_row(struct daemon *d, const struct request *r, const struct vm *vm)
{
	return (vm->file.problems || request_owns(r, &vm->file.conf.owner)) && verb_owns(d, r, vm->name);
}

bool verb_owns_any(struct daemon *d, const struct request *r)
{
	vms_look(d->vms);
	for (size_t i = 0; i < d->vms->n; i++)
		if (verb_owns_row(d, r, d->vms->vm[i]))
			return true;
	return false;
}

static void job_done(void *data, struct job *j)
{
	struct request *r = data;

	if (j->error)
		request_error(r, j->error);
	else
		request_return(r, json_incref(j->result));
}

/* The job goes on; nobody is told. */
static void client_gone(void *data)
{
	struct job *j = data;

	job_on_done(j, NULL, NULL);
}

struct job *verb_job(struct daemon *d, struct request *r, const char *verb, const char *vm)
{
	struct job *j = job_new(d, verb, vm, request_who(r), request_account(r));

	if (!request_bool(r, "wait", true)) {
		request_return(r, json_pack("{s:i}", "job", (int)j->id));
		return j;
	}
	job_on_done(j, job_done, r);
	request_on_gone(r, client_gone, j);
	verb_job_started(r, j);
	return j;
}

void verb_job_started(struct request *r, const struct job *j)
{
	request_event(r, "JOB_STARTED",
		json_pack("{s:i, s:s, s:s}", "job", (int)j->id, "verb", j->verb, "name", j->vm));
}

bool verb_needs_guest(struct request *r, const struct vm *vm)
{
	struct err e = ERR_INIT;

	if (vm->st.state == VM_RUNNING || vm->st.state == VM_PAUSED)
		return true;
	err_set(&e, ERR_WRONG_STATE, "is %s%s%s%s", vm_state_name(vm->st.state), vm->st.reason[0] ? " (" : "",
		vm->st.reason, vm->st.reason[0] ? ")" : "");
	if (!vm_state_has_process(vm->st.state))
		err_hint(&e, "vmkeep start %s", vm->name);
	request_error(r, &e);
	return false;
}

/* A save or a load holds the disks: nothing but kill may tear it apart. */
bool verb_is_busy(struct request *r, const struct vm *vm)
{
	struct err e = ERR_INIT;

	if (!vm->busy)
		return false;
	err_set(&e, ERR_CONFLICT, "%s is under way", vm->busy);
	err_hint(&e, "vmkeep jobs shows how far it is");
	request_error(r, &e);
	return true;
}

/* One line; the file's name may hold anything but ": ". */
static json_t *problem_row(const char *line, size_t len)
{
	_cleanup_(free_ptr) char *text = xstrndup(line, len);
	char *number = strstr(text, ":"), *key = NULL, *reason = NULL;
	unsigned n = 0;

	while (number && sscanf(number, ":%u:", &n) != 1)
		number = strstr(number + 1, ":");
	if (!number)
		return json_pack("[n, n, n, s]", text);
	*number = '\0';
	key = strstr(number + 1, ": ");
	key = key ? key + 2 : number + 1;
	reason = strstr(key, ": ");
	if (!reason)
		return json_pack("[s, i, n, s]", text, (int)n, key);
	*reason = '\0';
	return json_pack("[s, i, s, s]", text, (int)n, key, reason + 2);
}

json_t *verb_problems(const struct conf_problems *p)
{
	json_t *rows = json_array();

	for (const char *line = p->text.data; line && *line;) {
		const char *end = strchrnul(line, '\n');

		json_array_append_new(rows, problem_row(line, (size_t)(end - line)));
		line = *end ? end + 1 : end;
	}
	return json_pack("{s:[s,s,s,s], s:o}", "columns", "file", "line", "key", "reason", "rows", rows);
}
