/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/medium_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/guest/enter.h"
#include "supervisor/guest/parts.h"
#include "supervisor/vm/vms.h"

/* --- the end --- */

/* Another change of the same file must not find what is on its way out. */
static void medium_finish(struct medium_op *op)
{
	medium_fn *done = op->done;
	void *data = op->data;
	struct err e;

	if (!op->ended || op->leaving)
		return;
	err_copy(&e, &op->error);
	arena_release(&op->arena);
	free(op);
	if (done)
		done(data, e.number ? &e : NULL);
}

static void medium_left(struct medium_op *op)
{
	op->leaving--;
	medium_finish(op);
}

static void medium_on_dropped(void *data)
{
	medium_left(data);
}

/* With op->error, if there is one. */
static void medium_end(struct medium_op *op)
{
	struct enter *x = op->enter;

	op->ended = true;
	if (op->job)
		op->job->cancel = NULL;
	loop_timer_stop(&op->timer);
	qmp_unlisten(op->q, &op->listener);
	qmp_forget(op->q, op);
	op->enter = NULL;
	op->leaving++; /* this call */
	if (x) {
		op->leaving++;
		enter_drop(x, medium_on_dropped, op);
	}
	medium_left(op);
}

static void medium_send(struct medium_op *op, const char *command, json_t *arguments)
{
	qmp_call(op->q, command, arguments, -1, VM_QMP_SECONDS, NULL, NULL);
}

static json_t *medium_id(const struct medium_op *op)
{
	return json_pack("{s:s}", "id", op->drive);
}

/* The drive gets its old medium back, and the tray its old position. Replies do not matter: QEMU
 * executes the commands in order. */
static void medium_fail(struct medium_op *op, const struct err *e)
{
	struct vm *vm = medium_vm(op);

	err_copy(&op->error, e);
	if (e->class == ERR_UNREACHABLE)
		err_set(&op->error, ERR_QEMU_FAILED, "its QEMU went away in the meantime");
	if (vm) {
		if (op->locked && !op->added)
			medium_send(
				op, "closefd", json_pack("{s:s+}", "fdname", "lock-", op->to.node));
		if (op->removed && op->from.disk.path)
			medium_send(op, "blockdev-insert-medium",
				json_pack(
					"{s:s, s:s}", "id", op->drive, "node-name", op->from.node));
		if (op->opened)
			medium_send(op, "blockdev-close-tray", medium_id(op));
		if (op->added)
			medium_discard(op, &op->to, &op->from);
		medium_note(vm, NULL);
	}
	medium_end(op);
}

/* Of a reply. False: op has ended. What a silent QEMU has done is found out when it answers again:
 * medium_joined(). */
static bool medium_is_there(struct medium_op *op, const struct err *e)
{
	struct err lost = ERR_INIT;

	if (!e && medium_vm(op))
		return true;
	op->lost |= !e || e->class == ERR_UNREACHABLE || e->class == ERR_TIMEOUT;
	err_set(&lost, ERR_UNREACHABLE, "its monitor was lost");
	medium_fail(op, e ? e : &lost);
	return false;
}

/* --- the last steps --- */

static void medium_on_closed(void *data, const json_t *result, const struct err *e)
{
	struct medium_op *op = data;
	struct vm *vm = medium_vm(op);

	if (e && vm)
		log_warning(op->vm, "the tray of '%s' stays open: %s", op->to.disk.id, e->text);
	if (vm)
		medium_note(vm, NULL);
	medium_end(op);
}

/* The drive has it: from here on nothing is undone. */
static void medium_arrive(struct medium_op *op)
{
	struct vm *vm = medium_vm(op);

	medium_settle(vm, &op->to);
	medium_discard(op, &op->from, &op->to);
	log_info(op->vm, "drive '%s' has %s", op->to.disk.id,
		op->to.disk.path ? op->to.disk.path : "no medium");
	qmp_call(op->q, "blockdev-close-tray", medium_id(op), -1, VM_QMP_SECONDS, medium_on_closed,
		op);
}

static void medium_on_inserted(void *data, const json_t *result, const struct err *e)
{
	if (medium_is_there(data, e))
		medium_arrive(data);
}

static void medium_on_removed(void *data, const json_t *result, const struct err *e)
{
	struct medium_op *op = data;

	if (!medium_is_there(op, e))
		return;
	op->removed = true;
	if (!op->to.disk.path)
		medium_arrive(op);
	else
		qmp_call(op->q, "blockdev-insert-medium",
			json_pack("{s:s, s:s}", "id", op->drive, "node-name", op->to.node), -1,
			VM_QMP_SECONDS, medium_on_inserted, op);
}

/* --- the tray --- */

static void medium_swap(struct medium_op *op)
{
	loop_timer_stop(&op->timer);
	op->waits = false;
	op->opened = true;
	if (op->job)
		op->job->cancel = NULL;
	qmp_call(op->q, "blockdev-remove-medium", medium_id(op), -1, VM_QMP_SECONDS,
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
	medium_fail(op, &e);
}

static int medium_cancel(void *data, struct err *refused)
{
	struct err e = ERR_INIT;

	err_set(&e, ERR_FAILED, "cancelled; the drive has what it had before");
	medium_fail(data, &e);
	return 0;
}

/* A guest that locks the tray is asked to open it, which is no error of the command. */
static void medium_on_opening(void *data, const json_t *result, const struct err *e)
{
	struct medium_op *op = data;

	if (!medium_is_there(op, e))
		return;
	if (op->open) {
		medium_swap(op);
		return;
	}
	op->waits = true;
	loop_timer_start(&op->timer, op->timeout);
	if (!op->job)
		return;
	job_progress(op->job, 0, 0, "the guest is asked to open the tray");
	op->job->cancel = medium_cancel;
	op->job->cancel_data = op;
}

static void medium_on_event(struct qmp_listener *l, const char *name, const json_t *data)
{
	struct medium_op *op = container_of(l, struct medium_op, listener);

	if (!streq(name, "DEVICE_TRAY_MOVED") ||
		!streq(json_string_value(json_object_get(data, "id")), op->drive))
		return;
	op->open = json_is_true(json_object_get(data, "tray-open"));
	if (op->open && op->waits)
		medium_swap(op);
}

static void medium_on_gone(struct qmp_listener *l, const struct err *e)
{
	struct medium_op *op = container_of(l, struct medium_op, listener);

	op->lost = true;
	medium_fail(op, e);
}

static void medium_open(struct medium_op *op)
{
	if (op->open) {
		medium_swap(op);
		return;
	}
	qmp_call(op->q, "blockdev-open-tray",
		json_pack("{s:s, s:b}", "id", op->drive, "force", op->force), -1, VM_QMP_SECONDS,
		medium_on_opening, op);
}

/* --- the new medium --- */

static void medium_on_added(void *data, const json_t *result, const struct err *e)
{
	struct medium_op *op = data;
	struct enter *x = op->enter;

	op->added = !e;
	if (!medium_is_there(op, e))
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
		medium_fail(op, e);
		return;
	}
	if (!medium_is_there(op, NULL))
		return;
	node = medium_node(medium_vm(op), &op->to, &own);
	if (!node) {
		medium_fail(op, &own);
		return;
	}
	op->locked = lock[0] >= 0;
	if (op->locked)
		qmp_call(op->q, "getfd", json_pack("{s:s+}", "fdname", "lock-", op->to.node),
			lock[0], VM_QMP_SECONDS, NULL, NULL);
	qmp_call(op->q, "blockdev-add", node, -1, VM_QMP_SECONDS, medium_on_added, op);
}

static void medium_bring(struct medium_op *op, struct vm *vm)
{
	struct err e = ERR_INIT;

	medium_note(vm, op);
	if (!op->to.disk.path) {
		medium_open(op);
		return;
	}
	if (op->job)
		job_progress(op->job, 0, 0, "opens the file");
	op->enter = enter_begin(vm, medium_files(vm, &op->to), medium_on_entered, op, &e);
	if (!op->enter)
		medium_fail(op, &e);
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

	if (!medium_is_there(op, e))
		return;
	if (!drive) {
		err_set(&none, ERR_QEMU_FAILED, "QEMU has no drive '%s'", op->to.disk.id);
		medium_fail(op, &none);
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
		medium_bring(op, medium_vm(op));
}

/* --- begin --- */

static struct medium_op *medium_new(struct vm *vm)
{
	struct medium_op *op = xcalloc(1, sizeof *op);

	*op = (struct medium_op){ .q = vm->mon.qmp,
		.listener = { .event = medium_on_event, .gone = medium_on_gone },
		.daemon = vm->daemon,
		.left = medium_left };
	snprintf(op->vm, sizeof op->vm, "%s", vm->name);
	loop_timer_init(&op->timer, vm->daemon->loop.ev, medium_refused, op);
	qmp_listen(op->q, &op->listener);
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
	if (!vm->mon.qmp || vm->proc.medium)
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
	op = medium_new(vm);
	op->job = j;
	op->force = c->force;
	op->timeout = c->timeout;
	op->done = done;
	op->data = data;
	medium_copy(&op->to.disk, c->to, &op->arena);
	medium_copy(&op->from.disk, medium_drive(vm, c->to->id), &op->arena);
	device_disk_id(&op->to.disk, op->drive);
	qmp_call(op->q, "query-block", NULL, -1, VM_QMP_SECONDS, medium_on_drives, op);
}

/* --- a change of an earlier daemon --- */

/* What QEMU has in the drive decides. */
static void medium_on_recalled(void *data, const json_t *result, const struct err *e)
{
	struct medium_op *op = data;
	const json_t *drive = medium_find(op, result);
	const char *node = medium_node_in(drive);
	struct err undone = ERR_INIT;

	if (!medium_is_there(op, e))
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
	log_warning(op->vm, "%s: the drive has what it had before", undone.text);
	medium_fail(op, &undone);
}

static void medium_joined(struct vm *vm, void *state, bool fresh)
{
	struct medium_op *op;
	unsigned n;

	if (fresh || !vm->proc.medium || job_running(vm->daemon, "vm-cd", vm->name, &n))
		return;
	op = medium_new(vm);
	if (!medium_recall(op, vm)) {
		medium_note(vm, NULL);
		medium_end(op);
		return;
	}
	device_disk_id(&op->to.disk, op->drive);
	qmp_call(op->q, "query-block", NULL, -1, VM_QMP_SECONDS, medium_on_recalled, op);
}

const struct vm_part medium_part = {
	.name = "medium",
	.joined = medium_joined,
};
