/* SPDX-License-Identifier: MIT */
#include "supervisor/check/vm.h"

#include <fcntl.h>

#include "base/mem.h"
#include "conf/budget.h"
#include "conf/load.h"
#include "supervisor/core/confine.h"
#include "supervisor/jail/plan.h"
#include "supervisor/check/duplicates.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/start/plan.h"
#include "supervisor/start/check.h"
#include "supervisor/vm/uuid.h"

struct vm_check {
	struct daemon *daemon;
	struct conf_problems *rows;
	void (*done)(void *data);
	void *data;
	char **name; /* VMs to check */
	bool *twice; /* for each: a duplicate UUID has been reported */
	size_t n, next;
	struct start_check start; /* on a copy of the current VM */
	struct check_files files; /* of all VMs, until duplicates have been checked */
	struct check_jail *jail;
	struct check_space *space;
	bool all;
};

/* At the line of the key, where the section or the file is all that is known. */
static void vm_row(const struct vm_check *c, const struct conf_vm *conf,
	const struct conf_place *place, const char *key, const char *severity, const struct err *e)
{
	check_row(c->rows, conf_vm_line(conf, place, key), key, severity, e);
}

static void vm_check_tell(void *data, const struct conf_place *place, const char *key,
	const char *severity, const struct err *e)
{
	const struct vm_check *c = data;

	vm_row(c, &c->start.vm->file.conf, place, key, severity, e);
}

static void vm_add_error(
	const struct vm_check *c, const struct vm *vm, const char *key, const struct err *e)
{
	vm_row(c, &vm->file.conf, &vm->file.conf.place, key, "error", e);
}

/* --- all VMs together --- */

/* The index among the VMs to check; c->n if it is not one of them. */
static size_t check_vm_asked(const struct vm_check *c, const char *name)
{
	size_t i = 0;

	while (i < c->n && !streq(c->name[i], name))
		i++;
	return i;
}

bool check_duplicate(struct conf_problems *rows, const struct vm *vm, const struct vm *other,
	const struct conf_place *place, const char *key, const char *text, const char *hint)
{
	struct err e = ERR_INIT;
	const bool taken = streq(key, "UUID") && vm_uuid_free(vm, other, &e) < 0;

	if (!taken) {
		err_set(&e, ERR_CONFLICT, "%s", text);
		err_hint(&e, "%s", hint);
	}
	check_row(rows, place, key, taken ? "error" : "warning", &e);
	return taken;
}

static void vm_found_duplicate(void *data, const char *vm, const char *other,
	const struct conf_place *place, const char *key, const char *text, const char *hint)
{
	struct vm_check *c = data;
	struct vms *all = &c->files.vms;
	size_t i = check_vm_asked(c, vm);

	if (i < c->n && check_duplicate(c->rows, vms_find(all, vm), vms_find(all, other), place,
				key, text, hint))
		c->twice[i] = true;
}

static void vm_check_duplicates(struct vm_check *c, const struct vms *vms)
{
	struct duplicates_vm *all = xcalloc(vms->n, sizeof *all);
	size_t n = 0;

	for (size_t i = 0; i < vms->n; i++)
		if (vms->vm[i]->file.have_conf)
			all[n++] = (struct duplicates_vm){ &vms->vm[i]->file.conf,
				&vms->vm[i]->identity };
	duplicates_find(all, n, c->daemon->image_dir, vm_found_duplicate, c);
	free(all);
}

static void vm_found_short(void *data, const struct conf_place *place, const char *key,
	const char *reason, const char *hint)
{
	struct err e = ERR_INIT;

	err_set(&e, ERR_INVALID_CONFIG, "%s", reason);
	err_hint(&e, "%s", hint);
	check_row(data, place, key, "warning", &e);
}

static void vm_check_budget(const struct vm_check *c, const struct check_files *f)
{
	const struct conf_vm **conf = xcalloc(f->vms.n + 1, sizeof(struct conf_vm *));
	size_t n = 0;

	for (size_t i = 0; i < f->vms.n; i++)
		if (f->vms.vm[i]->file.have_conf)
			conf[n++] = &f->vms.vm[i]->file.conf;
	budget_check(&f->conf, conf, n, c->all ? NULL : c->name[0], vm_found_short, c->rows);
	free(conf);
}

/* --- files --- */

static const struct conf_place *vm_place_of(const struct vm *vm, const char *id)
{
	for (size_t i = 0; id && i < vm->file.conf.disks; i++)
		if (streq(vm->file.conf.disk[i].id, id))
			return &vm->file.conf.disk[i].place;
	return &vm->file.conf.place;
}

static const char *vm_member(const json_t *problem, const char *name)
{
	const char *s = json_string_value(json_object_get(problem, name));

	return s ? s : "";
}

static void vm_on_file(void *data, const json_t *problem, const struct err *e)
{
	struct vm_check *c = data;
	const struct vm *vm = c->start.vm;
	const char *id = vm_member(problem, "id"), *key = vm_member(problem, "key");
	struct err own = ERR_INIT;

	c->start.files_told |= e || streq(vm_member(problem, "severity"), "error");
	if (problem)
		confine_error(problem, &own);
	if (vm && problem)
		check_row_has(c->rows, conf_vm_line(&vm->file.conf, vm_place_of(vm, id), key),
			*key ? key : NULL, vm_member(problem, "severity"), &own,
			json_string_value(json_object_get(problem, "has")));
	else if (vm && e)
		vm_add_error(c, vm, NULL, e);
	if (problem)
		return;
	if (e)
		check_space_skip(c->space, c->name[c->next]);
	c->jail = NULL;
	start_check_next(&c->start);
}

/* The plan of a start, with what only a check needs. */
static json_t *vm_make_plan(const struct vm_check *c)
{
	const struct vm *vm = c->start.vm, *real = vms_find(c->daemon->vms, vm->name);
	json_t *plan = json_deep_copy(c->start.plan.json), *files = json_object_get(plan, "files"),
	       *file;
	size_t i;

	json_array_foreach (files, i, file)
		if (c->start.new_firmware && streq(vm_member(file, "kind"), "nvram")) {
			json_array_remove(files, i); /* made by the first start */
			break;
		}
	json_object_update_new(plan, json_pack("{s:b, s:b, s:b, s:s}", "check", 1, "running",
					     vm_state_has_process(vm->st.state), "may_create",
					     vm->file.conf.enable != CONF_ENABLE_YES, "root",
					     c->daemon->dirs.run)); /* its own is made by a start */
	if (!c->start.plan.argv.n)
		json_object_set_new(plan, "argv", json_pack("[s]", "/usr/bin/qemu-system-x86_64"));
	if (c->start.kvm.number) /* reported as well */
		json_object_set_new(plan, "kvm", json_false());
	if (real && vm_state_has_process(real->st.state))
		json_object_set_new(plan, "qemu", json_integer(real->proc.pid));
	return plan;
}

static int vm_look_at_files(void *data)
{
	struct vm_check *c = data;
	const struct vm *vm = c->start.vm;
	struct err e = ERR_INIT;

	c->jail = check_jail_run(c->daemon, vm->name, vm_make_plan(c), vm_on_file, c, &e);
	if (!c->jail)
		vm_add_error(c, vm, NULL, &e);
	return c->jail ? STEP_WAITS : STEP_DONE;
}

/* --- one VM after the other --- */

/* Loads the next VM whose files are valid, as they are now; false if there is none. */
static bool vm_take_next(struct vm_check *c)
{
	struct conf_problems told = { 0 };

	for (; c->next < c->n; c->next++) {
		if (c->start.vm)
			vm_free(c->start.vm);
		c->start.vm = check_vm(c->daemon, c->name[c->next], &told);
		if (c->start.vm->file.have_conf)
			break;
	}
	conf_problems_release(&told);
	return c->next < c->n;
}

static void vm_check_next(struct vm_check *c)
{
	if (!vm_take_next(c)) {
		check_space_run(c->space, c->rows, c->done, c->data);
		return;
	}
	c->start.uuid_told = c->twice[c->next];
	vm_start_check(&c->start);
}

static void vm_check_done(void *data)
{
	struct vm_check *c = data;

	c->next++;
	vm_check_next(c);
}

struct vm_check *vm_check_new(struct daemon *d, const char *name, struct conf_problems *p,
	void (*done)(void *data), void *data)
{
	struct vm_check *c = xcalloc(1, sizeof *c);

	*c = (struct vm_check){ .daemon = d, .rows = p, .done = done, .data = data, .all = !name };
	c->start = (struct start_check){
		.tell = vm_check_tell,
		.files = vm_look_at_files,
		.done = vm_check_done,
		.data = c,
		.many = !name,
	};
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
	vm_check_duplicates(c, &c->files.vms);
	vm_check_budget(c, &c->files);
	check_gone(c->daemon, &c->files.vms, c->all ? NULL : c->name[0], c->rows);
	check_files_release(&c->files);
	vm_check_next(c);
}

void vm_check_free(struct vm_check *c)
{
	if (!c)
		return;
	probes_forget(c->daemon->probes, &c->start);
	networks_trial_cancel(c->start.networks);
	confine_cancel(c->start.trial);
	child_cancel(c->start.child);
	volume_cancel(c->start.volume);
	check_jail_cancel(c->jail);
	check_space_free(c->space);
	check_files_release(&c->files);
	vm_plan_release(&c->start.plan);
	firmware_free(c->start.new_firmware);
	if (c->start.vm)
		vm_free(c->start.vm);
	for (size_t i = 0; i < c->n; i++)
		free(c->name[i]);
	free(c->name);
	free(c->twice);
	free(c);
}
