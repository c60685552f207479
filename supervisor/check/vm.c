/* SPDX-License-Identifier: MIT */
#include "supervisor/check/vm.h"

#include <fcntl.h>
#include <net/if.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "conf/budget.h"
#include "conf/load.h"
#include "supervisor/host/meminfo.h"
#include "supervisor/qemu/probe.h"
#include "supervisor/jail/plan.h"
#include "supervisor/check/duplicates.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/identity_plan.h"
#include "supervisor/vm/plan.h"
#include "supervisor/vm/part.h"
#include "supervisor/vm/uuid.h"
#include "supervisor/vm/revert.h"

struct vm_check {
	struct daemon *daemon;
	struct conf_problems *rows;
	void (*done)(void *data);
	void *data;
	char **name; /* those to check */
	bool *twice; /* is it told of each that another file has its UUID? */
	size_t n, next;
	struct vm *vm; /* a copy of the one under way */
	struct check_files files; /* of all, until what they claim both was found */
	struct check_jail *jail;
	struct check_space *space;
	const struct probe *probe;
	bool all;
	bool kvm_asked; /* kvm_asked: once per check, for its failure takes seconds */
	struct err kvm;
};

static void check_next(struct vm_check *c);

static void add_error(
	const struct vm_check *c, const struct vm *vm, const char *key, const struct err *e)
{
	check_row(c->rows, &vm->file.conf.place, key, "error", e->text, e->hint);
}

/* --- of all VMs together --- */

struct found {
	struct vm_check *c;
	struct vm **vm; /* by the index that duplicates_find() tells */
};

/* Its number among those asked for; how many there are: it is none of them. */
static size_t asked(const struct vm_check *c, const char *name)
{
	size_t i = 0;

	while (i < c->n && !streq(c->name[i], name))
		i++;
	return i;
}

static void found_duplicate(void *data, size_t index, const struct conf_place *place,
	const char *key, const char *text, const char *hint)
{
	const struct found *f = data;
	size_t i = asked(f->c, f->vm[index]->name);

	if (i == f->c->n)
		return;
	check_row(f->c->rows, place, key, "error", text, hint);
	f->c->twice[i] |= streq(key, "UUID");
}

static void check_duplicates(struct vm_check *c, const struct vms *vms)
{
	struct duplicates_vm *all = xcalloc(vms->n, sizeof *all);
	struct found f = { c, xcalloc(vms->n, sizeof(struct vm *)) };
	size_t n = 0;

	for (size_t i = 0; i < vms->n; i++)
		if (vms->vm[i]->file.have_conf) {
			f.vm[n] = vms->vm[i];
			all[n++] =
				(struct duplicates_vm){ &vms->vm[i]->file.conf, &vms->vm[i]->identity };
		}
	duplicates_find(all, n, c->daemon->image_dir, found_duplicate, &f);
	free(f.vm);
	free(all);
}

static void found_short(void *data, const struct conf_place *place, const char *key,
	const char *reason, const char *hint)
{
	check_row(data, place, key, "warning", reason, hint);
}

static void check_budget(const struct vm_check *c, const struct check_files *f)
{
	const struct conf_vm **conf = xcalloc(f->vms.n + 1, sizeof(struct conf_vm *));
	size_t n = 0;

	for (size_t i = 0; i < f->vms.n; i++)
		if (f->vms.vm[i]->file.have_conf)
			conf[n++] = &f->vms.vm[i]->file.conf;
	budget_check(&f->conf, conf, n, c->all ? NULL : c->name[0], found_short, c->rows);
	free(conf);
}

/* --- of one VM, from what is known here --- */

static void check_memory(const struct vm_check *c, const struct vm *vm)
{
	struct err e = ERR_INIT;
	struct meminfo m;

	if (meminfo_read(&m, &e) < 0)
		return;
	if (meminfo_fits(&m, vm->file.conf.memory, &e) < 0)
		check_row(c->rows, &vm->file.conf.place, NULL, "error", e.text, e.hint);
	else if (vm->file.conf.memory > m.available)
		check_row(c->rows, &vm->file.conf.place, "Memory", "warning",
			"more than what is available now: parts of the guest would go to swap",
			"stop other guests, or write a smaller Memory=");
}

static bool is_bridge(const char *name)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/sys/class/net/%.15s/bridge", name);
	return stat(path, &st) == 0;
}

static void check_nic(const struct vm_check *c, const struct conf_nic *n)
{
	struct err e = ERR_INIT;

	if (n->bridge && !is_bridge(n->bridge)) {
		if (if_nametoindex(n->bridge))
			err_set(&e, ERR_INVALID_CONFIG,
				"nic '%s': '%s' is an interface, but no bridge", n->id, n->bridge);
		else
			err_set(&e, ERR_NOT_FOUND, "nic '%s': there is no bridge '%s'", n->id,
				n->bridge);
		err_hint(&e, "make it (ip link add %s type bridge), or write Network= in its place",
			n->bridge);
		check_row(c->rows, &n->place, "Bridge", "error", e.text, e.hint);
	} else if (n->network) {
		/* one that the daemon does not know yet has its own rows */
		if (!networks_exists(c->daemon->networks, n->network, &e) &&
			!conf_network_stamp(c->daemon->dirs.config, n->network))
			check_row(c->rows, &n->place, "Network", "error", e.text, e.hint);
	}
}

static void check_identity(const struct vm_check *c, const struct vm *vm)
{
	struct err e = ERR_INIT;

	if (vm_identity_check(vm, &vm->file.conf, &e) < 0) {
		if (!c->twice[c->next])
			add_error(c, vm, vm->file.conf.uuid ? "UUID" : NULL, &e);
	} else if (vm_is_forgotten(vm, &vm->file.conf)) {
		check_row(c->rows, &vm->file.conf.place, NULL, vm->identity.damaged[0] ? "error" : "warning", VM_FORGOTTEN,
			VM_FORGOTTEN_HINT);
	}
}

static void check_part(const struct vm_check *c, const struct vm *vm, const struct vm_part *p)
{
	const char *key = NULL;
	struct err e = ERR_INIT;

	if (p->check && p->check(vm, &vm->file.conf, &key, &e) < 0)
		add_error(c, vm, key, &e);
}

static void check_now(const struct vm_check *c, const struct vm *vm)
{
	struct err e = ERR_INIT;

	check_identity(c, vm);
	for (size_t i = 0; i < vm->file.conf.nics; i++)
		check_nic(c, &vm->file.conf.nic[i]);
	if (vm_state_has_process(vm->st.state))
		return;
	if (vm_revert_check(vm, &e) < 0)
		add_error(c, vm, NULL, &e);
	check_memory(c, vm);
	for (size_t i = 0; i < vm->daemon->n_parts; i++)
		check_part(c, vm, vm->daemon->parts[i]);
}

/* --- files --- */

static const struct conf_place *place_of(const struct vm *vm, const char *id)
{
	for (size_t i = 0; id && i < vm->file.conf.disks; i++)
		if (streq(vm->file.conf.disk[i].id, id))
			return &vm->file.conf.disk[i].place;
	return &vm->file.conf.place;
}

static const char *member(const json_t *problem, const char *name)
{
	const char *s = json_string_value(json_object_get(problem, name));

	return s ? s : "";
}

static void on_file(void *data, const json_t *problem, const struct err *e)
{
	struct vm_check *c = data;
	const struct vm *vm = c->vm;
	const char *id = member(problem, "id");

	if (vm && problem)
		check_row(c->rows, place_of(vm, id), *id ? "Path" : NULL,
			member(problem, "severity"), member(problem, "desc"),
			member(problem, "hint"));
	else if (vm && e)
		add_error(c, vm, NULL, e);
	if (problem)
		return;
	if (e)
		check_space_skip(c->space, c->name[c->next]);
	c->jail = NULL;
	c->next++;
	check_next(c);
}

static json_t *make_plan(const struct vm_check *c, struct vm *vm, struct err *e)
{
	const struct daemon *d = c->daemon;
	struct argv_context ctx = { .image_dir = d->image_dir };
	struct arena a = ARENA_INIT;
	const struct vm *real = vms_find(d->vms, vm->name);
	struct firmware *firmware = NULL;
	_cleanup_(close_fd) int dir = -1;
	_cleanup_(free_ptr) char *nvram = NULL;
	json_t *plan;

	if (c->probe && vm_firmware(&vm->file.conf, c->probe, &firmware, e) < 0)
		add_error(c, vm, "Firmware", e);
	/* the first start makes it */
	dir = firmware ? vm_state_open(d, vm->name) : -1;
	if (dir >= 0 && faccessat(dir, VM_NVRAM, F_OK, 0) == 0) {
		ctx.firmware = firmware;
		nvram = vm_state_path(vm, VM_NVRAM);
		ctx.nvram = nvram;
	}
	plan = json_pack("{s:i, s:s, s:i, s:[s], s:s, s:s, s:b, s:b, s:b, s:o, s:o}", "version",
		PLAN_VERSION, "name", vm->name, "uid", (int)vm->identity.uid, "argv",
		"/usr/bin/qemu-system-x86_64", "root", "/run", "image_dir", d->image_dir,
		"check", 1, "running", vm_state_has_process(vm->st.state), "may_create", !vm->file.conf.enable,
		"identity", vm_identity_plan(vm, &vm->file.conf),
		"files", vm_plan_files(vm, &vm->file.conf, &ctx, &a));
	if (plan && real && vm_state_has_process(real->st.state))
		json_object_set_new(plan, "qemu", json_integer(real->proc.pid));
	if (!plan)
		err_set(e, ERR_INVALID_CONFIG, "a value is not valid UTF-8");
	firmware_free(firmware);
	arena_release(&a);
	return plan;
}

/* False: there is nothing to wait for. */
static bool look_at_files(struct vm_check *c, struct vm *vm)
{
	json_t *plan = NULL;
	uint32_t uid_next = vm->daemon->vms->uid_next;
	struct err e = ERR_INIT;

	/* what is said about rights is said about a uid: one that was never started gets none for good */
	if (vm_complete_identity(vm, &vm->file.conf, &e) == 0)
		plan = make_plan(c, vm, &e);
	vm->daemon->vms->uid_next = uid_next;
	if (plan)
		c->jail = check_jail_run(c->daemon, vm->name, plan, on_file, c, &e);
	if (!c->jail)
		add_error(c, vm, NULL, &e);
	return c->jail;
}

/* --- QEMU and KVM --- */

static void go_on(struct vm_check *c)
{
	struct vm *vm = c->vm;

	if (vm && vm->file.have_conf && look_at_files(c, vm))
		return;
	c->next++;
	check_next(c);
}

static void tell_kvm(const struct vm_check *c, const struct vm *vm)
{
	bool must = vm->file.conf.accel == CONF_ACCEL_KVM;

	if (c->kvm.number)
		check_row(c->rows, &vm->file.conf.place, "Accel", must ? "error" : "warning",
			c->kvm.text, must ? c->kvm.hint : "it would run without KVM, slowly");
}

static void on_kvm(void *data, const struct err *e)
{
	struct vm_check *c = data;
	const struct vm *vm = c->vm;

	c->kvm_asked = true;
	if (e)
		err_copy(&c->kvm, e);
	if (vm)
		tell_kvm(c, vm);
	go_on(c);
}

static void check_machine(const struct vm_check *c, const struct vm *vm)
{
	const char *pinned =
		streq(vm->identity.machine_wish, vm->file.conf.machine) ? vm->identity.machine : NULL;
	const char *wish = pinned ? pinned : vm->file.conf.machine,
		   *machine = probe_machine(c->probe, wish);
	struct err e = ERR_INIT;
	char known[256];

	if (!machine) {
		probe_machines(c->probe, wish, known, sizeof known);
		err_set(&e, ERR_INVALID_CONFIG, "'%s'%s is unknown to '%s'", wish,
			pinned ? ", which it had at its first start," : "", c->probe->binary);
		err_hint(&e, "known are %s", known);
		add_error(c, vm, "Machine", &e);
	} else if (probe_machine_is_deprecated(c->probe, machine)) {
		err_set(&e, ERR_INVALID_CONFIG, "'%s' will be gone from a later QEMU", machine);
		check_row(c->rows, &vm->file.conf.place, "Machine", "warning", e.text,
			"write a newer one; guests like Windows may want to be activated again");
	}
	if (strncmp(c->probe->binary, "/usr/", 5) != 0) {
		err_set(&e, ERR_INVALID_CONFIG, "'%s' is not below /usr, all that guests see",
			c->probe->binary);
		err_hint(&e, "install QEMU below /usr");
		add_error(c, vm, "Binary", &e);
	}
}

static void on_probe(void *data, const struct probe *probe, const struct err *e)
{
	struct vm_check *c = data;
	const struct vm *vm = c->vm;

	c->probe = probe;
	if (vm && e)
		add_error(c, vm, vm->file.conf.binary ? "Binary" : NULL, e);
	else if (vm)
		check_machine(c, vm);
	if (!vm || e || vm->file.conf.accel == CONF_ACCEL_TCG || vm_state_has_process(vm->st.state)) {
		go_on(c);
	} else if (c->kvm_asked) {
		tell_kvm(c, vm);
		go_on(c);
	} else {
		probes_kvm(c->daemon->probes, probe, on_kvm, c);
	}
}

/* --- one after the other --- */

/* The next whose files are right, as they are now; false: there is none. */
static bool take_next(struct vm_check *c)
{
	struct conf_problems told = { 0 };

	for (; c->next < c->n; c->next++) {
		if (c->vm)
			vm_free(c->vm);
		c->vm = check_vm(c->daemon, c->name[c->next], &told);
		if (c->vm->file.have_conf)
			break;
	}
	conf_problems_release(&told);
	return c->next < c->n;
}

static void check_next(struct vm_check *c)
{
	if (!take_next(c)) {
		check_space_run(c->space, c->rows, c->done, c->data);
		return;
	}
	c->probe = NULL;
	check_now(c, c->vm);
	probes_get(c->daemon->probes, conf_vm_binary(&c->vm->file.conf), on_probe, c);
}

struct vm_check *vm_check_new(struct daemon *d, const char *name, struct conf_problems *p,
	void (*done)(void *data), void *data)
{
	struct vm_check *c = xcalloc(1, sizeof *c);

	*c = (struct vm_check){ .daemon = d, .rows = p, .done = done, .data = data, .all = !name };
	check_files_read(&c->files, d, name ? NULL : p);
	if (name)
		vm_free(check_vm(d, name, p));
	c->name = xcalloc(name ? 1 : c->files.vms.n + 1, sizeof *c->name);
	if (name)
		c->name[c->n++] = xstrdup(name);
	for (size_t i = 0; !name && i < c->files.vms.n; i++)
		c->name[c->n++] = xstrdup(c->files.vms.vm[i]->name);
	c->twice = xcalloc(c->n + 1, sizeof *c->twice);
	c->space = check_space_new(d, c->files.vms.vm, c->files.vms.n, name);
	return c;
}

void vm_check_run(struct vm_check *c)
{
	check_duplicates(c, &c->files.vms);
	check_budget(c, &c->files);
	if (c->all)
		check_forgettable(c->daemon, &c->files.vms, c->rows);
	check_files_release(&c->files);
	check_next(c);
}

void vm_check_free(struct vm_check *c)
{
	if (!c)
		return;
	probes_forget(c->daemon->probes, c);
	check_jail_cancel(c->jail);
	check_space_free(c->space);
	check_files_release(&c->files);
	if (c->vm)
		vm_free(c->vm);
	for (size_t i = 0; i < c->n; i++)
		free(c->name[i]);
	free(c->name);
	free(c->twice);
	free(c);
}
