/* SPDX-License-Identifier: MIT */
/*
 * A revert is marked on disk before the first image is changed, see vm/revert.h. An operation can
 * be cancelled while it has changed nothing, or can be undone.
 */
#include "base/log.h"
#include "supervisor/core/confine.h"
#include "supervisor/storage/snapshot_private.h"
#include "supervisor/vm/vms.h"

static void mark_on_taken_back(void *data, const struct err *e)
{
	struct snapshot_op *op = data;
	struct err gone = ERR_INIT;

	if (e)
		log_error(op->vm, "%s", e->text);
	err_set(&gone, ERR_NOT_FOUND, "the VM, or its QEMU, went away in the meantime");
	op->mark.failed(op, &gone);
}

/* The VM or its QEMU went away while the mark was being written: if nothing has been changed,
 * removes it again. */
static void mark_went_away(struct snapshot_op *op, struct vm *vm)
{
	struct err e = ERR_INIT;

	if (!vm || op->marked || op->acting) {
		mark_on_taken_back(op, NULL);
		return;
	}
	vm_revert_marked(vm, NULL, NULL, NULL);
	if (vm_revert_mark(vm, NULL, NULL, NULL, mark_on_taken_back, op, &e) < 0)
		mark_on_taken_back(op, &e);
}

static void mark_on_marked(void *data, const struct err *e)
{
	struct snapshot_op *op = data;
	/* the mark is on disk, so it counts even if the VM is no longer ours */
	struct vm *vm = vms_find(op->daemon->vms, op->vm);

	if (!e && vm)
		vm_revert_marked(vm, op->name, op->id, op->mark.disk);
	if (e)
		op->mark.failed(op, e);
	else if (!snapshot_vm(op))
		mark_went_away(op, vm);
	else
		op->mark.next(op);
}

void snapshot_mark(struct snapshot_op *op, const char *disk, snapshot_step_fn *next,
	snapshot_failed_fn *failed)
{
	struct vm *vm = snapshot_vm(op);
	struct err e = ERR_INIT;

	op->mark = (struct snapshot_marking){ disk, next, failed };
	if (!vm)
		err_set(&e, ERR_NOT_FOUND, "the VM, or its QEMU, went away in the meantime");
	else if (vm_revert_mark(vm, op->name, op->id, disk, mark_on_marked, op, &e) == 0)
		return;
	failed(op, &e);
}

int snapshot_cancel(void *data, struct err *e)
{
	struct snapshot_op *op = data;

	if (op->q || op->booted) {
		err_set(e, ERR_WRONG_STATE,
			"QEMU is working on it, and accepts no commands until it is done");
		return err_hint(e,
			"vmkeep kill %s ends the guest, and leaves its disks as they are at that moment",
			op->vm);
	}
	if (op->acting && op->verb != SNAPSHOT_CREATE)
		return err_set(e, ERR_WRONG_STATE,
			"disk '%s' is being changed, and that will be completed",
			op->disks.disk[op->at < op->disks.n ? op->at : op->disks.n - 1].id);
	op->cancelled = true;
	if (op->tool && !op->error.number)
		confine_kill(op->tool);
	return 0;
}
