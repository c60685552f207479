/* SPDX-License-Identifier: MIT */
/*
 * From the wish to run to everything a process needs: effective configuration, probe of the binary,
 * KVM proved, identity, UEFI variables, networks. Each step waits for its own completion, and
 * where others may have waited for the same, for a turn of the loop; none of them has made anything
 * that a cancel must unmake but networks, which stand for all.
 */
#include <arpa/inet.h>
#include <fcntl.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/qemu/firmware.h"
#include "supervisor/host/meminfo.h"
#include "supervisor/qemu/probe.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/launch.h"
#include "supervisor/vm/uuid.h"
#include "supervisor/vm/vms.h"

struct vm_prepare {
	struct vm *vm;
	const struct probe *probe;
	size_t nic;
	struct network_wait *net;
	struct confined *tool;
	struct loop_task task; /* the next step, when many wait for the same thing */
};

static void next_network(struct vm_prepare *p);

static void fail_wrapped(struct vm *vm, const struct err *e, const char *what, const char *name)
{
	struct err own;

	err_copy(&own, e);
	err_wrap(&own, 0, "%s '%s'", what, name);
	vm_start_fail(vm, VM_END_HOST_CAUSE, &own);
}

/* The configuration that this process will have, apart from the file that may change under it. */
static void freeze_conf(struct vm *vm)
{
	struct err e = ERR_INIT;

	if (conf_vm_copy(&vm->proc.conf, &vm->file.conf, &e) < 0)
		log_error(vm->name, "%s", e.text);
}

static bool mac_taken(void *data, const uint8_t mac[ETH_ALEN])
{
	struct vm *vm = data;

	return networks_mac_taken(vm->daemon->networks, mac, vm->name);
}

int vm_complete_identity(struct vm *vm, const struct conf_vm *c, struct err *e)
{
	if (vm->identity_problem)
		return err_set(e, ERR_FAILED, "identity: %s", vm->identity_problem);
	if (vm_need_uid(vm, e) < 0)
		return e->number;
	return identity_complete(&vm->identity, c, vm->daemon->image_dir, mac_taken, vm, e);
}

static void make_nics(struct vm *vm)
{
	char dns[64];
	struct in_addr in;

	vm_free_nics(vm);
	vm->proc.nics = vm->proc.conf.nics;
	vm->proc.nic = xcalloc(vm->proc.nics, sizeof *vm->proc.nic);
	for (size_t i = 0; i < vm->proc.nics; i++) {
		const struct conf_nic *c = &vm->proc.conf.nic[i];
		const struct identity_nic *known = identity_nic(&vm->identity, c->id);
		struct vm_nic *n = &vm->proc.nic[i];

		n->id = xstrdup(c->id);
		n->network = c->bridge ? NULL : xstrdup(c->network);
		n->bridge = xstrdup(c->bridge);
		n->hostname = xstrdup(c->hostname ? c->hostname : conf_dns_name(vm->name, dns));
		n->link = c->link;
		memcpy(n->mac, c->mac.set ? c->mac.byte : known->mac, ETH_ALEN);
		n->address = known->address;
		if (c->address && inet_pton(AF_INET, c->address, &in) == 1) {
			n->fixed = true;
			n->address = ntohl(in.s_addr);
		}
	}
}

static void on_network(void *data, const struct err *e)
{
	struct vm_prepare *p = data;
	struct vm *vm = p->vm;

	p->net = NULL;
	if (e) {
		fail_wrapped(vm, e, "nic", vm->proc.nic[p->nic].id);
		return;
	}
	p->nic++;
	next_network(p);
}

/* The address of each NIC is known before the guest runs. */
static int claim(struct vm *vm, struct vm_nic *n, struct err *e)
{
	struct network_nic nic = vm_network_nic(vm, n);
	struct identity_nic *known = identity_nic(&vm->identity, n->id);
	int r = networks_claim(vm->daemon->networks, &nic, &n->address, e);

	if (r < 0)
		return err_wrap(e, r, "nic '%s'", n->id);
	if (known->address != n->address || memcmp(known->mac, n->mac, ETH_ALEN) != 0)
		vm->identity.dirty = true;
	known->address = n->address;
	memcpy(known->mac, n->mac, ETH_ALEN);
	identity_set_text(&vm->identity, &known->network, n->network);
	identity_set_text(&vm->identity, &known->hostname, n->network ? n->hostname : NULL);
	return 0;
}

static void finish(struct loop_task *t)
{
	struct vm *vm = container_of(t, struct vm_prepare, task)->vm;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < vm->proc.nics; i++)
		if (claim(vm, &vm->proc.nic[i], &e) < 0) {
			vm_start_fail(vm, VM_END_HOST_CAUSE, &e);
			return;
		}
	vm_event(vm, VM_EV_PREPARED, NULL);
}

static void next_network(struct vm_prepare *p)
{
	struct vm *vm = p->vm;

	if (p->nic < vm->proc.nics)
		p->net = networks_need(
			vm->daemon->networks, vm->proc.nic[p->nic].network, on_network, p);
	else
		loop_later(vm->daemon->loop.ev, &p->task, finish);
}

static void nvram_done(void *data, const struct child_result *r, const struct err *jail)
{
	struct vm_prepare *p = data;
	struct err e = ERR_INIT;

	p->tool = NULL;
	if (jail) {
		err_copy(&e, jail);
	} else if (r->status != 0) {
		_cleanup_(free_ptr) char *said = text_escape(r->err, strcspn(r->err, "\n"), false);

		err_set(&e, ERR_FAILED, "%s", *said ? said : "qemu-img failed");
	} else if (renameat(p->vm->state_fd, "nvram.new", p->vm->state_fd, "nvram.qcow2") < 0) {
		err_errno(&e, "rename nvram.new");
	}
	if (!e.number) {
		next_network(p);
		return;
	}
	err_wrap(&e, 0, "make the UEFI variables");
	vm_start_fail(p->vm, VM_END_HOST_CAUSE, &e);
}

/* In the format that the firmware's descriptor tells, and without locks, which anybody could hold. */
static char *template_spec(const struct firmware *firmware)
{
	json_t *spec = json_pack("{s:s, s:{s:s, s:s, s:s}}", "driver",
		conf_format_name(firmware->vars_format), "file", "driver", "file", "locking", "off",
		"filename", firmware_vars(firmware));
	char *text = json_dumps(spec, JSON_COMPACT), *result = text ? xasprintf("json:%s", text) : NULL;

	free(text);
	json_decref(spec);
	return result;
}

/* qemu-img gets an empty file to write to, and the firmware's own variables to read. */
static int make_nvram(struct vm_prepare *p, const struct firmware *firmware, struct err *e)
{
	struct vm *vm = p->vm;
	_cleanup_(free_ptr) char *path = xasprintf("%s/vms/%s/nvram.new", vm->daemon->dirs.state, vm->name);
	_cleanup_(free_ptr) char *spec = template_spec(firmware);
	const char *vars = firmware_vars(firmware);
	const char *argv[] = { "qemu-img", "convert", "-O", "qcow2", spec, path, NULL };
	_cleanup_(close_fd) int fd = openat(
		vm->state_fd, "nvram.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
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
		json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s, s:b}]", "kind", "firmware", "what", "UEFI firmware", "path",
			vars, "kind", "nvram", "what", "UEFI variables", "path", path, "write", 1));
	p->tool = confine_run(vm->daemon->loop.ev, vm->daemon->jail, plan, &o, nvram_done, p, e);
	return p->tool ? 0 : e->number;
}

/* UEFI keeps its variables in a qcow2 of its own, so that internal snapshots can hold them too. */
static void need_nvram(struct vm_prepare *p)
{
	struct vm *vm = p->vm;
	struct firmware *firmware = NULL;
	struct err e = ERR_INIT;
	bool there = false;
	int r = vm_state_dir(vm, &e);

	if (r >= 0)
		r = vm_firmware(&vm->proc.conf, p->probe, &firmware, &e);
	if (r >= 0)
		there = faccessat(vm->state_fd, "nvram.qcow2", F_OK, 0) == 0;
	if (r >= 0 && !there)
		r = make_nvram(p, firmware, &e);
	firmware_free(firmware);
	if (r < 0)
		vm_start_fail(vm, VM_END_HOST_CAUSE, &e);
	else if (there)
		next_network(p);
}

static void complete_identity(struct loop_task *t)
{
	struct vm_prepare *p = container_of(t, struct vm_prepare, task);
	struct vm *vm = p->vm;
	struct err e = ERR_INIT;

	if (vm_identity_check(vm, &vm->file.conf, &e) < 0 || vm_complete_identity(vm, &vm->proc.conf, &e) < 0) {
		vm_start_fail(vm, VM_END_START_FAILED, &e);
		return;
	}
	make_nics(vm);
	if (firmware_wanted(&vm->proc.conf))
		need_nvram(p);
	else
		next_network(p);
}

static void on_kvm(void *data, const struct err *e)
{
	struct vm_prepare *p = data;
	struct vm *vm = p->vm;

	if (e && vm->proc.conf.accel == CONF_ACCEL_KVM) {
		vm_start_fail(vm, VM_END_HOST_CAUSE, e);
		return;
	}
	if (e)
		log_warning(vm->name, "runs without KVM, slowly: %s", e->text);
	vm->proc.accel = e ? CONF_ACCEL_TCG : CONF_ACCEL_KVM;
	loop_later(vm->daemon->loop.ev, &p->task, complete_identity);
}

static void on_probe(void *data, const struct probe *probe, const struct err *e)
{
	struct vm_prepare *p = data;
	struct vm *vm = p->vm;
	const char *machine;
	struct err own = ERR_INIT;

	if (e) {
		vm_start_fail(vm, VM_END_START_FAILED, e);
		return;
	}
	p->probe = probe;
	machine = probe_machine(probe, vm->proc.conf.machine);
	if (!machine) {
		char known[256];

		probe_machines(probe, vm->proc.conf.machine, known, sizeof known);
		err_set(&own, ERR_INVALID_CONFIG, "%s:%u: Machine: '%s' is unknown to '%s'",
			vm->file.conf.place.file, vm->file.conf.place.line, vm->proc.conf.machine, probe->binary);
		err_hint(&own, "known are %s", known);
		vm_start_fail(vm, VM_END_START_FAILED, &own);
		return;
	}
	identity_pin_machine(&vm->identity, vm->proc.conf.machine, machine);
	if (vm->proc.conf.accel == CONF_ACCEL_TCG) {
		vm->proc.accel = CONF_ACCEL_TCG;
		loop_later(vm->daemon->loop.ev, &p->task, complete_identity);
	} else {
		probes_kvm(vm->daemon->probes, probe, on_kvm, p);
	}
}

const struct probe *vm_probe(const struct vm *vm)
{
	return vm->prepare ? vm->prepare->probe : NULL;
}

void vm_prepare(struct vm *vm)
{
	struct vm_prepare *p = xcalloc(1, sizeof *p);
	struct meminfo memory;
	struct err e = ERR_INIT;

	vm->st.again[0] = '\0';
	/* policy's own restart: the file may have gone meanwhile, or something forbids it */
	if (vm_may_start(vm, false, &e) < 0) {
		free(p);
		vm_start_fail(vm, e.class == ERR_CONFLICT ? VM_END_HOST_CAUSE : VM_END_START_FAILED, &e);
		return;
	}
	p->vm = vm;
	vm->prepare = p;
	free(vm->start_error);
	vm->start_error = NULL;
	vm->st.ending = VM_END_NONE;
	vm->proc.quit_sent = vm->proc.kill_sent = vm->proc.unkillable = false;
	freeze_conf(vm);
	if (meminfo_read(&memory, &e) == 0 && meminfo_fits(&memory, vm->proc.conf.memory, &e) < 0) {
		vm_start_fail(vm, VM_END_HOST_CAUSE, &e);
		return;
	}
	probes_get(vm->daemon->probes, vm->proc.conf.binary ? vm->proc.conf.binary : "qemu-system-x86_64",
		on_probe, p);
}

void vm_prepare_cancel(struct vm *vm)
{
	struct vm_prepare *p = vm->prepare;

	if (!p)
		return;
	vm->prepare = NULL;
	loop_cancel(vm->daemon->loop.ev, &p->task);
	probes_forget(vm->daemon->probes, p);
	network_wait_cancel(p->net);
	confine_cancel(p->tool);
	free(p);
}
