/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/medium_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/guest/enter.h"
#include "supervisor/guest/parts.h"
#include "supervisor/vm/vms.h"

/* --- the end --- */

static void medium_free(struct change *c)
{
	struct medium_op *op = container_of(c, struct medium_op, change);

	arena_release(&op->arena);
	free(op);
}

static void medium_on_dropped(void *data)
{
	struct medium_op *op = data;

	change_settled(&op->change);
}

static void medium_end(struct medium_op *op)
{
	struct enter *x = op->enter;

	loop_timer_stop(&op->timer);
	op->enter = NULL;
	if (x) {
		change_waits(&op->change);
		enter_drop(x, medium_on_dropped, op);
	}
	change_end(&op->change);
}

static json_t *medium_id(const struct medium_op *op)
{
	return json_pack("{s:s}", "id", op->drive);
}

/* The drive gets its old medium back, and the tray its old position. Replies do not matter: QEMU
 * executes the commands in order. */
static void medium_fail(struct change *c, const struct err *e)
{
	struct medium_op *op = container_of(c, struct medium_op, change);
	struct vm *vm = change_vm(c);

	err_copy(&c->error, e);
	if (e->class == ERR_UNREACHABLE)
		err_set(&c->error, ERR_QEMU_FAILED, "its QEMU went away in the meantime");
	if (vm) {
		if (op->locked && !op->added)
			change_send(
				c, "closefd", json_pack("{s:s+}", "fdname", "lock-", op->to.node));
		if (op->removed && op->from.disk.path)
			change_send(c, "blockdev-insert-medium",
				json_pack(
					"{s:s, s:s}", "id", op->drive, "node-name", op->from.node));
		if (op->opened)
			change_send(c, "blockdev-close-tray", medium_id(op));
		if (op->added)
			medium_discard(op, &op->to, &op->from);
		change_note(vm, op->drive, NULL);
	}
	medium_end(op);
}

/* --- the last steps --- */

static void medium_on_closed(void *data, const json_t *result, const struct err *e)
{
	struct medium_op *op = data;
	struct vm *vm = change_vm(&op->change);

	if (e && vm)
		log_warning(
			op->change.vm, "the tray of '%s' stays open: %s", op->to.disk.id, e->text);
	if (vm)
		change_note(vm, op->drive, NULL);
	medium_end(op);
}

/* The drive has it: from here on nothing is undone. */
static void medium_arrive(struct medium_op *op)
{
	struct vm *vm = change_vm(&op->change);

	medium_settle(vm, &op->to);
	medium_discard(op, &op->from, &op->to);
	log_info(op->change.vm, "drive '%s' has %s", op->to.disk.id,
		op->to.disk.path ? op->to.disk.path : "no medium");
	qmp_call(op->change.q, "blockdev-close-tray", medium_id(op), -1, VM_QMP_SECONDS,
		medium_on_closed, op);
}

static void medium_on_inserted(void *data, const json_t *result, const struct err *e)
{
	struct medium_op *op = data;

	if (change_goes_on(&op->change, e))
		medium_arrive(op);
}

static void medium_on_removed(void *data, const json_t *result, const struct err *e)
{
	struct medium_op *op = data;

	if (!change_goes_on(&op->change, e))
		return;
	op->removed = true;
	if (!op->to.disk.path)
		medium_arrive(op);
	else
		qmp_call(op->change.q, "blockdev-insert-medium",
			json_pack("{s:s, s:s}", "id", op->drive, "node-name", op->to.node), -1,
			VM_QMP_SECONDS, medium_on_inserted, op);
}

/* --- the tray --- */

static void medium_swap(struct medium_op *op)
{
	loop_timer_stop(&op->timer);
	op->waits = false;
	op->opened = true;
	if (op->change.job)
		op->change.job->cancel = NULL;
	qmp_call(op->change.q, "blockdev-remove-medium", medium_id(op), -1, VM_QMP_SECONDS,
		medium_on_removed, op);
}

static void medium_refused(void *data)
{
	struct medium_op *op = data;
	struct err e = ERR_INIT;

	err_set(&e, ERR_GUEST_REFUSED,
		"the guest has locked the tray of '%s' and did not open it within %g s",
		op->to.disk.id, op->timeout);
	err_hint(&e, "unmount the CD in the guest first; --force opens the tray all the same");
	medium_fail(&op->change, &e);
}

static int medium_cancel(void *data, struct err *refused)
{
	struct err e = ERR_INIT;

	err_set(&e, ERR_FAILED, "cancelled; the drive has what it had before");
	struct medium_op *op = data;

	medium_fail(&op->change, &e);
	return 0;
}

/* A guest that locks the tray is asked to open it, which is no error of the command. */
static void medium_on_opening(void *data, const json_t *result, const struct err *e)
{
	struct medium_op *op = data;

	if (!change_goes_on(&op->change, e))
		return;
	if (op->open) {
		medium_swap(op);
		return;
	}
	op->waits = true;
	loop_timer_start(&op->timer, op->timeout);
	if (!op->change.job)
		return;
	job_progress(op->change.job, 0, 0, "the guest is asked to open the tray");
	op->change.job->cancel = medium_cancel;
	op->change.job->cancel_data = op;
}

static void medium_on_event(struct change *c, const char *name, const json_t *data)
{
	struct medium_op *op = container_of(c, struct medium_op, change);

	if (!streq(name, "DEVICE_TRAY_MOVED") ||
		!streq(json_string_value(json_object_get(data, "id")), op->drive))
		return;
	op->open = json_is_true(json_object_get(data, "tray-open"));
	if (op->open && op->waits)
		medium_swap(op);
}

static const struct change_ops medium_ops = {
	.fail = medium_fail,
	.event = medium_on_event,
	.free = medium_free,
};

static void medium_open(struct medium_op *op)
{
	if (op->open) {
		medium_swap(op);
		return;
	}
	qmp_call(op->change.q, "blockdev-open-tray",
		json_pack("{s:s, s:b}", "id", op->drive, "force", op->force), -1, VM_QMP_SECONDS,
		medium_on_opening, op);
}

/* --- the new medium --- */

static void medium_on_added(void *data, const json_t *result, const struct err *e)
{
	struct medium_op *op = data;
	struct enter *x = op->enter;

	op->added = !e;
	if (!change_goes_on(&op->change, e))
		return;
	op->enter = NULL;
	enter_keep(x);
	medium_open(op);
}

static void medium_on_entered(void *data, struct enter *x, const int *lock, const struct err *e)
{
	struct medium_op *op = data;
	struct err own = ERR_INIT;
	json_t *node;

	op->enter = x;
	if (e) {
		medium_fail(&op->change, e);
		return;
	}
	if (!change_goes_on(&op->change, NULL))
		return;
	node = medium_node(change_vm(&op->change), &op->to, &own);
	if (!node) {
		medium_fail(&op->change, &own);
		return;
	}
	op->locked = lock[0] >= 0;
	if (op->locked)
		qmp_call(op->change.q, "getfd", json_pack("{s:s+}", "fdname", "lock-", op->to.node),
			lock[0], VM_QMP_SECONDS, NULL, NULL);
	qmp_call(op->change.q, "blockdev-add", node, -1, VM_QMP_SECONDS, medium_on_added, op);
}

static void medium_bring(struct medium_op *op, struct vm *vm)
{
	struct err e = ERR_INIT;

	medium_note(vm, op);
	if (!op->to.disk.path) {
		medium_open(op);
		return;
	}
	if (op->change.job)
		job_progress(op->change.job, 0, 0, "opens the file");
	op->enter = enter_begin(vm, medium_files(vm, &op->to), NULL, medium_on_entered, op, &e);
	if (!op->enter)
		medium_fail(&op->change, &e);
}

/* --- what is there --- */

static const json_t *medium_find(const struct medium_op *op, const json_t *drives)
{
	const json_t *drive;
	size_t i;

	json_array_foreach (drives, i, drive)
		if (streq(json_string_value(json_object_get(drive, "qdev")), op->drive))
			return drive;
	return NULL;
}

static const char *medium_node_in(const json_t *drive)
{
	return json_string_value(json_object_get(json_object_get(drive, "inserted"), "node-name"));
}

static void medium_on_drives(void *data, const json_t *result, const struct err *e)
{
	struct medium_op *op = data;
	const json_t *drive = medium_find(op, result);
	const char *node = medium_node_in(drive);
	struct err none = ERR_INIT;
	bool second;

	if (!change_goes_on(&op->change, e))
		return;
	if (!drive) {
		err_set(&none, ERR_QEMU_FAILED, "QEMU has no drive '%s'", op->to.disk.id);
		medium_fail(&op->change, &none);
		return;
	}
	/* what the guest has ejected is still in QEMU's drive */
	second = node && streq(node, device_medium_name(&op->to.disk, false, op->from.node));
	device_medium_name(&op->to.disk, second, op->to.node);
	device_medium_name(&op->to.disk, !second, op->from.node);
	op->open = json_is_true(json_object_get(drive, "tray_open"));
	if (!node && !op->to.disk.path)
		medium_end(op);
	else
		medium_bring(op, change_vm(&op->change));
}

/* --- begin --- */

static struct medium_op *medium_new(struct vm *vm, struct job *j, change_fn *done, void *data)
{
	struct medium_op *op = xcalloc(1, sizeof *op);

	change_begin(&op->change, &medium_ops, vm, "", j, done, data);
	loop_timer_init(&op->timer, vm->daemon->loop.ev, medium_refused, op);
	return op;
}

static int medium_may(
	const struct vm *vm, const struct medium_change *c, const struct job *j, struct err *e)
{
	if (vm->busy)
		return err_set(e, ERR_CONFLICT, "%s is under way", vm->busy);
	for (const struct job *other = j->next; other; other = other->next)
		if (other->ended <= 0 && streq(other->verb, j->verb) && streq(other->vm, j->vm))
			return err_set(e, ERR_CONFLICT,
				"a medium is already being changed, by job %u", other->id);
	if (c->to->path && c->to->volume)
		return err_set(e, ERR_INVALID_CONFIG,
			"store '%s' has volumes, which cannot be inserted by name", c->to->store);
	if (!vm->mon.qmp || change_noted_any(vm, medium_kind))
		return err_set(e, ERR_TIMEOUT, "QEMU's monitor does not answer: nothing was done");
	return 0;
}

void medium_begin(
	struct vm *vm, const struct medium_change *c, struct job *j, medium_fn *done, void *data)
{
	struct err e = ERR_INIT;
	struct medium_op *op;

	if (medium_may(vm, c, j, &e) < 0) {
		done(data, &e);
		return;
	}
	op = medium_new(vm, j, done, data);
	op->force = c->force;
	op->timeout = c->timeout;
	medium_copy(&op->to.disk, c->to, &op->arena);
	medium_copy(&op->from.disk, medium_drive(vm, c->to->id), &op->arena);
	device_disk_id(&op->to.disk, op->drive);
	qmp_call(op->change.q, "query-block", NULL, -1, VM_QMP_SECONDS, medium_on_drives, op);
}

/* --- a change of an earlier daemon --- */

/* What QEMU has in the drive decides. */
static void medium_on_recalled(void *data, const json_t *result, const struct err *e)
{
	struct medium_op *op = data;
	const json_t *drive = medium_find(op, result);
	const char *node = medium_node_in(drive);
	struct err undone = ERR_INIT;

	if (!change_goes_on(&op->change, e))
		return;
	if (op->to.disk.path ? node && streq(node, op->to.node) : !node) {
		medium_arrive(op);
		return;
	}
	op->added = true;
	op->opened = json_is_true(json_object_get(drive, "tray_open"));
	op->removed = !node;
	err_set(&undone, ERR_FAILED, "the daemon's end interrupted the change of '%s'",
		op->to.disk.id);
	log_warning(op->change.vm, "%s: the drive has what it had before", undone.text);
	medium_fail(&op->change, &undone);
}

static void medium_joined(struct vm *vm, void *state, bool fresh)
{
	const char *drive = fresh ? NULL : change_noted_any(vm, medium_kind);
	struct medium_op *op;
	unsigned n;

	if (!drive || job_running(vm->daemon, "vm-cd", vm->name, &n))
		return;
	op = medium_new(vm, NULL, NULL, NULL);
	if (!medium_recall(op, vm, drive)) {
		change_note(vm, drive, NULL);
		medium_end(op);
		return;
	}
	qmp_call(op->change.q, "query-block", NULL, -1, VM_QMP_SECONDS, medium_on_recalled, op);
}

const struct vm_part medium_part = {
	.name = "medium",
	.joined = medium_joined,
};
