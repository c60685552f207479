/* SPDX-License-Identifier: MIT */
/* Shared by all operations: finding the VM they may work on, and finishing. */
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/storage/snapshot_private.h"
#include "supervisor/vm/vms.h"

const char *const snapshot_verbs[] = {
	[SNAPSHOT_CREATE] = "snapshot-create",
	[SNAPSHOT_REVERT] = "snapshot-revert",
	[SNAPSHOT_DELETE] = "snapshot-delete",
	[SNAPSHOT_LIST] = "snapshot-list",
};

static enum snapshot_way op_way(const struct snapshot_op *op)
{
	if (op->verb == SNAPSHOT_DELETE)
		return SNAPSHOT_BY_NAME;
	return snapshot_op_memory(op) > 0 ? SNAPSHOT_BY_TAG : SNAPSHOT_BY_ID;
}

int snapshot_check(const struct snapshot_op *op, struct err *e)
{
	int r = 0;

	switch (op->verb) {
	case SNAPSHOT_LIST:
		break;
	case SNAPSHOT_CREATE:
		r = snapshot_check_disks(&op->disks, e);
		if (r == 0)
			r = snapshot_check_bitmaps(&op->disks, e);
		if (r == 0)
			r = snapshot_check_free(&op->disks, op->name, e);
		if (r == 0)
			r = snapshot_check_no_id(&op->disks, op->name, e);
		break;
	case SNAPSHOT_REVERT:
	case SNAPSHOT_DELETE:
		r = snapshot_check_there(
			&op->disks, op->vm, op->name, op->verb == SNAPSHOT_REVERT, e);
		if (r == 0)
			r = snapshot_check_exact(&op->disks, op->name, op_way(op), e);
		if (r == 0 && op->verb == SNAPSHOT_REVERT)
			r = snapshot_check_bitmaps(&op->disks, e);
		break;
	}
	return r;
}

json_int_t snapshot_op_memory(const struct snapshot_op *op)
{
	return op->disks_only ? 0 : snapshot_memory(&op->disks, op->name);
}

struct vm *snapshot_vm(const struct snapshot_op *op)
{
	struct vm *vm = vms_find(op->daemon->vms, op->vm);

	if (!vm || (op->q && vm->mon.qmp != op->q))
		return NULL;
	/* cleanup after a process exit clears vm->busy; then the VM is no longer ours */
	return op->listed || vm->busy == op->busy ? vm : NULL;
}

void snapshot_end(struct snapshot_op *op, json_t *result, const struct err *e)
{
	struct vm *vm = vms_find(op->daemon->vms, op->vm);

	if (vm && vm->busy == op->busy)
		vm_idle(vm);
	if (vm && e && !op->listed && !vm_state_has_process(vm->st.state))
		vm_revert_report(vm);
	if (op->listed) {
		op->listed(op->data, result, e);
	} else {
		op->job->cancel = NULL;
		job_finish(op->job, result, e);
		log_write(e ? LOG_WARNING_ : LOG_INFO_, op->vm, "%s '%s' %s%s",
			snapshot_verbs[op->verb], op->name, e ? "failed: " : "done",
			e ? e->text : "");
	}
	snapshot_disks_release(&op->disks);
	json_decref(op->record);
	free(op->typed);
	free(op);
}

void snapshot_end_well(struct snapshot_op *op)
{
	struct vm *vm = vms_find(op->daemon->vms, op->vm);

	if (vm && op->booted && vm->busy == op->busy)
		vm_keep(vm);
	if (op->verb == SNAPSHOT_REVERT)
		snapshot_end(op,
			json_pack("{s:s}", "state", vm_state_name(vm ? vm->st.state : VM_STOPPED)),
			NULL);
	else
		snapshot_end(op, json_pack("{s:s}", "snapshot", op->name), NULL);
}
