/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/cable.h"

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/guest/parts.h"
#include "supervisor/qemu/device.h"
#include "supervisor/vm/record.h"
#include "supervisor/vm/vms.h"

/* Holds no pointer to the VM, which may be freed before its session reports its end. */
struct cable_op {
	struct daemon *daemon;
	struct qmp *q;
	char vm[64], nic[64];
	cable_fn *done;
	void *data;
};

static struct conf_nic *cable_conf(struct vm *vm, const char *id)
{
	for (size_t i = 0; i < vm->proc.conf.nics; i++)
		if (streq(vm->proc.conf.nic[i].id, id))
			return &vm->proc.conf.nic[i];
	return NULL;
}

static struct vm_nic *cable_nic(struct vm *vm, const char *id)
{
	for (size_t i = 0; i < vm->proc.nics; i++)
		if (streq(vm->proc.nic[i].net.nic, id))
			return &vm->proc.nic[i];
	return NULL;
}

static void cable_end(struct cable_op *op, const struct err *e)
{
	op->done(op->data, e);
	free(op);
}

/* nic: under way; NULL: nothing is. */
static void cable_record(struct vm *vm, const char *nic)
{
	char *text = nic ? xstrdup(nic) : NULL;
	struct err e = ERR_INIT;

	free(vm->proc.cable);
	vm->proc.cable = text;
	if (vm->proc.run_fd >= 0 && !vm->proc.conf_lost && vm_record_save_conf(vm, &e) < 0)
		log_error(vm->name, "%s", e.text);
	vm_record_write(vm);
}

static void cable_note(struct vm *vm, const char *id, bool up)
{
	cable_conf(vm, id)->link = cable_nic(vm, id)->net.link = up;
}

static void cable_send(struct vm *vm, const char *id, qmp_reply_fn *reply, void *data)
{
	const struct conf_nic *c = cable_conf(vm, id);
	char name[80];

	qmp_call(vm->mon.qmp, "set_link",
		json_pack("{s:s, s:b}", "name", device_nic_id(c, name), "up", c->link), -1,
		VM_QMP_SECONDS, reply, data);
}

/* The guest's side is done: the host's follows. */
static void cable_settle(struct vm *vm, const char *id)
{
	const struct vm_nic *n = cable_nic(vm, id);
	struct err e = ERR_INIT;

	cable_record(vm, NULL);
	if (networks_link(vm->daemon->networks, &n->net, &n->tap, &e) < 0)
		log_error(vm->name, "nic %s: %s", id, e.text);
	log_info(vm->name, "nic '%s': the link is %s", id, n->net.link ? "up" : "down");
}

/* --- a change --- */

/* Commands are executed in order: a QEMU that was only slow does both. With its next session it is told
 * again. */
static void cable_undo(struct cable_op *op, struct vm *vm)
{
	cable_note(vm, op->nic, !cable_conf(vm, op->nic)->link);
	if (vm->mon.qmp == op->q)
		cable_send(vm, op->nic, NULL, NULL);
	cable_record(vm, vm->mon.qmp == op->q ? NULL : op->nic);
}

static void cable_on_set(void *data, const json_t *result, const struct err *e)
{
	struct cable_op *op = data;
	struct vm *vm = vms_find(op->daemon->vms, op->vm);
	struct err own = ERR_INIT;

	/* else its process, or the change, is another one */
	if (vm && (!streq(vm->proc.cable, op->nic) || !cable_conf(vm, op->nic)))
		vm = NULL;
	if (e && e->class != ERR_UNREACHABLE)
		err_copy(&own, e);
	else if (e || !vm || vm->mon.qmp != op->q)
		err_set(&own, ERR_QEMU_FAILED, "its monitor was lost in the meantime");
	if (vm && own.number)
		cable_undo(op, vm);
	else if (vm)
		cable_settle(vm, op->nic);
	cable_end(op, own.number ? &own : NULL);
}

static int cable_may(struct vm *vm, const char *nic, struct err *e)
{
	if (vm->proc.cable)
		return err_set(e, ERR_CONFLICT, "the link of NIC '%s' is just being changed",
			vm->proc.cable);
	if (!vm->mon.qmp)
		return err_set(e, ERR_TIMEOUT, "QEMU's monitor does not answer: nothing was done");
	if (!cable_conf(vm, nic) || !cable_nic(vm, nic))
		return err_set(e, ERR_NOT_FOUND, "it has no NIC '%s'", nic);
	return 0;
}

void cable_set(struct vm *vm, const char *nic, bool up, cable_fn *done, void *data)
{
	struct err e = ERR_INIT;
	struct cable_op *op;

	if (cable_may(vm, nic, &e) < 0 || cable_conf(vm, nic)->link == up) {
		done(data, e.number ? &e : NULL);
		return;
	}
	op = xcalloc(1, sizeof *op);
	*op = (struct cable_op){
		.daemon = vm->daemon, .q = vm->mon.qmp, .done = done, .data = data
	};
	snprintf(op->vm, sizeof op->vm, "%s", vm->name);
	snprintf(op->nic, sizeof op->nic, "%s", nic);
	cable_note(vm, nic, up);
	cable_record(vm, nic);
	cable_send(vm, nic, cable_on_set, op);
}

/* --- a change of an earlier daemon --- */

static void cable_on_joined(void *data, const json_t *result, const struct err *e)
{
	struct vm *vm = data;

	if (!e && vm->proc.cable && cable_nic(vm, vm->proc.cable)) {
		_cleanup_(free_ptr) char *nic = xstrdup(vm->proc.cable);

		cable_settle(vm, nic);
	}
}

/* The record has what was wanted; whether QEMU was told is not known. */
static void cable_joined(struct vm *vm, void *state, bool fresh)
{
	if (fresh || !vm->proc.cable)
		return;
	if (cable_conf(vm, vm->proc.cable) && cable_nic(vm, vm->proc.cable))
		cable_send(vm, vm->proc.cable, cable_on_joined, vm);
	else
		cable_record(vm, NULL);
}

const struct vm_part cable_part = {
	.name = "cable",
	.joined = cable_joined,
};
