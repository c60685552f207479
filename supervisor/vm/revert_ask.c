/* SPDX-License-Identifier: MIT */
/* A QEMU that was loading a snapshot when its daemon ended: asks it for the result. */
#include "base/log.h"
#include "qmp/job.h"
#include "supervisor/vm/revert.h"
#include "supervisor/vm/vms.h"

static const char job_id[] = "vmkeep-snapshot"; /* from storage/snapshot_live.c */

static void revert_end_torn(struct vm *vm, const char *why)
{
	if (vm->busy || !vm->revert)
		return;
	log_error(vm->name, "revert to '%s' %s while no daemon was running: ending its QEMU",
		vm->revert->snapshot, why);
	vm_kill(vm, "snapshot-revert", NULL);
}

static void revert_unmark(struct vm *vm, const char *why)
{
	if (vm->busy || !vm->revert)
		return;
	log_info(vm->name, "revert to '%s' %s", vm->revert->snapshot, why);
	vm_revert_over(vm);
}

/* Without a job, either QEMU was never told to load, or the load succeeded and its job was
 * dismissed: a failed load keeps its job until the process ends. So a guest that is running or
 * paused is intact. One that has not run yet, and was not started with --paused, was started
 * only for this revert, perhaps on disks from two points in time. */
static void revert_on_status(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;
	const char *status = json_string_value(json_object_get(result, "status"));

	if (e || !status)
		return;
	if (streq(status, "prelaunch") && !vm->st.paused_start)
		revert_end_torn(vm, "was interrupted");
	else if (!streq(status,
			 "restore-vm")) /* a load that failed half way: start/join.c ends that */
		revert_unmark(vm, "finished or never began while no daemon was running");
}

struct follower {
	struct daemon *daemon;
	struct qmp *q;
	char vm[64];
};

static void revert_on_loaded(void *data, const struct err *e)
{
	_cleanup_(free_ptr) struct follower *f = data;
	struct vm *vm = vms_find(f->daemon->vms, f->vm);

	/* if the monitor was lost, this is repeated after reconnecting */
	if (vm && vm->mon.qmp == f->q && vm->revert)
		vm->revert->followed = false;
	if (vm && vm->mon.qmp == f->q && !e)
		revert_unmark(vm, "finished");
	else if (vm && vm->mon.qmp == f->q &&
		 (e->class == ERR_FAILED || e->class == ERR_NO_RESOURCES))
		revert_end_torn(vm, "failed");
}

static void revert_follow(struct vm *vm)
{
	static const struct qmp_job_handlers handlers = { .done = revert_on_loaded,
		.keeps_failed = true };
	struct follower *f;

	if (!vm->mon.qmp || vm->revert->followed)
		return;
	f = xcalloc(1, sizeof *f);
	*f = (struct follower){ .daemon = vm->daemon, .q = vm->mon.qmp };
	snprintf(f->vm, sizeof f->vm, "%s", vm->name);
	vm->revert->followed = true;
	qmp_job_run(vm->mon.qmp, NULL, NULL, job_id, &handlers, f);
}

static void revert_on_jobs(void *data, const json_t *jobs, const struct err *e)
{
	struct vm *vm = data;
	json_t *job;
	size_t i;

	if (e || !vm->revert || vm->busy)
		return;
	json_array_foreach (jobs, i, job)
		if (streq(json_string_value(json_object_get(job, "id")), job_id)) {
			revert_follow(vm);
			return;
		}
	vm_call(vm, "query-status", NULL, revert_on_status);
}

void vm_revert_ask(struct vm *vm)
{
	if (vm->revert && !vm->busy)
		vm_call(vm, "query-jobs", NULL, revert_on_jobs);
}
