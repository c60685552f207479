/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/nic_plug_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/guest/parts.h"
#include "supervisor/guest/unplug.h"
#include "supervisor/qemu/device.h"
#include "supervisor/start/start.h"
#include "supervisor/vm/record.h"

struct nic_plug {
	struct change c; /* first */
	char id[64];
	struct arena arena;
	struct conf_nic conf; /* to attach; strings in the arena */
	struct network_wait *net;
	bool listed, given; /* in the records; QEMU has its tap, but no netdev yet */
};

/* --- the end --- */

static void nic_plug_free(struct change *c)
{
	struct nic_plug *p = container_of(c, struct nic_plug, c);

	network_wait_cancel(p->net);
	arena_release(&p->arena);
	free(p);
}

static json_t *nic_plug_netdev(const struct nic_plug *p)
{
	return json_pack("{s:s+}", "id", "net-", p->id);
}

/* QEMU has closed the tap. */
static void nic_plug_on_closed(void *data, const json_t *result, const struct err *e)
{
	struct nic_plug *p = data;
	struct vm *vm = change_vm(&p->c);

	if (e && e->class != ERR_NOT_FOUND)
		log_warning(p->c.vm, "nic '%s': %s", p->id, e->text);
	/* a QEMU that did not answer has it still, as far as is known */
	if (vm && !(e && e->class == ERR_TIMEOUT)) {
		nic_plug_unlist(vm, p->id, p->c.device);
		if (!p->c.error.number)
			log_info(p->c.vm, "nic '%s' is out", p->id);
	}
	change_end(&p->c);
}

/* Whatever there is of it; what is not there is fine. */
static void nic_plug_close(struct nic_plug *p)
{
	if (p->given)
		change_send(&p->c, "closefd", json_pack("{s:s+}", "fdname", "net-", p->id));
	qmp_call(p->c.q, "netdev_del", nic_plug_netdev(p), -1, VM_QMP_SECONDS, nic_plug_on_closed,
		p);
}

static void nic_plug_fail(struct change *c, const struct err *e)
{
	struct nic_plug *p = container_of(c, struct nic_plug, c);
	struct vm *vm = change_vm(c);

	err_copy(&c->error, e);
	if (e->class == ERR_UNREACHABLE)
		err_set(&c->error, ERR_QEMU_FAILED, "its QEMU went away in the meantime");
	if (vm && p->listed) {
		nic_plug_close(p);
		return;
	}
	if (vm)
		nic_plug_note(vm, p->c.device, NULL);
	change_end(c);
}

static const struct change_ops nic_plug_ops = { .fail = nic_plug_fail, .free = nic_plug_free };

static struct nic_plug *nic_plug_new(
	struct vm *vm, const char *id, struct job *j, change_fn *done, void *data)
{
	_cleanup_(free_ptr) char *device = xasprintf("nic-%s", id);
	struct nic_plug *p = xcalloc(1, sizeof *p);

	snprintf(p->id, sizeof p->id, "%s", id);
	change_begin(&p->c, &nic_plug_ops, vm, device, j, done, data);
	return p;
}

/* --- in --- */

static json_t *nic_plug_device(
	const struct vm *vm, const struct conf_nic *nic, struct identity *id, struct err *e)
{
	struct device_bus bus = { .id = id };

	if (!device_board_of(vm->identity.machine, &bus.board)) {
		err_set(e, ERR_FAILED, "its machine '%s' is not known", vm->identity.machine);
		return NULL;
	}
	return device_nic(nic, &bus, 0, e);
}

static void nic_plug_arrive(struct nic_plug *p, struct vm *vm)
{
	const struct conf_nic *c = nic_plug_conf(vm, p->id);

	if (c && !c->link)
		change_send(
			&p->c, "set_link", json_pack("{s:s, s:b}", "name", p->c.device, "up", 0));
	nic_plug_note(vm, p->c.device, NULL);
	log_info(p->c.vm, "nic '%s' is plugged in", p->id);
	change_end(&p->c);
}

static void nic_plug_on_added(void *data, const json_t *result, const struct err *e)
{
	struct nic_plug *p = data;

	if (change_goes_on(&p->c, e))
		nic_plug_arrive(p, change_vm(&p->c));
}

static void nic_plug_on_backed(void *data, const json_t *result, const struct err *e)
{
	struct nic_plug *p = data;
	struct err own = ERR_INIT;
	struct vm_nic *n;
	struct vm *vm;
	json_t *dev;

	if (!change_goes_on(&p->c, e))
		return;
	p->given = false; /* the netdev has it now */
	vm = change_vm(&p->c);
	n = nic_plug_nic(vm, p->id);
	dev = nic_plug_device(vm, &p->conf, &vm->identity, &own);
	if (!dev || networks_join(vm->daemon->networks, &n->net, &n->tap, &own) < 0) {
		json_decref(dev);
		nic_plug_fail(&p->c, &own);
		return;
	}
	qmp_call(p->c.q, "device_add", dev, -1, VM_QMP_SECONDS, nic_plug_on_added, p);
}

static int nic_plug_tap(struct nic_plug *p, struct vm *vm, struct err *e)
{
	struct vm_nic *n = nic_plug_nic(vm, p->id);
	int fd;

	if (networks_tap(vm->daemon->networks, &n->net, &n->tap, &fd, e) < 0)
		return e->number;
	vm_record_write(vm);
	qmp_call(p->c.q, "getfd", json_pack("{s:s+}", "fdname", "net-", p->id), fd, VM_QMP_SECONDS,
		NULL, NULL);
	close(fd);
	p->given = true;
	return 0;
}

/* Its slot and addresses are on disk, so that no later start gives them to another device. */
static void nic_plug_on_kept(void *data, const struct err *e)
{
	struct nic_plug *p = data;
	_cleanup_(free_ptr) char *fd = xasprintf("net-%s", p->id);
	struct err own = ERR_INIT;

	if (!p->c.ended && (e || change_goes_on(&p->c, NULL))) {
		if (e)
			err_copy(&own, e);
		if (own.number || nic_plug_tap(p, change_vm(&p->c), &own) < 0)
			nic_plug_fail(&p->c, &own);
		else
			qmp_call(p->c.q, "netdev_add", device_netdev(&p->conf, fd), -1,
				VM_QMP_SECONDS, nic_plug_on_backed, p);
	}
	change_settled(&p->c);
}

/* It is in the records before there is a tap, so that the next daemon finds what there is. */
static int nic_plug_prepare(struct nic_plug *p, struct vm *vm, struct err *e)
{
	struct conf_vm only = vm->proc.conf;
	json_t *dev;

	only.nic = &p->conf;
	only.nics = 1;
	if (vm_complete_identity(vm, &only, e) < 0)
		return e->number;
	nic_plug_list(vm, &p->conf);
	p->listed = true;
	nic_plug_note(vm, p->c.device, "in");
	if (start_claim_nic(vm, &nic_plug_nic(vm, p->id)->net, e) < 0)
		return e->number;
	vm_record_write(vm);
	dev = nic_plug_device(vm, &p->conf, &vm->identity, e);
	json_decref(dev);
	if (!dev || nic_plug_save(vm, nic_plug_on_kept, p, e) < 0)
		return e->number;
	change_waits(&p->c);
	return 0;
}

static void nic_plug_on_network(void *data, const struct err *e)
{
	struct nic_plug *p = data;
	struct err own = ERR_INIT;

	p->net = NULL;
	if (p->c.job)
		p->c.job->cancel = NULL;
	if (e) {
		err_copy(&own, e);
		err_wrap(&own, 0, "nic '%s'", p->id);
	} else if (!change_goes_on(&p->c, NULL)) {
		return;
	}
	if (own.number || nic_plug_prepare(p, change_vm(&p->c), &own) < 0)
		nic_plug_fail(&p->c, &own);
}

static int nic_plug_cancel(void *data, struct err *refused)
{
	struct nic_plug *p = data;
	struct err e = ERR_INIT;

	err_set(&e, ERR_FAILED, "cancelled; nothing was plugged in");
	nic_plug_fail(&p->c, &e);
	return 0;
}

/* The root ports were made at the start: a device of a newer slot has none. */
static int nic_plug_slot(
	const struct nic_plug *p, const struct vm *vm, const json_t *devices, struct err *e)
{
	struct identity copy = IDENTITY_INIT;
	json_auto_t *dev = NULL;
	const char *bus;

	if (unplug_has(devices, p->c.device))
		return err_set(e, ERR_CONFLICT, "QEMU has a device '%s' already", p->c.device);
	if (!identity_copy(&copy, &vm->identity))
		return err_set(e, ERR_FAILED, "its identity cannot be copied");
	dev = nic_plug_device(vm, &p->conf, &copy, e);
	identity_release(&copy);
	bus = json_string_value(json_object_get(dev, "bus"));
	if (!dev || streq(bus, "pci.0") || unplug_has(devices, bus))
		return e->number;
	if (streq(bus, "pcie.0")) {
		err_set(e, ERR_INVALID_CONFIG,
			"a NIC of this Model= cannot be plugged into a q35 machine that runs");
		return err_hint(e, "Model=virtio and Model=e1000e can");
	}
	err_set(e, ERR_NO_RESOURCES,
		"no free slot: those that it was started with belong to other devices");
	return err_hint(e, "vmkeep set %s NIC.%s.Network=default adds it at the next start",
		vm->name, p->id);
}

static void nic_plug_on_devices(void *data, const json_t *result, const struct err *e)
{
	struct nic_plug *p = data;
	struct err own = ERR_INIT;
	struct vm *vm;

	if (!change_goes_on(&p->c, e))
		return;
	vm = change_vm(&p->c);
	if (nic_plug_slot(p, vm, result, &own) < 0 ||
		(p->conf.bridge &&
			networks_bridge(vm->daemon->networks, p->conf.bridge, &own) < 0)) {
		nic_plug_fail(&p->c, &own);
		return;
	}
	if (p->c.job) {
		job_progress(p->c.job, 0, 0, "waits for its network");
		p->c.job->cancel = nic_plug_cancel;
		p->c.job->cancel_data = p;
	}
	p->net = networks_need(vm->daemon->networks, p->conf.bridge ? NULL : p->conf.network,
		nic_plug_on_network, p);
}

static int nic_plug_may(const struct vm *vm, const char *device, struct err *e)
{
	if (vm->busy)
		return err_set(e, ERR_CONFLICT, "%s is under way", vm->busy);
	if (!vm->mon.qmp)
		return err_set(e, ERR_TIMEOUT, "QEMU's monitor does not answer: nothing was done");
	if (streq(json_string_value(json_object_get(change_noted(vm, device), "step")), "in"))
		return err_set(e, ERR_CONFLICT, "NIC '%s' is just being plugged in",
			strchr(device, '-') + 1);
	return 0;
}

void nic_plug_attach(
	struct vm *vm, const struct conf_nic *nic, struct job *j, change_fn *done, void *data)
{
	_cleanup_(free_ptr) char *device = xasprintf("nic-%s", nic->id);
	struct err e = ERR_INIT;
	struct nic_plug *p;

	if (nic_plug_may(vm, device, &e) == 0 && change_may_arrive(vm, &e) == 0 &&
		nic_plug_conf(vm, nic->id))
		err_set(&e, ERR_CONFLICT, "it has a NIC '%s' already", nic->id);
	if (e.number) {
		done(data, &e);
		return;
	}
	p = nic_plug_new(vm, nic->id, j, done, data);
	nic_plug_copy(&p->conf, nic, &p->arena);
	nic_plug_note(vm, device, "in");
	unplug_look(p->c.q, nic_plug_on_devices, p);
}

/* --- out --- */

static void nic_plug_on_released(void *data, enum unplug_end end, const struct err *e)
{
	struct nic_plug *p = data;
	struct vm *vm = change_vm(&p->c);

	if (!p->c.ended && end == UNPLUG_GONE && vm) {
		nic_plug_close(p);
	} else if (!p->c.ended) {
		err_copy(&p->c.error, e);
		if (end == UNPLUG_STAYS) {
			if (vm)
				nic_plug_note(vm, p->c.device, "stays");
			err_hint(&p->c.error,
				"it stays in use, and goes when the guest releases it or restarts");
		}
		change_end(&p->c);
	}
	change_settled(&p->c);
}

void nic_plug_detach(
	struct vm *vm, const char *id, double timeout, struct job *j, change_fn *done, void *data)
{
	_cleanup_(free_ptr) char *device = xasprintf("nic-%s", id),
				 *what = xasprintf("NIC '%s'", id);
	const char *step = json_string_value(json_object_get(change_noted(vm, device), "step"));
	struct err e = ERR_INIT;
	struct nic_plug *p;

	if (nic_plug_may(vm, device, &e) == 0 && !nic_plug_conf(vm, id))
		err_set(&e, ERR_NOT_FOUND, "it has no NIC '%s'", id);
	else if (!e.number && (streq(step, "out") || streq(vm->proc.cable, id)))
		err_set(&e, ERR_CONFLICT, "NIC '%s' is just being changed", id);
	if (e.number) {
		done(data, &e);
		return;
	}
	p = nic_plug_new(vm, id, j, done, data);
	nic_plug_note(vm, device, "out");
	change_waits(&p->c);
	unplug_begin(vm, device, what, timeout, j, nic_plug_on_released, p);
}

/* --- what was not finished --- */

/* Released later than anybody waited for it. */
static void nic_plug_event(struct vm *vm, void *state, const char *name, const json_t *data)
{
	const char *device = unplug_gone(name, data);
	const json_t *doc = device ? change_noted(vm, device) : NULL;
	struct nic_plug *p;

	if (!streq(json_string_value(json_object_get(doc, "kind")), NIC_PLUG_KIND) ||
		!streq(json_string_value(json_object_get(doc, "step")), "stays"))
		return;
	p = nic_plug_new(vm, device + strlen("nic-"), NULL, NULL, NULL);
	nic_plug_note(vm, p->c.device, "out");
	nic_plug_close(p);
}

static void nic_plug_on_looked(void *data, const json_t *result, const struct err *e)
{
	struct nic_plug *p = data;
	const char *step;
	struct vm *vm;

	if (!change_goes_on(&p->c, e))
		return;
	vm = change_vm(&p->c);
	step = json_string_value(json_object_get(change_noted(vm, p->c.device), "step"));
	if (!unplug_has(result, p->c.device)) {
		p->given = true;
		nic_plug_close(p);
	} else if (streq(step, "in")) {
		nic_plug_arrive(p, vm);
	} else {
		nic_plug_note(vm, p->c.device, "stays");
		change_end(&p->c);
	}
}

/* Of an earlier daemon, or before the monitor was lost. What QEMU has decides. */
static void nic_plug_joined(struct vm *vm, void *state, bool fresh)
{
	const char *device;
	json_t *doc;

	if (fresh)
		return;
	json_object_foreach (vm->proc.changes, device, doc) {
		struct nic_plug *p;

		if (!streq(json_string_value(json_object_get(doc, "kind")), NIC_PLUG_KIND) ||
			change_under_way(vm, device))
			continue;
		p = nic_plug_new(vm, device + strlen("nic-"), NULL, NULL, NULL);
		unplug_look(p->c.q, nic_plug_on_looked, p);
	}
}

const struct vm_part nic_plug_part = {
	.name = "nics",
	.joined = nic_plug_joined,
	.event = nic_plug_event,
};
