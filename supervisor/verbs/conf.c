/* SPDX-License-Identifier: MIT */
/* What the operator wrote, what it means, and where a running VM differs from it. */
#include "base/mem.h"
#include "conf/load.h"
#include "conf/schema.h"
#include "supervisor/api/result.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/qemu/probe.h"
#include "supervisor/check/vm.h"
#include "supervisor/vm/plan.h"

struct check { /* a request that waits until all was looked at */
	struct request *r;
	struct conf_problems problems;
	struct vm_check *check;
};

static void verb_conf_check_free(struct check *c)
{
	vm_check_free(c->check);
	conf_problems_release(&c->problems);
	free(c);
}

static void verb_conf_check_gone(void *data)
{
	verb_conf_check_free(data);
}

static void verb_conf_check_done(void *data)
{
	struct check *c = data;

	request_return(c->r, api_problems(&c->problems, true));
	verb_conf_check_free(c);
}

/* What the files say comes first, then whether it can work. */
void verb_check(struct daemon *d, struct vm *vm, struct request *r)
{
	const char *name = request_string(r, "name");
	struct err e = ERR_INIT;
	struct check *c;

	(void)vm;
	if (name && !vms_exists(d->vms, name, &e)) {
		request_error(r, &e);
		return;
	}
	c = xcalloc(1, sizeof *c);
	c->r = r;
	request_on_gone(r, verb_conf_check_gone, c);
	c->check = vm_check_new(d, name, &c->problems, verb_conf_check_done, c);
	vm_check_run(c->check);
}

void verb_cat(struct daemon *d, struct vm *vm, struct request *r)
{
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	int rc = 0;

	if (request_bool(r, "effective", false))
		conf_vm_dump(&vm->file.conf, true, &text);
	else if (vm->file.orphan && vm->proc.conf_lost)
		rc = err_set(&e, ERR_NOT_FOUND,
			"its file is gone, and what it was started with is not known any more");
	else if (vm->file.orphan)
		conf_vm_dump(&vm->proc.conf, false, &text);
	else
		rc = conf_load_vm_texts(&text, d->dirs.config, vm->name, &e);
	if (rc < 0)
		request_error(r, &e);
	else
		request_return(r, json_pack("{s:s}", "text", text.data ? text.data : ""));
	buf_release(&text);
}

static void verb_conf_add_change(void *data, const struct conf_change *c)
{
	json_array_append_new(data, json_pack("[s, s?, s?, s?, s?, s]", c->section, c->id, c->key,
					    c->from, c->to, conf_apply_name(c->apply)));
}

void verb_diff(struct daemon *d, struct vm *vm, struct request *r)
{
	struct err e = ERR_INIT;
	json_t *rows;

	(void)d;
	if (vm_state_has_process(vm->st.state) && vm->proc.conf_lost) {
		err_set(&e, ERR_WRONG_STATE,
			"runs with what is not known any more: its run record was lost");
		err_hint(&e, "it is known again after its next start");
		request_error(r, &e);
		return;
	}
	rows = json_array();
	if (vm_state_has_process(vm->st.state) && vm->file.have_conf)
		conf_vm_diff(&vm->proc.conf, &vm->file.conf, verb_conf_add_change, rows);
	request_return(r, api_table(api_diff_row, rows));
}

/* --- cmdline: the probe may have to be asked first --- */

struct cmdline {
	struct daemon *d;
	struct request *r;
	char *name;
};

static void verb_conf_cmdline_gone(void *data)
{
	struct cmdline *c = data;

	probes_forget(c->d->probes, c);
	free(c->name);
	free(c);
}

static int verb_conf_build(struct vm *vm, const struct probe *probe, char **text, struct err *e)
{
	bool up = vm_state_has_process(vm->st.state);
	const struct conf_vm *conf = up ? &vm->proc.conf : &vm->file.conf;
	enum conf_accel accel = up ? vm->proc.accel : conf->accel;
	const char *machine = probe_machine(probe, conf->machine);
	struct argv argv = ARGV_INIT;
	struct argv_context ctx;
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
	r = vm_argv_context(vm, conf, probe, accel == CONF_ACCEL_AUTO ? CONF_ACCEL_KVM : accel,
		true, &a, &ctx, &firmware, e);
	if (r == 0)
		r = argv_build(&argv, conf, &vm->identity, probe, &ctx, e);
	if (r == 0)
		r = vm_draft_identity(vm, e);
	if (r == 0)
		*text = argv_shell(&argv);
	argv_release(&argv);
	firmware_free(firmware);
	arena_release(&a);
	return r;
}

static void verb_conf_on_probe(void *data, const struct probe *probe, const struct err *e)
{
	struct cmdline *c = data;
	struct vm *vm = vms_find(c->d->vms, c->name);
	struct err own = ERR_INIT;
	char *text = NULL;

	if (!e && !vm)
		err_set(&own, ERR_NOT_FOUND, "'%s' went away", c->name);
	else if (e)
		err_copy(&own, e);
	else
		verb_conf_build(vm, probe, &text, &own);
	if (text)
		request_return(c->r, json_pack("{s:s}", "text", text));
	else
		request_error(c->r, &own);
	free(text);
	free(c->name);
	free(c);
}

void verb_cmdline(struct daemon *d, struct vm *vm, struct request *r)
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
	*c = (struct cmdline){ .d = d, .r = r, .name = xstrdup(vm->name) };
	request_on_gone(r, verb_conf_cmdline_gone, c);
	probes_get(d->probes, conf_vm_binary(conf), verb_conf_on_probe, c);
}
