/* SPDX-License-Identifier: MIT */
/*
 * The steps of a start before there is a process: effective configuration, probe of the binary,
 * KVM proof, identity, UEFI variables, networks.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>

#include "base/log.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/qemu/device.h"
#include "supervisor/host/meminfo.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/nic.h"
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

	if (conf_vm_copy(&vm->proc.conf, &vm->file.conf, e) < 0)
		log_error(vm->name, "%s", e->text);
	return STEP_DONE;
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

void start_make_nics(struct vm *vm)
{
	char dns[64];
	struct in_addr in;

	vm_free_nics(vm);
	for (size_t i = 0; i < vm->proc.conf.nics; i++) {
		const struct conf_nic *c = &vm->proc.conf.nic[i];
		const struct identity_nic *known = identity_nic(&vm->identity, c->id);
		struct network_nic as = { .nic = c->id,
			.network = c->bridge ? NULL : c->network,
			.bridge = c->bridge,
			.hostname = c->hostname ? c->hostname : conf_dns_name(vm->name, dns),
			.address = known->address,
			.link = c->link };

		memcpy(as.mac, c->mac.set ? c->mac.byte : known->mac, ETH_ALEN);
		if (c->address && inet_pton(AF_INET, c->address, &in) == 1) {
			as.fixed = true;
			as.address = ntohl(in.s_addr);
		}
		vm_add_nic(vm, &as);
	}
}

int start_identity(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;

	if (vm_identity_check(vm, &vm->file.conf, e) < 0 ||
		vm_bases_check(vm, &vm->proc.conf, e) < 0 ||
		vm_complete_identity(vm, &vm->proc.conf, e) < 0)
		return e->number;
	start_make_nics(vm);
	return STEP_DONE;
}

static void prepare_on_nvram(void *data, const struct child_result *r, const struct err *jail)
{
	struct vm_start *s = data;
	struct vm *vm = s->vm;
	struct err e = ERR_INIT;

	s->tool = NULL;
	if (jail) {
		err_copy(&e, jail);
	} else if (r->status != 0) {
		_cleanup_(free_ptr) char *said = text_escape(r->err, strcspn(r->err, "\n"), false);
		char late[CHILD_LATE];

		if (r->status == -ETIMEDOUT)
			err_set(&e, ERR_TIMEOUT, "qemu-img %s", child_late(r, late));
		else
			err_set(&e, ERR_FAILED, "%s", *said ? said : "qemu-img failed");
	} else if (renameat(vm->state_fd, "nvram.new", vm->state_fd, VM_NVRAM) < 0) {
		err_errno(&e, "rename nvram.new");
	}
	if (!e.number) {
		start_next(s);
		return;
	}
	err_wrap(&e, 0, "make the UEFI variables");
	start_failed(s, &e);
}

/* Uses the format given in the firmware descriptor, and no locks, which any process could hold. */
static char *prepare_nvram_spec(const struct firmware *firmware)
{
	json_auto_t *spec = json_pack("{s:s, s:{s:s, s:s, s:s}}", "driver",
		conf_format_name(firmware->vars_format), "file", "driver", "file", "locking", "off",
		"filename", firmware->vars);
	char *text = json_dumps(spec, JSON_COMPACT),
	     *result = text ? xasprintf("json:%s", text) : NULL;

	free(text);
	return result;
}

/* qemu-img may write an empty file and read the template of the firmware. */
static int prepare_nvram(struct vm_start *s, const struct firmware *firmware, struct err *e)
{
	struct vm *vm = s->vm;
	_cleanup_(free_ptr) char *path = vm_state_path(vm, "nvram.new");
	_cleanup_(free_ptr) char *spec = prepare_nvram_spec(firmware);
	const char *vars = firmware->vars;
	const char *argv[] = { "qemu-img", "convert", "-O", "qcow2", spec, path, NULL };
	_cleanup_(close_fd) int fd = openat(vm->state_fd, "nvram.new",
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	const struct child_options o = { .out_max = 4096 };
	json_t *plan;

	if (!spec)
		return err_set(e, ERR_INVALID_CONFIG, "the firmware's path is not UTF-8");
	if (fd < 0)
		return err_errno(e, "create nvram.new");
	plan = confine_plan("tool", vm->name, vm->identity.uid, vm->daemon->dirs.run, argv, e);
	if (!plan)
		return e->number;
	json_object_set_new(plan, "files",
		json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s, s:b}]", "kind", "firmware", "what",
			"UEFI firmware", "path", vars, "kind", "nvram", "what", "UEFI variables",
			"path", path, "write", 1));
	s->tool = confine_run(
		vm->daemon->loop.ev, vm->daemon->jail, plan, NULL, 0, &o, prepare_on_nvram, s, e);
	return s->tool ? STEP_WAITS : e->number;
}

/* The UEFI variables are in a qcow2 of their own, so that internal snapshots include them. */
int start_nvram(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;
	struct firmware *firmware;
	int r = vm_firmware(&vm->proc.conf, s->probe, &firmware, e);

	if (r < 0)
		s->fault = VM_END_START_FAILED; /* it must be installed */
	if (firmware)
		r = vm_state_dir(vm, e);
	if (firmware && r >= 0)
		r = faccessat(vm->state_fd, VM_NVRAM, F_OK, 0) == 0 ? STEP_DONE
								    : prepare_nvram(s, firmware, e);
	firmware_free(firmware);
	return r;
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
static int prepare_claim(struct vm *vm, struct network_nic *n, struct err *e)
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
		r = prepare_claim(s->vm, &s->vm->proc.nic[i].net, e);
	return r;
}
