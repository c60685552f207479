/* SPDX-License-Identifier: MIT */
/*
 * A revert is marked on disk before the first image is changed, see vm/revert.h; what changes nothing yet, or can
 * be taken back, can be cancelled.
 */
#include "base/mem.h"
#include "supervisor/core/confine.h"
#include "supervisor/storage/snapshot_private.h"

struct marking {
	struct snapshot_op *op;
	snapshot_step_fn *next;
	snapshot_failed_fn *failed;
	bool takes_away;
	char disk[64];
};

static void on_marked(void *data, const struct err *e)
{
	struct marking *m = data;
	struct snapshot_op *op = m->op;
	struct vm *vm = snapshot_vm(op);
	struct err own = ERR_INIT;

	if (e)
		err_copy(&own, e);
	else if (!vm)
		err_set(&own, ERR_NOT_FOUND, "the VM, or its QEMU, went away meanwhile");
	if (!e && vm)
		vm_revert_marked(vm, op->name, m->takes_away ? NULL : m->disk);
	if (own.number)
		m->failed(op, &own);
	else
		m->next(op);
	free(m);
}

void snapshot_mark(struct snapshot_op *op, const char *disk, snapshot_step_fn *next, snapshot_failed_fn *failed)
{
	struct marking *m = xcalloc(1, sizeof *m);
	struct vm *vm = snapshot_vm(op);
	struct err e = ERR_INIT;

	*m = (struct marking){ .op = op, .next = next, .failed = failed, .takes_away = !disk };
	snprintf(m->disk, sizeof m->disk, "%s", disk ? disk : "");
	if (!vm)
		err_set(&e, ERR_NOT_FOUND, "the VM, or its QEMU, went away meanwhile");
	else if (vm_revert_mark(vm, op->name, disk, on_marked, m, &e) == 0)
		return;
	free(m);
	failed(op, &e);
}

int snapshot_cancel(void *data, struct err *e)
{
	struct snapshot_op *op = data;

	if (op->q || op->booted) {
		err_set(e, ERR_WRONG_STATE, "QEMU is at it, and hears nothing before it is done");
		return err_hint(e, "vmkeep kill %s ends the guest, with its disks as they are then", op->vm);
	}
	if (op->acting && op->verb != SNAPSHOT_CREATE)
		return err_set(e, ERR_WRONG_STATE, "disk '%s' is being changed: what was begun is brought to its end",
			op->disks.disk[op->at < op->disks.n ? op->at : op->disks.n - 1].id);
	op->cancelled = true;
	if (op->tool && !op->error.number)
		confine_kill(op->tool);
	return 0;
}
