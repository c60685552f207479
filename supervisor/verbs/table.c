/* SPDX-License-Identifier: MIT */
/* Which handler answers which verb. */
#include <assert.h>

#include "base/mem.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/verbs/verbs.h"

/* clang-format off */
const struct verb_row verb_table[] = {
	{ "vm-start",            verb_start },
	{ "vm-stop",             verb_stop },
	{ "vm-kill",             verb_kill },
	{ "vm-reboot",           verb_reboot },
	{ "vm-reset",            verb_reset },
	{ "vm-pause",            verb_pause },
	{ "vm-resume",           verb_resume },
	{ "vm-wait",             verb_wait },
	{ "vm-list",             verb_list },
	{ "vm-info",             verb_info },
	{ "vm-ip",               verb_ip },
	{ "vm-console",          verb_console },
	{ "vm-log",              verb_log },
	{ "vm-check",            verb_check },
	{ "vm-cat",              verb_cat },
	{ "vm-diff",             verb_diff },
	{ "vm-cmdline",          verb_cmdline },
	{ "vm-set-memory",       verb_set_memory },
	{ "vm-qmp",              verb_qmp },
	{ "vm-history",          verb_history },
	{ "vm-reset-failed",     verb_reset_failed },
	{ "vm-forget",           verb_forget },
	{ "snapshot-create",     verb_snapshot_create },
	{ "snapshot-list",       verb_snapshot_list },
	{ "snapshot-revert",     verb_snapshot_revert },
	{ "snapshot-delete",     verb_snapshot_delete },
	{ "vms-shutdown",        verb_shutdown_all },
	{ "guest-ping",          verb_guest_ping },
	{ "guest-info",          verb_guest_info },
	{ "guest-exec",          verb_guest_exec },
	{ "guest-fs",            verb_guest_fs },
	{ "guest-trim",          verb_guest_trim },
	{ "guest-freeze",        verb_guest_freeze },
	{ "guest-thaw",          verb_guest_thaw },
	{ "guest-time",          verb_guest_time },
	{ "guest-passwd",        verb_guest_passwd },
	{ "guest-command",       verb_guest_command },
	{ "job-list",            verb_jobs },
	{ "job-cancel",          verb_job_cancel },
	{ "net-list",            verb_net_list },
	{ "net-show",            verb_net_show },
	{ "net-leases",          verb_net_leases },
	{ "net-start",           verb_net_start },
	{ "net-stop",            verb_net_stop },
	{ "host-check",          verb_host_check },
	{ "reload",              verb_reload },
	{ "reexec",              verb_reexec },
	{ "query-version",       verb_version },
	{ "debug-loop",          verb_debug_loop },
};
/* clang-format on */
const size_t verb_table_n = ARRAY_SIZE(verb_table);

static verb_fn *verb_table_handler_of(const char *execute)
{
	for (size_t i = 0; i < verb_table_n; i++)
		if (streq(verb_table[i].execute, execute))
			return verb_table[i].run;
	return NULL;
}

void verbs_run(void *data, struct request *r)
{
	const struct api_verb *v = request_verb(r);
	verb_fn *run = verb_table_handler_of(v->execute);
	struct vm *vm = NULL;

	assert(run);
	if ((v->target == API_VM || v->target == API_VMS) && !(v->traits & API_NAME_ONLY)) {
		vm = verb_vm(data, r);
		if (!vm || (!(v->traits & API_JOINS) && !verb_may(r, vm)))
			return;
	}
	run(data, vm, r);
}
