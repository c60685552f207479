/* SPDX-License-Identifier: MIT */
/* Maps verbs to handlers. */
#include <assert.h>

#include "base/mem.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/verbs/verbs.h"

/* clang-format off */
const struct verb_row verb_table[] = {
	{ "vm-start",            .on_vm = verb_start },
	{ "vm-stop",             .on_vm = verb_stop },
	{ "vm-kill",             .on_vm = verb_kill },
	{ "vm-reboot",           .on_vm = verb_reboot },
	{ "vm-reset",            .on_vm = verb_reset, .records = "" },
	{ "vm-pause",            .on_vm = verb_pause },
	{ "vm-resume",           .on_vm = verb_resume },
	{ "vm-wait",             .on_vm = verb_wait },
	{ "vm-list",             .on_daemon = verb_list },
	{ "vm-info",             .on_vm = verb_info },
	{ "vm-ip",               .on_vm = verb_ip },
	{ "vm-ssh",              .on_vm = verb_ssh },
	{ "vm-console",          .on_vm = verb_console },
	{ "vm-log",              .on_vm = verb_log },
	{ "vm-check",            .on_daemon = verb_check },
	{ "vm-cat",              .on_vm = verb_cat },
	{ "vm-diff",             .on_vm = verb_diff },
	{ "vm-cmdline",          .on_vm = verb_cmdline },
	{ "vm-set",              .on_vm = verb_set },
	{ "vm-unset",            .on_vm = verb_unset },
	{ "vm-create",           .on_daemon = verb_create },
	{ "vm-run",              .on_daemon = verb_run },
	{ "vm-enable",           .on_vm = verb_enable },
	{ "vm-disable",          .on_vm = verb_disable },
	{ "vm-file",             .on_vm = verb_file },
	{ "vm-edit",             .on_vm = verb_edit },
	{ "vm-set-memory",       .on_vm = verb_set_memory, .records = "size" },
	{ "vm-cd",               .on_vm = verb_cd, .records = "action" },
	{ "nic-attach",          .on_vm = verb_nic_attach, .records = "id" },
	{ "nic-detach",          .on_vm = verb_nic_detach, .records = "id" },
	{ "nic-link",            .on_vm = verb_nic_link, .records = "link" },
	{ "disk-attach",         .on_vm = verb_disk_attach, .records = "id" },
	{ "disk-detach",         .on_vm = verb_disk_detach, .records = "id" },
	{ "vm-qmp",              .on_vm = verb_qmp, .records = "command" },
	{ "vm-history",          .on_vm = verb_history },
	{ "vm-reset-failed",     .on_vm = verb_reset_failed },
	{ "vm-forget",           .on_daemon = verb_forget },
	{ "vm-delete",           .on_vm = verb_delete },
	{ "vm-clone",            .on_vm = verb_clone },
	{ "vm-prepare",          .on_vm = verb_prepare, .records = "" },
	{ "vm-rename",           .on_vm = verb_rename },
	{ "snapshot-create",     .on_vm = verb_snapshot_create, .records = "snapshot" },
	{ "snapshot-list",       .on_vm = verb_snapshot_list },
	{ "snapshot-revert",     .on_vm = verb_snapshot_revert, .records = "snapshot" },
	{ "snapshot-delete",     .on_vm = verb_snapshot_delete, .records = "snapshot" },
	{ "vms-shutdown",        .on_daemon = verb_shutdown_all },
	{ "guest-ping",          .on_vm = verb_guest_ping },
	{ "guest-info",          .on_vm = verb_guest_info },
	{ "guest-exec",          .on_vm = verb_guest_exec, .records = "command" },
	{ "guest-push",          .on_vm = verb_guest_push, .records = "path" },
	{ "guest-pull",          .on_vm = verb_guest_pull, .records = "path" },
	{ "guest-fs",            .on_vm = verb_guest_fs },
	{ "guest-trim",          .on_vm = verb_guest_trim, .records = "" },
	{ "guest-freeze",        .on_vm = verb_guest_freeze, .records = "" },
	{ "guest-thaw",          .on_vm = verb_guest_thaw, .records = "" },
	{ "guest-time",          .on_vm = verb_guest_time, .records = "sync" },
	{ "guest-passwd",        .on_vm = verb_guest_passwd, .records = "user" },
	{ "guest-command",       .on_vm = verb_guest_command, .records = "command" },
	{ "job-list",            .on_daemon = verb_jobs },
	{ "job-cancel",          .on_daemon = verb_job_cancel },
	{ "net-list",            .on_daemon = verb_net_list },
	{ "net-show",            .on_daemon = verb_net_show },
	{ "net-leases",          .on_daemon = verb_net_leases },
	{ "net-start",           .on_daemon = verb_net_start },
	{ "net-stop",            .on_daemon = verb_net_stop },
	{ "store-list",          .on_daemon = verb_store_list },
	{ "image-list",          .on_daemon = verb_image_list },
	{ "image-fetch",         .on_daemon = verb_image_fetch },
	{ "image-rm",            .on_daemon = verb_image_rm },
	{ "image-prune",         .on_daemon = verb_image_prune },
	{ "host-check",          .on_daemon = verb_host_check },
	{ "reload",              .on_daemon = verb_reload },
	{ "reexec",              .on_daemon = verb_reexec },
	{ "query-version",       .on_daemon = verb_version },
	{ "debug-loop",          .on_daemon = verb_debug_loop },
};
/* clang-format on */
const size_t verb_table_n = ARRAY_SIZE(verb_table);

static const struct verb_row *verb_table_row(const char *execute)
{
	for (size_t i = 0; i < verb_table_n; i++)
		if (streq(verb_table[i].execute, execute))
			return &verb_table[i];
	return NULL;
}

void verbs_run(void *data, struct request *r)
{
	const struct api_verb *v = request_verb(r);
	const struct verb_row *row = verb_table_row(v->execute);
	struct vm *vm;

	assert(row);
	if (!row->on_vm) {
		row->on_daemon(data, r);
		return;
	}
	vm = verb_vm(data, r);
	if (vm && v->role > API_ROLE_VIEW && !(v->traits & API_STREAM))
		verb_record_errors(data, r);
	if (!vm || !verb_may_keep(r, vm) || (!(v->traits & API_JOINS) && !verb_may(r, vm)))
		return;
	if (row->records)
		verb_record(vm, r, row->records);
	row->on_vm(vm, r);
}
