/* SPDX-License-Identifier: MIT */
/* Verbs about configuration: as written, as interpreted, and how a running VM differs from it. */
#include "base/mem.h"
#include "base/text.h"
#include "conf/load.h"
#include "conf/schema.h"
#include "supervisor/api/result.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/guest/balloon.h"
#include "supervisor/qemu/effective.h"
#include "supervisor/qemu/probe.h"
#include "supervisor/check/vm.h"
#include "supervisor/start/plan.h"
#include "supervisor/start/start.h"
#include "supervisor/vm/trouble.h"

struct look { /* a request waiting for a check */
	struct daemon *daemon;
	struct request *r;
	struct conf_problems problems;
	struct vm_check *check;
	verb_looked_fn *looked;
};

static void verb_conf_look_end(void *data)
{
	struct look *l = data;

	vm_check_free(l->check);
	conf_problems_release(&l->problems);
	free(l);
}

static void verb_conf_look_done(void *data)
{
	struct look *l = data;

	request_on_gone(l->r, NULL, NULL);
	l->looked(l->daemon, l->r, &l->problems);
	verb_conf_look_end(l);
}

void verb_look(struct daemon *d, struct request *r, const char *name, verb_looked_fn *looked)
{
	struct look *l = xcalloc(1, sizeof *l);

	*l = (struct look){ .daemon = d, .r = r, .looked = looked };
	request_on_gone(r, verb_conf_look_end, l);
	l->check = vm_check_new(d, name, &l->problems, verb_conf_look_done, l);
	vm_check_run(l->check);
}

static void verb_conf_checked(struct daemon *d, struct request *r, const struct conf_problems *p)
{
	request_return(r, api_problems(p, true));
}

/* Reports errors in the files first, then anything else that would prevent a start. */
void verb_check(struct daemon *d, struct request *r)
{
	const char *name = request_string(r, "name");
	struct err e = ERR_INIT;

	if (name && !vms_exists(d->vms, name, &e))
		request_error(r, &e);
	else
		verb_look(d, r, name, verb_conf_checked);
}

/* What is pinned or derived, too, except what only a start decides. A VM that never started keeps
 * what is drafted for it here, as for cmdline. */
static int verb_conf_effective(struct vm *vm, struct buf *text, struct err *e)
{
	bool up = vm_state_has_process(vm->st.state);
	const struct conf_vm *from = vm->file.orphan && up ? &vm->proc.conf : &vm->file.conf;
	const struct identity *id = &vm->identity;
	struct conf_vm c = CONF_VM_INIT;
	int r = 0;

	if (from == &vm->file.conf && !vm_conf_is_known(vm))
		return err_set(e, ERR_INVALID_CONFIG, "%s",
			vm->file.problems ? vm->file.problems : "its files were not read");
	if (!vm->file.problems && !up && !vm->file.orphan)
		r = vm_complete_identity(vm, from, e);
	if (r == 0 && !up && !vm->file.problems && !vm->file.orphan)
		r = vm_draft_identity(vm, e);
	if (r == 0)
		r = conf_vm_copy(&c, from, e);
	if (r == 0) {
		effective_fill(&c, id,
			id->machine && streq(id->machine_wish, from->machine) ? id->machine : NULL,
			up ? vm->proc.accel : from->accel, vm->daemon->image_dir);
		if (!c.memory_min)
			c.memory_min = c.memory < MEMORY_FLOOR ? c.memory : MEMORY_FLOOR;
		conf_vm_dump(&c, true, text);
	}
	conf_vm_release(&c);
	return r;
}

void verb_cat(struct vm *vm, struct request *r)
{
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	if (request_bool(r, "effective", false))
		verb_conf_effective(vm, &text, &e);
	else if (vm->file.orphan && vm->proc.conf_lost)
		err_set(&e, ERR_NOT_FOUND, "its file is gone, and its run record was lost");
	else if (vm->file.orphan)
		conf_vm_dump(&vm->proc.conf, false, &text);
	else
		conf_load_vm_texts(&text, vms_dir(vm->daemon->vms, vm->name), vm->name, &e);
	request_answer(r, json_pack("{s:s}", "text", text.data ? text.data : ""), &e);
	buf_release(&text);
}

static void verb_conf_add_change(void *data, const struct conf_change *c)
{
	if (c->apply == CONF_APPLY_LIVE) /* in force already */
		return;
	json_array_append_new(data, json_pack("[s, s?, s?, s?, s?, s]", c->section, c->id, c->key,
					    c->from, c->to, conf_apply_name(c->apply)));
}

static json_t *verb_conf_changes(const struct vm *vm)
{
	json_t *rows = json_array();

	if (vm_state_has_process(vm->st.state) && vm->file.have_conf)
		conf_vm_diff(&vm->proc.conf, &vm->file.conf, verb_conf_add_change, rows);
	return rows;
}

static bool verb_conf_is_about(
	const struct conf_problem *p, const struct conf_vm *c, const struct conf_disk *d)
{
	const struct conf_place *at = conf_vm_line(c, &d->place, p->key);

	return p->has && at->line == p->place.line && streq(at->file, p->place.file);
}

/* A key that applies once is compared with the thing, which only a check may look at. */
static void verb_conf_diff_looked(
	struct daemon *d, struct request *r, const struct conf_problems *p)
{
	const struct vm *vm = vms_find(d->vms, request_string(r, "name"));
	const struct conf_vm *conf = vm ? &vm->file.conf : NULL;
	json_t *rows = vm ? verb_conf_changes(vm) : json_array();
	char size[24];

	for (size_t k = 0; k < p->n; k++)
		for (size_t i = 0; conf && i < conf->disks; i++)
			if (verb_conf_is_about(&p->item[k], conf, &conf->disk[i]))
				verb_conf_add_change(
					rows, &(struct conf_change){ "Disk", conf->disk[i].id,
						      p->item[k].key, p->item[k].has,
						      text_size_exact(size, sizeof size,
							      conf->disk[i].size),
						      CONF_APPLY_ONCE });
	request_return(r, api_table(api_diff_row, rows));
}

void verb_diff(struct vm *vm, struct request *r)
{
	struct err e = ERR_INIT;

	if (vm_state_has_process(vm->st.state) && vm->proc.conf_lost) {
		err_set(&e, ERR_WRONG_STATE,
			"its run record was lost, so the configuration that it runs with is not known");
		err_hint(&e, "the next start records it again");
		request_error(r, &e);
		return;
	}
	if (vm->file.orphan || vm->file.problems) {
		if (vm->file.orphan)
			err_set(&e, ERR_NOT_FOUND,
				"its file is gone: there is nothing to compare with");
		else
			err_set(&e, ERR_INVALID_CONFIG, "%s", vm->file.problems);
		request_error(r, &e);
		return;
	}
	for (size_t i = 0; i < vm->file.conf.disks && vm->file.have_conf; i++)
		if (vm->file.conf.disk[i].size) {
			verb_look(vm->daemon, r, vm->name, verb_conf_diff_looked);
			return;
		}
	request_return(r, api_table(api_diff_row, verb_conf_changes(vm)));
}

/* --- cmdline: may have to wait for the probe, and for what the jail reads in images --- */

struct cmdline {
	struct daemon *d;
	struct request *r;
	char *name;
	const struct probe *probe;
	bool have_kvm;
	struct check_jail *jail;
};

static void verb_conf_cmdline_gone(void *data)
{
	struct cmdline *c = data;

	probes_forget(c->d->probes, c);
	check_jail_cancel(c->jail);
	free(c->name);
	free(c);
}

/* The command line, as if the identity had these bases as well. */
static int verb_conf_argv(struct vm *vm, const struct conf_vm *conf, const struct probe *probe,
	const struct argv_context *ctx, const json_t *bases, char **text, struct err *e)
{
	struct identity *id = &vm->identity;
	struct identity_base *own = id->base;
	const size_t owns = id->bases;
	json_auto_t *all = identity_bases_json(id);
	struct argv argv = ARGV_INIT;
	int r;

	json_array_extend(all, (json_t *)(uintptr_t)bases);
	id->base = NULL;
	id->bases = 0;
	identity_read_bases(id, all);
	r = argv_build(&argv, conf, id, probe, ctx, e);
	if (r == 0)
		*text = argv_paste(&argv, conf, id, ctx, vm_state_has_process(vm->st.state));
	identity_drop_bases(id);
	id->base = own;
	id->bases = owns;
	argv_release(&argv);
	return r;
}

static int verb_conf_build(struct vm *vm, const struct probe *probe, enum conf_accel accel,
	const json_t *bases, char **text, struct err *e)
{
	bool up = vm_state_has_process(vm->st.state);
	const struct conf_vm *conf = up ? &vm->proc.conf : &vm->file.conf;
	const char *machine = probe_machine(probe, conf->machine);
	struct argv_context ctx = { .paste = true, .accel = accel };
	struct arena a = ARENA_INIT;
	struct firmware *firmware = NULL;
	int r;

	if (!machine)
		return err_set(e, ERR_INVALID_CONFIG, "Machine: '%s' is unknown to '%s'",
			conf->machine, probe->binary);
	if (!up) {
		identity_pin_machine(&vm->identity, conf->machine, machine);
		r = vm_complete_identity(vm, conf, e);
		if (r < 0)
			return r;
	}
	r = vm_argv_context(vm, conf, probe, &a, &ctx, &firmware, e);
	if (r == 0)
		r = verb_conf_argv(vm, conf, probe, &ctx, bases, text, e);
	if (r == 0)
		r = vm_draft_identity(vm, e);
	firmware_free(firmware);
	arena_release(&a);
	return r;
}

static enum conf_accel verb_conf_accel(const struct vm *vm, bool have_kvm)
{
	if (vm_state_has_process(vm->st.state))
		return vm->proc.accel;
	if (vm->file.conf.accel != CONF_ACCEL_AUTO)
		return vm->file.conf.accel;
	return have_kvm ? CONF_ACCEL_KVM : CONF_ACCEL_TCG;
}

/* e: there is no probe. */
static void verb_conf_print(struct cmdline *c, const json_t *bases, const struct err *e)
{
	struct vm *vm = vms_find(c->d->vms, c->name);
	struct err own = ERR_INIT;
	char *text = NULL;

	if (!e && !vm)
		err_set(&own, ERR_NOT_FOUND, "'%s' went away", c->name);
	else if (e)
		err_copy(&own, e);
	else
		verb_conf_build(vm, c->probe, verb_conf_accel(vm, c->have_kvm), bases, &text, &own);
	request_answer(c->r, text ? json_pack("{s:s}", "text", text) : NULL, &own);
	free(text);
	free(c->name);
	free(c);
}

/* A format that is not pinned yet is what the header above a base states, as in a start. */
static bool verb_conf_guesses(const struct vm *vm)
{
	const struct conf_vm *c = &vm->file.conf;

	for (size_t i = 0; !vm_state_has_process(vm->st.state) && i < c->disks; i++)
		for (size_t k = 0; c->disk[i].path && k < c->disk[i].base.n; k++)
			if (identity_base_format(&vm->identity, &c->disk[i], k,
				    vm->daemon->image_dir) == CONF_FORMAT_AUTO)
				return true;
	return false;
}

/* Problems are for check; at the end, with what could be read. */
static void verb_conf_on_file(void *data, const json_t *problem, const struct err *e)
{
	struct cmdline *c = data;
	json_auto_t *bases = NULL;

	if (problem)
		return;
	bases = json_deep_copy(check_jail_bases(c->jail));
	c->jail = NULL;
	verb_conf_print(c, bases, NULL);
}

static struct check_jail *verb_conf_ask_jail(struct cmdline *c)
{
	static const struct fd_list none;
	const uint32_t uid_next = c->d->vms->uid_next;
	struct conf_problems told = { 0 };
	struct vm *copy = check_vm(c->d, c->name, &told);
	struct vm_plan plan = VM_PLAN_INIT;
	struct check_jail *jail = NULL;

	copy->proc.accel = CONF_ACCEL_TCG;
	if (conf_vm_copy(&copy->proc.conf, &copy->file.conf, NULL) == 0 &&
		vm_complete_identity(copy, &copy->proc.conf, NULL) == 0 &&
		vm_plan_make(&plan, copy, c->probe, &none, NULL) == 0) {
		json_object_set_new(plan.json, "check", json_true());
		jail = check_jail_run(
			c->d, c->name, json_incref(plan.json), verb_conf_on_file, c, NULL);
	}
	c->d->vms->uid_next = uid_next;
	vm_plan_release(&plan);
	vm_free(copy);
	conf_problems_release(&told);
	return jail;
}

static void verb_conf_on_kvm(void *data, const struct probe *none, const struct err *e)
{
	struct cmdline *c = data;
	const struct vm *vm = vms_find(c->d->vms, c->name);

	c->have_kvm = !e;
	if (vm && verb_conf_guesses(vm))
		c->jail = verb_conf_ask_jail(c);
	if (!c->jail)
		verb_conf_print(c, NULL, NULL);
}

static void verb_conf_on_probe(void *data, const struct probe *probe, const struct err *e)
{
	struct cmdline *c = data;
	const struct vm *vm = vms_find(c->d->vms, c->name);

	c->probe = probe;
	if (!e && vm && !vm_state_has_process(vm->st.state) &&
		vm->file.conf.accel == CONF_ACCEL_AUTO)
		probes_kvm(c->d->probes, probe, verb_conf_on_kvm, c);
	else if (e)
		verb_conf_print(c, NULL, e);
	else
		verb_conf_on_kvm(c, NULL, NULL);
}

void verb_cmdline(struct vm *vm, struct request *r)
{
	const struct conf_vm *conf;
	struct err e = ERR_INIT;
	struct cmdline *c;

	if (vm->file.problems && !vm_state_has_process(vm->st.state)) {
		err_set(&e, ERR_INVALID_CONFIG, "%s", vm->file.problems);
		request_error(r, &e);
		return;
	}
	conf = vm_state_has_process(vm->st.state) ? &vm->proc.conf : &vm->file.conf;
	c = xcalloc(1, sizeof *c);
	*c = (struct cmdline){ .d = vm->daemon, .r = r, .name = xstrdup(vm->name) };
	request_on_gone(r, verb_conf_cmdline_gone, c);
	probes_get(vm->daemon->probes, conf_vm_binary(conf), verb_conf_on_probe, c);
}
