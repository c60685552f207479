/* SPDX-License-Identifier: MIT */
#include "supervisor/start/check.h"

#include <errno.h>
#include <sys/wait.h>

#include "conf/load.h"
#include "supervisor/host/meminfo.h"
#include "supervisor/vm/bases.h"
#include "supervisor/qemu/trial.h"
#include "supervisor/vm/death.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/said.h"
#include "supervisor/vm/uuid.h"
#include "supervisor/vm/vms.h"
#include "supervisor/vm/revert.h"

void start_check_at(struct start_check *c, const struct start_step *step)
{
	for (; step->name; step++) {
		c->step = step;
		if (step->check && step->check(c) == STEP_WAITS)
			return;
	}
	c->done(c->data);
}

void start_check_next(struct start_check *c)
{
	start_check_at(c, c->step + 1);
}

void start_check_error(const struct start_check *c, const char *key, const struct err *e)
{
	c->tell(c->data, &c->vm->file.conf.place, key, "error", e);
}

static void check_warning(
	const struct start_check *c, const char *key, const char *reason, const char *hint)
{
	struct err e = ERR_INIT;

	err_set(&e, ERR_INVALID_CONFIG, "%s", reason);
	err_hint(&e, "%s", hint);
	c->tell(c->data, &c->vm->file.conf.place, key, "warning", &e);
}

static bool check_is_running(const struct start_check *c)
{
	return vm_state_has_process(c->vm->st.state);
}

int start_check_permission(struct start_check *c)
{
	struct vm *real = vms_find(c->vm->daemon->vms, c->vm->name);
	struct err e = ERR_INIT;

	if (!check_is_running(c) &&
		((real && vm_is_free(real, &e) < 0) || vm_revert_check(c->vm, &e) < 0 ||
			(!c->many && vm_template_check(c->vm, &e) < 0)))
		start_check_error(c, NULL, &e);
	return STEP_DONE;
}

int start_check_memory(struct start_check *c)
{
	const struct conf_vm *conf = &c->vm->file.conf;
	struct err e = ERR_INIT;
	struct meminfo m;

	c->memory_told = false;
	if (check_is_running(c) || meminfo_read(&m, &e) < 0)
		return STEP_DONE;
	c->memory_told = meminfo_fits(&m, conf->memory, &e) < 0 ||
			 meminfo_promises(&m, conf->memory_max, &e) < 0;
	if (c->memory_told)
		start_check_error(c, NULL, &e);
	else if (conf->memory > m.available)
		check_warning(c, "Memory",
			"more than is available now: parts of the guest would be swapped out",
			"stop other guests, or write a smaller Memory=");
	return STEP_DONE;
}

/* The effective configuration of the copy, as a start would take it. */
int start_check_configuration(struct start_check *c)
{
	struct vm *vm = c->vm;
	struct err e = ERR_INIT;

	if (conf_vm_copy(&vm->proc.conf, &vm->file.conf, &e) < 0)
		start_check_error(c, NULL, &e);
	vm->proc.accel = vm->file.conf.accel == CONF_ACCEL_TCG ? CONF_ACCEL_TCG : CONF_ACCEL_KVM;
	return STEP_DONE;
}

/* --- QEMU and KVM --- */

static void check_machine(const struct start_check *c)
{
	struct err e = ERR_INIT;
	const char *machine;
	char text[128];

	/* an unknown one is refused with the command line */
	if (argv_machine(c->probe, &c->vm->proc.conf, &c->vm->identity, &machine, &e) == 0 &&
		probe_machine_is_deprecated(c->probe, machine)) {
		snprintf(text, sizeof text, "'%s' will be removed from a later QEMU", machine);
		check_warning(c, "Machine", text,
			"write a newer one; guests such as Windows may need to be activated again");
	}
	if (strncmp(c->probe->binary, "/usr/", 5) != 0) {
		err_clear(&e);
		err_set(&e, ERR_QEMU_FAILED,
			"'%s' is not below /usr, the only part of the host that guests see",
			c->probe->binary);
		err_hint(&e, "install QEMU below /usr");
		start_check_error(c, "Binary", &e);
	}
}

static void check_on_probe(void *data, const struct probe *probe, const struct err *e)
{
	struct start_check *c = data;

	c->probe = probe;
	if (e)
		start_check_error(c, c->vm->file.conf.binary ? "Binary" : NULL, e);
	else
		check_machine(c);
	start_check_next(c);
}

int start_check_qemu(struct start_check *c)
{
	c->probe = NULL;
	probes_get(c->vm->daemon->probes, conf_vm_binary(&c->vm->file.conf), check_on_probe, c);
	return STEP_WAITS;
}

static void check_report_kvm(const struct start_check *c)
{
	bool must = c->vm->file.conf.accel == CONF_ACCEL_KVM;

	if (!c->kvm.number)
		return;
	if (must)
		start_check_error(c, "Accel", &c->kvm);
	else
		check_warning(c, "Accel", c->kvm.text, "it would run without KVM, slowly");
	if (!must)
		c->vm->proc.accel = CONF_ACCEL_TCG;
}

static void check_on_kvm(void *data, const struct probe *none, const struct err *e)
{
	struct start_check *c = data;

	c->kvm_asked = true;
	if (e)
		err_copy(&c->kvm, e);
	check_report_kvm(c);
	start_check_next(c);
}

int start_check_kvm(struct start_check *c)
{
	if (!c->probe || c->vm->file.conf.accel == CONF_ACCEL_TCG || check_is_running(c))
		return STEP_DONE;
	if (c->kvm_asked) {
		check_report_kvm(c);
		return STEP_DONE;
	}
	probes_kvm(c->vm->daemon->probes, c->probe, check_on_kvm, c);
	return STEP_WAITS;
}

/* --- identity, networks, parts --- */

/* A VM that was never started gets a uid for the time of the check: files are checked for it. */
int start_check_identity(struct start_check *c)
{
	struct vm *vm = c->vm;
	uint32_t uid_next = vm->daemon->vms->uid_next;
	struct err e = ERR_INIT;

	if (vm_identity_check(vm, &vm->file.conf, &e) < 0) {
		if (!c->uuid_told)
			start_check_error(c, vm->file.conf.uuid ? "UUID" : NULL, &e);
	} else if (vm_is_forgotten(vm, &vm->file.conf)) {
		err_set(&e, ERR_CONFLICT, "%s", VM_FORGOTTEN);
		err_hint(&e, "%s", VM_FORGOTTEN_HINT);
		c->tell(c->data, &vm->file.conf.place, NULL,
			vm->identity.damaged[0] ? "error" : "warning", &e);
	}
	err_clear(&e);
	if (vm_bases_check(vm, &vm->proc.conf, &e) < 0)
		start_check_error(c, "Path", &e);
	err_clear(&e);
	c->nameless = vm_complete_identity(vm, &vm->proc.conf, &e) < 0;
	if (!c->nameless)
		start_make_nics(vm);
	if (c->nameless || (!check_is_running(c) && vm_state_may(vm, &e) < 0))
		start_check_error(c, NULL, &e);
	vm->daemon->vms->uid_next = uid_next;
	return STEP_DONE;
}

static const struct conf_place *check_place_of_nic(const struct start_check *c, const char *id)
{
	const struct conf_vm *conf = &c->vm->file.conf;

	for (size_t i = 0; i < conf->nics; i++)
		if (streq(conf->nic[i].id, id) && conf->nic[i].place.file)
			return &conf->nic[i].place;
	return &conf->place;
}

static void check_on_networks(void *data, const char *nic, const struct err *e)
{
	struct start_check *c = data;

	c->networks = NULL;
	if (e)
		c->tell(c->data, check_place_of_nic(c, nic), NULL, "error", e);
	start_check_next(c);
}

/* Everything that networks and addresses would refuse; a running VM already has its own. */
int start_check_networks(struct start_check *c)
{
	const struct vm *vm = c->vm;
	const struct network_nic **nic = xcalloc(vm->proc.nics + 1, sizeof(struct network_nic *));
	struct err e = ERR_INIT;
	const char *key;
	size_t bad, n = 0;

	for (size_t i = 0; i < vm->proc.nics; i++)
		nic[n++] = &vm->proc.nic[i].net;
	while (n &&
		networks_try(vm->daemon->networks, vm->predecessor, nic, n, &bad, &key, &e) < 0) {
		c->tell(c->data, check_place_of_nic(c, nic[bad]->nic), key, "error", &e);
		err_clear(&e);
		if (!key) /* of none of them alone */
			break;
		/* what the others ask for */
		memmove(nic + bad, nic + bad + 1, (--n - bad) * sizeof(struct network_nic *));
	}
	c->networks = networks_try_run(vm->daemon->networks, nic, n, check_on_networks, c);
	free(nic);
	return c->networks ? STEP_WAITS : STEP_DONE;
}

int start_check_run_dir(struct start_check *c)
{
	struct err e = ERR_INIT;

	if (!check_is_running(c) && vm_run_dir_may(c->vm, &e) < 0)
		start_check_error(c, NULL, &e);
	return STEP_DONE;
}

int start_check_parts(struct start_check *c)
{
	const struct daemon *d = c->vm->daemon;

	for (size_t i = 0; i < d->n_parts; i++) {
		const char *key = NULL;
		struct err e = ERR_INIT;
		int r = d->parts[i]->check ? d->parts[i]->check(c->vm, &c->vm->file.conf, &key, &e)
					   : 0;

		if (r < 0)
			start_check_error(c, key, &e);
		else if (r > 0)
			check_warning(c, key, e.text, e.hint);
	}
	return STEP_DONE;
}

/* The place in the VM's own files of a section of the plan's copy of the configuration. */
static const struct conf_place *check_place_of_plan(const struct start_check *c)
{
	const struct conf_vm *file = &c->vm->file.conf, *copy = &c->vm->proc.conf;
	const struct conf_place *place = c->plan.argv.place;

	for (size_t i = 0; place && i < copy->disks; i++)
		for (size_t k = 0; place == &copy->disk[i].place && k < file->disks; k++)
			if (streq(file->disk[k].id, copy->disk[i].id))
				return &file->disk[k].place;
	for (size_t i = 0; place && i < copy->nics; i++)
		if (place == &copy->nic[i].place)
			return check_place_of_nic(c, copy->nic[i].id);
	return &file->place;
}

/* Everything that a start decides before there is a process, by the same functions. */
int start_check_plan(struct start_check *c)
{
	static const struct fd_list none;
	struct vm *vm = c->vm;
	struct err e = ERR_INIT;

	vm_plan_release(&c->plan);
	if (c->nameless) /* was reported */
		return STEP_DONE;
	if (vm_plan_make(&c->plan, vm, c->probe, &none, &e) == 0)
		return STEP_DONE;
	c->tell(c->data, check_place_of_plan(c), c->plan.argv.key, "error", &e);
	return STEP_DONE;
}

/* One that is to be made, or an error that was reported: the trial goes without. */
static bool check_lacks_volume(const struct start_check *c)
{
	const struct conf_vm *conf = &c->vm->proc.conf;

	for (size_t i = 0; i < conf->disks; i++)
		if (conf->disk[i].volume == CONF_VOLUME_ABSENT)
			return true;
	return false;
}

int start_check_files(struct start_check *c)
{
	c->files_told = check_lacks_volume(c);
	return c->plan.json ? c->files(c->data) : STEP_DONE;
}

/* --- what only QEMU knows --- */

static int check_try(struct start_check *c);

/* Args= may use memory and files that this trial had to do without, or standard input, where the
 * monitor of any trial is. Everything else is as in a start. */
static bool check_is_of_trial(const struct start_check *c, const char *why)
{
	return c->files_told || c->memory_told || check_is_running(c) || strstr(why, "stdio");
}

static void check_tell_trial(const struct start_check *c, const struct child_result *r)
{
	_cleanup_(free_ptr) char *said = trial_said(r->err, r->err_len), *why = NULL;
	struct death death = { .known = true,
		.code = r->status < 0 ? CLD_KILLED : CLD_EXITED,
		.status = abs(r->status) };
	struct err e = ERR_INIT;
	char how[128], late[CHILD_LATE];

	death_how(&death, how, sizeof how);
	if (c->vm->proc.conf.args.n)
		why = said_why(said, strlen(said));
	if (why && !said_option(why) && check_is_of_trial(c, why))
		return;
	free_ptr(&why);
	if (r->status == -ETIMEDOUT) {
		_cleanup_(free_ptr) char *text =
			xasprintf("the trial run of QEMU failed: it %s", child_late(r, late));

		check_warning(c, NULL, text, "is the host very busy?");
	} else if (r->status != 0) {
		said_failure(said, strlen(said), how, &why, &e);
		said_hint_own(c->vm->proc.conf.args.n || c->vm->proc.conf.binary, how, why, &e);
		start_check_error(c,
			e.class != ERR_INVALID_CONFIG	  ? NULL
			: c->vm->proc.conf.cpu_features.n ? "Features"
							  : "Model",
			&e);
	}
}

static void check_on_tried(void *data, const struct child_result *r, const struct err *jail)
{
	struct start_check *c = data;

	c->trial = NULL;
	/* an image that is yet to be made, or not for the uid of a trial; else of the host: a guest's
	 * QEMU gets the same namespaces, filter and limits */
	if (jail && !c->files_told) {
		c->files_told = true;
		if (check_try(c) == STEP_WAITS)
			return;
	} else if (jail) {
		start_check_error(c, NULL, jail);
	} else {
		check_tell_trial(c, r);
	}
	start_check_next(c);
}

static int check_try(struct start_check *c)
{
	const bool running = check_is_running(c);
	const struct trial_host host = { .no_memory = running || c->memory_told,
		.no_files = running || c->files_told,
		.new_firmware = c->new_firmware };
	struct argv argv = ARGV_INIT;
	struct err e = ERR_INIT;

	trial_argv(&argv, &c->plan.argv, &host);
	c->trial = trial_run(c->vm->daemon, &argv, c->plan.json, &host, check_on_tried, c, &e);
	argv_release(&argv);
	return c->trial ? STEP_WAITS : STEP_DONE;
}

/* A QEMU with the VM's command line: see trial.h. */
int start_check_trial(struct start_check *c)
{
	if (!c->plan.argv.n || (c->vm->proc.accel == CONF_ACCEL_KVM && c->kvm.number))
		return STEP_DONE;
	return check_try(c);
}
