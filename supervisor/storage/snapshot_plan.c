/* SPDX-License-Identifier: MIT */
/* What a revert that passed all checks would do, for a user who asks before reverting. */
#include "supervisor/storage/snapshot_private.h"
#include "supervisor/api/result.h"

/* What happens to the guest, and its state afterwards. */
static const char *plan_guest(const struct snapshot_op *op, enum vm_state *after)
{
	bool runs = op->q ? op->running : snapshot_record_running(op->record);

	*after = VM_STOPPED;
	if (!op->q && !snapshot_op_memory(op))
		return op->disks_only ? "stays off; the saved memory is not loaded"
				      : "stays off, because the snapshot holds disks only";
	*after = runs ? VM_RUNNING : VM_PAUSED;
	if (op->q)
		return "is paused while its memory is read; everything since the snapshot is lost";
	return "is started, and continues from the snapshot";
}

json_t *snapshot_plan(const struct snapshot_op *op, const struct vm *vm)
{
	json_t *rows = json_array(), *plan;
	enum vm_state after;
	const char *guest = plan_guest(op, &after);

	for (size_t i = 0; i < op->disks.n; i++) {
		const struct snapshot_disk *d = &op->disks.disk[i];
		const json_t *s = snapshot_find(d, op->name);

		json_array_append_new(
			rows, json_pack("[s, s, I]", d->id, d->path,
				      json_integer_value(json_object_get(s, "date-sec"))));
	}
	plan = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:n}", "snapshot", op->name, "state",
		vm_state_name(vm->st.state), "after", vm_state_name(after), "guest", guest,
		"created", snapshot_created(&op->disks, op->name), "memory", snapshot_op_memory(op),
		"refused");
	json_object_update_new(plan, api_table(api_revert_row, rows));
	return plan;
}
