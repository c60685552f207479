/* SPDX-License-Identifier: MIT */
/*
 * The steps of a start before there is a process: effective configuration, probe of the binary,
 * KVM proof, identity, networks. The UEFI variables are in nvram.c.
 */
#include <arpa/inet.h>

#include "base/log.h"
#include "supervisor/qemu/device.h"
#include "supervisor/host/meminfo.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/nic.h"
#include "supervisor/start/once.h"
#include "supervisor/start/plan.h"
#include "supervisor/start/start.h"
#include "supervisor/vm/bases.h"
#include "supervisor/vm/uuid.h"

int start_permission(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;

	vm->st.again[0] = '\0';
	free_ptr(&vm->start_error);
	vm->st.ending = VM_END_NONE;
	vm->stop.left = false;
	vm->proc.quit_sent = vm->proc.kill_sent = vm->proc.unkillable = false;
	/* a restart by policy: in the meantime the file may be gone, or something else may
	 * forbid it */
	if (vm_may_start(vm, false, e) == 0)
		return STEP_DONE;
	if (e->class == ERR_CONFLICT)
		s->fault = VM_END_HOST_CAUSE;
	return e->number;
}

/* The configuration of this process, independent of later changes to the file. */
int start_configuration(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;

	return once_configuration(vm, &vm->proc.conf, e) < 0 ? e->number : STEP_DONE;
}

int start_memory(struct vm_start *s, struct err *e)
{
	struct meminfo memory;
	struct err unread = ERR_INIT;

	if (meminfo_read(&memory, &unread) < 0)
		return STEP_DONE;
	if (meminfo_fits(&memory, s->vm->proc.conf.memory, e) < 0)
		return e->number;
	return meminfo_promises(&memory, s->vm->proc.conf.memory_max, e);
}

static void prepare_on_probe(void *data, const struct probe *probe, const struct err *e)
{
	struct vm_start *s = data;
	struct vm *vm = s->vm;
	const char *machine;
	struct err own = ERR_INIT;

	if (e) {
		start_failed(s, e);
		return;
	}
	s->probe = probe;
	if (argv_machine(probe, &vm->proc.conf, &vm->identity, &machine, &own) < 0) {
		start_failed(s, &own);
		return;
	}
	identity_pin_machine(&vm->identity, vm->proc.conf.machine, machine);
	start_next(s);
}

int start_qemu(struct vm_start *s, struct err *e)
{
	probes_get(s->vm->daemon->probes, conf_vm_binary(&s->vm->proc.conf), prepare_on_probe, s);
	return STEP_WAITS;
}

static void prepare_on_kvm(void *data, const struct probe *none, const struct err *e)
{
	struct vm_start *s = data;
	struct vm *vm = s->vm;

	if (e && vm->proc.conf.accel == CONF_ACCEL_KVM) {
		start_failed(s, e);
		return;
	}
	if (e)
		log_warning(vm->name, "runs without KVM, slowly: %s", e->text);
	vm->proc.accel = e ? CONF_ACCEL_TCG : CONF_ACCEL_KVM;
	start_next(s);
}

int start_kvm(struct vm_start *s, struct err *e)
{
	if (s->vm->proc.conf.accel == CONF_ACCEL_TCG) {
		s->vm->proc.accel = CONF_ACCEL_TCG;
		return STEP_DONE;
	}
	probes_kvm(s->vm->daemon->probes, s->probe, prepare_on_kvm, s);
	return STEP_WAITS;
}

static bool prepare_mac_taken(void *data, const uint8_t mac[ETH_ALEN])
{
	struct vm *vm = data;

	return networks_mac_taken(vm->daemon->networks, mac, vm->name);
}

static bool prepare_cid_taken(void *data, uint32_t cid)
{
	const struct vm *vm = data;
	const struct vms *vms = vm->daemon->vms;

	for (size_t i = 0; i < vms->n; i++)
		if (vms->vm[i] != vm &&
			(vms->vm[i]->identity.cid == cid ||
				device_cid(&vms->vm[i]->file.conf, &vms->vm[i]->identity) == cid))
			return true;
	return false;
}

int vm_complete_identity(struct vm *vm, const struct conf_vm *c, struct err *e)
{
	if (vm->identity_problem) {
		err_set(e, ERR_CONFLICT, "identity: %s", vm->identity_problem);
		return err_hint(e,
			"put identity.json in %s/vms/%s right, from a backup if it is lost",
			vm->daemon->dirs.state, vm->name);
	}
	if (vm_need_uid(vm, e) < 0)
		return e->number;
	if (identity_complete(&vm->identity, c, vm->daemon->image_dir, prepare_mac_taken, vm, e) <
		0)
		return e->number;
	if (streq(c->vsock_cid, "auto"))
		identity_complete_cid(&vm->identity, prepare_cid_taken, vm);
	return 0;
}

/* Address=, with a prefix length if it is on a bridge; 0: none. */
static uint32_t prepare_address(const struct conf_nic *c)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr in;

	if (!c->address)
		return 0;
	snprintf(text, sizeof text, "%.*s", (int)strcspn(c->address, "/"), c->address);
	return inet_pton(AF_INET, text, &in) == 1 ? ntohl(in.s_addr) : 0;
}

void start_make_nic(struct vm *vm, const struct conf_nic *c)
{
	const struct identity_nic *known = identity_nic(&vm->identity, c->id);
	char dns[64];
	struct network_nic as = { .nic = c->id,
		.network = c->bridge ? NULL : c->network,
		.bridge = c->bridge,
		.hostname = c->hostname ? c->hostname : conf_dns_name(vm->name, dns),
		.address = prepare_address(c),
		.link = c->link };

	memcpy(as.mac, c->mac.set ? c->mac.byte : known->mac, ETH_ALEN);
	as.fixed = as.network && as.address;
	if (as.network && !as.fixed)
		as.address = known->address;
	vm_add_nic(vm, &as);
}

void start_make_nics(struct vm *vm)
{
	vm_free_nics(vm);
	for (size_t i = 0; i < vm->proc.conf.nics; i++)
		start_make_nic(vm, &vm->proc.conf.nic[i]);
}

int start_identity(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;

	if (vm_identity_check(vm, &vm->file.conf, e) < 0 ||
		vm_bases_check(vm, &vm->proc.conf, e) < 0 ||
		vm_complete_identity(vm, &vm->proc.conf, e) < 0 || vm_state_may(vm, e) < 0)
		return e->number;
	start_make_nics(vm);
	return STEP_DONE;
}

static void prepare_on_network(void *data, const struct err *e)
{
	struct vm_start *s = data;
	const struct network_nic *nic = &s->vm->proc.nic[s->nic].net;
	struct err own;

	s->net = NULL;
	if (e) {
		err_copy(&own, e);
		err_wrap(&own, 0, "nic '%s'", nic->nic);
		if (nic->network && !networks_exists(s->vm->daemon->networks, nic->network, NULL))
			s->fault = VM_END_START_FAILED; /* its file must be written */
		start_failed(s, &own);
		return;
	}
	s->nic++;
	start_at(s, s->step);
}

/* One after the other. */
int start_networks(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;

	const struct network_nic *n;

	if (s->nic == vm->proc.nics)
		return STEP_DONE;
	n = &vm->proc.nic[s->nic].net;
	if (n->bridge && networks_bridge(vm->daemon->networks, n->bridge, e) < 0)
		return err_wrap(e, e->number, "nic '%s'", n->nic);
	s->net = networks_need(vm->daemon->networks, n->network, prepare_on_network, s);
	return STEP_WAITS;
}

/* Each NIC's address is known before the guest runs. */
int start_claim_nic(struct vm *vm, struct network_nic *n, struct err *e)
{
	struct identity_nic *known = identity_nic(&vm->identity, n->nic);
	uint32_t address;
	int r = networks_claim(vm->daemon->networks, n, &address, e);

	if (r < 0)
		return err_wrap(e, r, "nic '%s'", n->nic);
	n->address = address;
	if (known->address != n->address || memcmp(known->mac, n->mac, ETH_ALEN) != 0)
		vm->identity.dirty = true;
	known->address = n->address;
	memcpy(known->mac, n->mac, ETH_ALEN);
	identity_set_text(&vm->identity, &known->network, n->network);
	identity_set_text(&vm->identity, &known->hostname, n->network ? n->hostname : NULL);
	return 0;
}

int start_addresses(struct vm_start *s, struct err *e)
{
	int r = STEP_DONE;

	for (size_t i = 0; r == STEP_DONE && i < s->vm->proc.nics; i++)
		r = start_claim_nic(s->vm, &s->vm->proc.nic[i].net, e);
	return r;
}
