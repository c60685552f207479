/* SPDX-License-Identifier: MIT */
/*
 * Snapshots of a running guest. A snapshot job reports success before it has done anything; loading
 * a tag that does not exist stops the guest, deleting one succeeds. So everything is checked before
 * and verified afterwards. While QEMU writes memory its monitor is silent, which is not a fault.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "qmp/job.h"
#include "supervisor/storage/snapshot_private.h"

static const char job_id[] = "vmkeep-snapshot";

static void live_next_step(struct snapshot_op *op);
static void live_act(struct snapshot_op *op);

/* --- endings --- */

static void live_end_gone(void *data, const struct err *e)
{
	struct snapshot_op *op = data;

	if (e)
		log_error(op->vm, "%s", e->text);
	snapshot_end(op, NULL, &op->error);
}

/* Kills the process first: it is half loaded, or was only started for the load. */
static void live_end_process(struct snapshot_op *op, const struct err *e)
{
	struct vm *vm;

	err_copy(&op->error, e);
	op->q = NULL; /* the process is ours whatever became of its monitor */
	vm = snapshot_vm(op);
	if (!vm) {
		snapshot_end(op, NULL, &op->error);
		return;
	}
	vm_kill(vm, op->busy, NULL);
	vm_wait(vm, VM_GOAL_DOWN, 0, live_end_gone, op);
}

static void live_fail(struct snapshot_op *op, const struct err *e)
{
	struct err own = ERR_INIT;

	if (e->class == ERR_UNREACHABLE)
		err_set(&own, ERR_QEMU_FAILED, "its QEMU went away in the meantime");
	else
		err_copy(&own, e);
	if (op->booted)
		live_end_process(op, &own);
	else
		snapshot_end(op, NULL, &own);
}

/* --- checking --- */

/* A job that somebody else started, such as a backup, works on the disks as they are now. */
static int live_take_foreign_job(const struct snapshot_op *op, const json_t *job, struct err *e)
{
	const char *type = json_string_value(json_object_get(job, "type"));

	if (op->verb != SNAPSHOT_REVERT ||
		streq(json_string_value(json_object_get(job, "status")), "concluded"))
		return 0;
	err_set(e, ERR_CONFLICT, "a job of QEMU's is under way: %.20s", type ? type : "unknown");
	return err_hint(e, "wait until it is done, or have the program that started it cancel it");
}

/* A job from before a daemon restart: what the disks hold shows its result. */
static int live_take_jobs(struct snapshot_op *op, const json_t *jobs, struct err *e)
{
	json_t *job;
	size_t i;

	json_array_foreach (jobs, i, job) {
		if (!streq(json_string_value(json_object_get(job, "id")), job_id)) {
			if (live_take_foreign_job(op, job, e) < 0)
				return e->number;
			continue;
		}
		if (!streq(json_string_value(json_object_get(job, "status")), "concluded"))
			return err_set(e, ERR_CONFLICT,
				"a snapshot job from before the daemon's restart is under way");
		if (json_object_get(job, "error") &&
			streq(json_string_value(json_object_get(job, "type")), "snapshot-load")) {
			op->booted =
				!op->listed; /* treat it as a process that was started for a load */
			return err_set(
				e, ERR_FAILED, "its last revert failed halfway: ending its guest");
		}
		if (op->listed)
			continue;
		qmp_call(op->q, "job-dismiss", json_pack("{s:s}", "id", job_id), -1, VM_QMP_SECONDS,
			NULL, NULL);
	}
	return 0;
}

/* RunState, see QEMU's qapi/run-state.json: a guest that has shut down or crashed has no state
 * worth saving and can only continue after a reset. */
static int live_take_status(struct snapshot_op *op, const json_t *result, struct err *e)
{
	static const char *const good[] = { "running", "paused", "prelaunch" };
	const char *status = json_string_value(json_object_get(result, "status"));

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (streq(status, good[i]))
			return 0;
	if (op->verb == SNAPSHOT_DELETE)
		return 0;
	err_set(e, ERR_WRONG_STATE, "QEMU reports the guest's state as %s",
		status ? status : "nothing");
	return err_hint(e, "stop or kill it first; only its disks can be saved and reverted");
}

/* Devices and CPU features whose state cannot be saved. QEMU notices those in a load when the disks
 * have gone back already. */
static int live_take_blockers(struct snapshot_op *op, const json_t *result, struct err *e)
{
	json_t *reasons = json_object_get(result, "blocked-reasons");
	const char *first = json_string_value(json_array_get(reasons, 0));

	if (op->verb == SNAPSHOT_DELETE || !json_array_size(reasons))
		return 0;
	err_set(e, ERR_INVALID_CONFIG, "the guest's memory can neither be saved nor loaded: %.200s",
		first ? first : "QEMU does not say why");
	return err_hint(e, "with the VM off, a snapshot holds its disks only");
}

static int live_take_version(struct snapshot_op *op, const json_t *result, struct err *e)
{
	int major = 0, minor = 0, micro = 0;

	json_unpack((json_t *)(uintptr_t)result, "{s:{s:i, s:i, s:i}}", "qemu", "major", &major,
		"minor", &minor, "micro", &micro);
	snprintf(op->qemu, sizeof op->qemu, "%d.%d.%d", major, minor, micro);
	return 0;
}

static int live_take_nodes(struct snapshot_op *op, const json_t *result, struct err *e)
{
	return snapshot_disks_take_nodes(&op->disks, result, e);
}

enum { STEP_NODES = 4 };

static const struct {
	const char *command;
	int (*take)(struct snapshot_op *op, const json_t *result, struct err *e);
} steps[] = {
	{ "query-jobs", live_take_jobs },
	{ "query-status", live_take_status },
	{ "query-version", live_take_version },
	{ "query-migrate", live_take_blockers },
	{ "query-named-block-nodes", live_take_nodes },
};
_Static_assert(ARRAY_SIZE(steps) == STEP_NODES + 1, "the look at the disks is the last step");

static void live_on_step(void *data, const json_t *result, const struct err *e)
{
	struct snapshot_op *op = data;
	struct err own = ERR_INIT;

	if (e) {
		live_fail(op, e);
	} else if (steps[op->at].take(op, result, &own) < 0) {
		live_fail(op, &own);
	} else if (++op->at < ARRAY_SIZE(steps)) {
		live_next_step(op);
	} else {
		live_act(op);
	}
}

static bool live_is_lost(struct snapshot_op *op)
{
	struct err e = ERR_INIT;

	if (snapshot_vm(op))
		return false;
	err_set(&e, ERR_UNREACHABLE, "its monitor was lost");
	live_fail(op, &e);
	return true;
}

static void live_next_step(struct snapshot_op *op)
{
	if (!live_is_lost(op))
		qmp_call(op->q, steps[op->at].command,
			op->at == STEP_NODES ? json_pack("{s:b}", "flat", true) : NULL, -1,
			VM_QMP_SECONDS, live_on_step, op);
}

/* --- after the job --- */

/* The disks have been read again: verifies the result. */
static void live_prove(struct snapshot_op *op, struct vm *vm)
{
	const bool create = op->verb == SNAPSHOT_CREATE;
	struct err e = ERR_INIT;
	int r = snapshot_check_there(&op->disks, op->vm, op->name, create, &e);

	if (create && r < 0) {
		err_class(&e, ERR_FAILED);
		err_wrap(&e, 0, "QEMU says that it is saved, but");
		live_fail(op, &e);
	} else if (create) {
		snapshot_record_made(op, vm);
	} else if (r == 0) {
		err_set(&e, ERR_FAILED, "QEMU says that it is deleted, but a disk still has it");
		live_fail(op, &e);
	} else {
		snapshot_record_gone(op, vm);
	}
}

static void live_on_runs(void *data, const struct err *e)
{
	struct snapshot_op *op = data;

	if (e)
		snapshot_end(op, NULL, e);
	else
		snapshot_end_well(op);
}

static void live_on_cont(void *data, const json_t *result, const struct err *e)
{
	struct snapshot_op *op = data;

	if (e)
		live_fail(op, e);
	else if (!live_is_lost(op))
		vm_wait(snapshot_vm(op), VM_GOAL_RUNNING, VM_QMP_SECONDS, live_on_runs, op);
}

/* A guest that ran before resumes by itself. One started for the load is resumed here if it was
 * running when the snapshot was made. */
static void live_go_on(struct snapshot_op *op)
{
	if (live_is_lost(op))
		return;
	if (op->booted)
		snapshot_vm(op)->st.paused_start = false;
	if (op->booted && op->running)
		qmp_call(op->q, "cont", NULL, -1, VM_QMP_SECONDS, live_on_cont, op);
	else if (op->running)
		vm_wait(snapshot_vm(op), VM_GOAL_RUNNING, VM_QMP_SECONDS, live_on_runs, op);
	else
		snapshot_end_well(op);
}

/* Memory and disks have been reverted, even if the mark cannot be removed. */
static void live_not_unmarked(struct snapshot_op *op, const struct err *e)
{
	log_error(op->vm, "%s", e->text);
	live_go_on(op);
}

static void live_load_failed(struct snapshot_op *op, const struct err *e)
{
	struct err own = ERR_INIT;

	/* if the monitor is gone we cannot know how much was loaded: it must not resume either */
	err_set(&own, ERR_FAILED,
		"it could not be loaded: %s; the guest was killed, because it was only half loaded",
		e->text);
	err_hint(&own,
		"vmkeep log %s qemu shows what QEMU missed; vmkeep snapshot revert %s %s --disks-only "
		"reverts the disks without the memory",
		op->vm, op->vm, op->typed);
	if (e->class == ERR_UNREACHABLE)
		op->q = NULL;
	if (!snapshot_vm(op)) {
		/* the daemon is stopping, or the process has exited */
		err_set(&own, ERR_FAILED, "it was interrupted: %s", e->text);
		err_hint(&own, "vmkeep list shows its state");
	}
	live_end_process(op, &own);
}

/* QEMU says "Input/output error" even if it ran out of space. */
static void live_save_failed(struct snapshot_op *op, const struct err *e)
{
	struct err own;

	err_copy(&own, e);
	if (strstr(e->text, strerror(EIO)) || strstr(e->text, strerror(ENOSPC)))
		err_hint(&own, "the guest's memory goes into '%s': is there space for it?",
			op->disks.disk[0].path);
	live_fail(op, &own);
}

static void live_on_job(void *data, const struct err *e)
{
	struct snapshot_op *op = data;

	op->done = true;
	op->at = STEP_NODES;
	if (op->verb == SNAPSHOT_REVERT && e)
		live_load_failed(op, e);
	else if (op->verb == SNAPSHOT_CREATE && e)
		live_save_failed(op, e);
	else if (e)
		live_fail(op, e);
	else if (op->verb == SNAPSHOT_REVERT)
		snapshot_mark(op, NULL, live_go_on, live_not_unmarked);
	else
		live_next_step(op);
}

static void live_end_refused(struct snapshot_op *op)
{
	struct err e = ERR_INIT;

	err_copy(&e, &op->error);
	live_fail(op, &e);
}

/* Nothing has started, so a running guest continues unchanged. */
static void live_on_refused(void *data, const struct err *e)
{
	struct snapshot_op *op = data;

	if (op->verb != SNAPSHOT_REVERT || op->marked) {
		live_fail(op, e);
		return;
	}
	err_copy(&op->error, e);
	snapshot_mark(op, NULL, live_end_refused, live_fail);
}

/* --- the operation --- */

/* The nodes of all disks, or of those that have the snapshot. */
static json_t *live_nodes(const struct snapshot_op *op, bool all)
{
	json_t *list = json_array();

	for (size_t i = 0; i < op->disks.n; i++)
		if (all || snapshot_find(&op->disks.disk[i], op->name))
			json_array_append_new(list, json_string(op->disks.disk[i].node));
	return list;
}

/* The name in the images, which is the same on all disks: see snapshot_check_exact(). */
static const char *live_tag(const struct snapshot_op *op)
{
	for (size_t i = 0; i < op->disks.n; i++)
		if (snapshot_find(&op->disks.disk[i], op->name))
			return snapshot_word(&op->disks.disk[i], op->name, false);
	return op->name;
}

static void live_run(
	struct snapshot_op *op, const char *command, json_t *arguments, const char *text)
{
	/* keep the job of a failed load until the guest has been killed: if we die first, it tells
	 * the next daemon that the guest is half loaded */
	const struct qmp_job_handlers handlers = { .done = live_on_job,
		.refused = live_on_refused,
		.keeps_failed = op->verb == SNAPSHOT_REVERT };

	json_object_set_new(arguments, "job-id", json_string(job_id));
	json_object_set_new(arguments, "tag", json_string(live_tag(op)));
	job_progress(op->job, 0, 0, text);
	qmp_job_run(op->q, command, arguments, job_id, &handlers, op);
}

static void live_load(struct snapshot_op *op)
{
	op->acting = true;
	live_run(op, "snapshot-load",
		json_pack("{s:s, s:o}", "vmstate", snapshot_memory_node(&op->disks, op->name),
			"devices", live_nodes(op, true)),
		"reads memory; the guest is paused");
}

static void live_revert(struct snapshot_op *op, struct vm *vm, struct err *e)
{
	if (op->disks_only || !snapshot_memory_node(&op->disks, op->name)) {
		err_set(e, ERR_WRONG_STATE,
			op->disks_only
				? "a running guest's disks alone cannot be reverted to '%s'"
				: "snapshot '%s' holds disks only: a running guest cannot be reverted to it",
			op->name);
		err_hint(e, "vmkeep stop %s first", op->vm);
		return;
	}
	if (snapshot_record_fits(op, vm, e) < 0)
		return;
	if (op->listed)
		snapshot_end(op, snapshot_plan(op, vm), NULL);
	else
		snapshot_mark(op, "", live_load, live_fail);
}

static void live_act(struct snapshot_op *op)
{
	struct vm *vm = snapshot_vm(op);
	struct err e = ERR_INIT;

	if (live_is_lost(op))
		return;
	if (op->done) {
		live_prove(op, vm);
		return;
	}
	if (snapshot_check(op, &e) == 0)
		switch (op->verb) {
		case SNAPSHOT_LIST:
			snapshot_end(op, snapshot_table(&op->disks), NULL);
			return;
		case SNAPSHOT_CREATE:
			live_run(op, "snapshot-save",
				json_pack("{s:s, s:o}", "vmstate", op->disks.disk[0].node,
					"devices", live_nodes(op, true)),
				"writes memory; the guest is paused");
			break;
		case SNAPSHOT_REVERT:
			live_revert(op, vm, &e);
			break;
		case SNAPSHOT_DELETE:
			live_run(op, "snapshot-delete",
				json_pack("{s:o}", "devices", live_nodes(op, false)), "deletes");
			break;
		}
	if (e.number)
		live_fail(op, &e);
}

void snapshot_live(struct snapshot_op *op)
{
	op->at = op->verb == SNAPSHOT_LIST ? STEP_NODES : 0;
	op->done = false;
	live_next_step(op);
}
