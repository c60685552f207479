/* SPDX-License-Identifier: MIT */
/* nic: what a user wants of the NICs of a guest that runs; guest/cable.c and guest/nic_plug.c do the rest. */
#include <string.h>

#include "base/mem.h"
#include "supervisor/guest/cable.h"
#include "supervisor/guest/nic_plug.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/verbs/verb.h"

enum { NIC_SECONDS = 10 };

struct nic {
	struct daemon *daemon;
	char *vm, *id;
	struct job *job;
	json_t *words; /* for the file; NULL: not persistent */
	struct edit_by by;
};

static void nic_free(struct nic *n)
{
	json_decref(n->words);
	edit_by_release(&n->by);
	free(n->vm);
	free(n->id);
	free(n);
}

static const struct conf_nic *nic_find(const struct conf_vm *c, const char *id)
{
	for (size_t i = 0; i < c->nics; i++)
		if (streq(c->nic[i].id, id))
			return &c->nic[i];
	return NULL;
}

static int nic_exists(const struct vm *vm, const char *id, struct err *e)
{
	const struct conf_vm *c = &vm->proc.conf;
	_cleanup_(buf_release) struct buf names = BUF_INIT;

	if (nic_find(c, id))
		return 0;
	for (size_t i = 0; i < c->nics; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", c->nic[i].id);
	err_set(e, ERR_NOT_FOUND, "it has no NIC '%s'", id);
	if (c->nics)
		err_hint(e, "its NICs: %s", names.data);
	else
		err_hint(e, "vmkeep set %s NIC.%s.Network=default adds it at the next start",
			vm->name, id);
	return e->number;
}

/* --- the end --- */

static json_t *nic_result(const struct nic *n)
{
	const struct vm *vm = vms_find(n->daemon->vms, n->vm);
	const struct conf_nic *c = vm ? nic_find(&vm->proc.conf, n->id) : NULL;

	return json_pack("{s:s, s:s?, s:b}", "nic", n->id, "link",
		!c	  ? NULL
		: c->link ? "up"
			  : "down",
		"persistent", n->words != NULL);
}

static void nic_end(struct nic *n, const struct err *e)
{
	job_finish(n->job, e ? NULL : nic_result(n), e);
	nic_free(n);
}

static void nic_on_written(void *data, const struct err *e)
{
	struct err own = ERR_INIT;

	if (e) {
		err_copy(&own, e);
		err_wrap(&own, 0, "the guest has it, but the VM's file does not");
	}
	nic_end(data, e ? &own : NULL);
}

static void nic_on_changed(void *data, const struct err *e)
{
	struct nic *n = data;
	struct err gone = ERR_INIT;
	struct vm *vm;

	if (e || !n->words) {
		nic_end(n, e);
		return;
	}
	vm = verb_vm_after(n->daemon, n->vm, &gone);
	if (vm)
		edit_set(vm, json_incref(n->words), &n->by, nic_on_written, n);
	else
		nic_on_written(n, &gone);
}

static struct nic *nic_new(const struct vm *vm, const struct request *r)
{
	struct nic *n = xcalloc(1, sizeof *n);

	*n = (struct nic){ .daemon = vm->daemon,
		.vm = xstrdup(vm->name),
		.id = xstrdup(request_string(r, "id")) };
	edit_by_init(&n->by, r);
	return n;
}

static void nic_refuse(struct nic *n, struct request *r, const struct err *e)
{
	request_error(r, e);
	nic_free(n);
}

/* --- link --- */

static int nic_may_link(const struct vm *vm, struct nic *n, bool up, bool persistent, struct err *e)
{
	if (nic_exists(vm, n->id, e) < 0 || !persistent)
		return e->number;
	if (!nic_find(&vm->file.conf, n->id))
		return err_set(e, ERR_USAGE, "NIC '%s' is not in the VM's file", n->id);
	n->words = json_array();
	json_array_append_new(n->words, json_sprintf("NIC.%s.Link=%s", n->id, up ? "up" : "down"));
	return edit_may_set(vm, json_incref(n->words), &n->by, e);
}

void verb_nic_link(struct vm *vm, struct request *r)
{
	const bool up = streq(request_string(r, "link"), "up");
	struct nic *n = nic_new(vm, r);
	struct err e = ERR_INIT;

	if (nic_may_link(vm, n, up, request_bool(r, "persistent", false), &e) < 0) {
		nic_refuse(n, r, &e);
		return;
	}
	n->job = verb_job(vm->daemon, r, vm);
	cable_set(vm, n->id, up, nic_on_changed, n);
}

/* --- attach --- */

/* "Key=value" for each; the section's other keys have their defaults. */
static int nic_compose(
	const struct vm *vm, struct nic *n, const json_t *keys, struct conf_vm *to, struct err *e)
{
	_cleanup_(buf_release) struct buf text = BUF_INIT;
	const json_t *key;
	size_t i;

	if (nic_find(&vm->proc.conf, n->id))
		return err_set(e, ERR_CONFLICT, "it has a NIC '%s' already", n->id);
	buf_printf(&text, "[NIC %s]\n", n->id);
	json_array_foreach (keys, i, key) {
		const char *word = json_string_value(key);

		if (!strchr(word, '=') || *word == '[' || *word == '=') {
			err_set(e, ERR_USAGE, "'%s' is not KEY=VALUE", word);
			return err_hint(e, "the keys are those of [NIC], as in Network=default");
		}
		buf_printf(&text, "%s\n", word);
	}
	return change_compose(vm, text.data, to, e);
}

static int nic_may_attach(const struct vm *vm, struct nic *n, const json_t *keys,
	const struct conf_vm *to, bool persistent, struct err *e)
{
	const json_t *key;
	size_t i;

	if (edit_may(vm->daemon, n->by.role, &vm->proc.conf, to, e) < 0 || !persistent)
		return e->number;
	if (nic_find(&vm->file.conf, n->id))
		return err_set(e, ERR_CONFLICT, "the VM's file has a NIC '%s' already", n->id);
	n->words = json_array();
	json_array_foreach (keys, i, key)
		json_array_append_new(
			n->words, json_sprintf("NIC.%s.%s", n->id, json_string_value(key)));
	if (!json_array_size(n->words))
		json_array_append_new(n->words, json_sprintf("NIC.%s.Network=default", n->id));
	return edit_may_set(vm, json_incref(n->words), &n->by, e);
}

void verb_nic_attach(struct vm *vm, struct request *r)
{
	const json_t *keys = json_object_get(request_arguments(r), "keys");
	struct nic *n = nic_new(vm, r);
	struct conf_vm to = CONF_VM_INIT;
	struct err e = ERR_INIT;

	if (nic_compose(vm, n, keys, &to, &e) < 0 ||
		nic_may_attach(vm, n, keys, &to, request_bool(r, "persistent", false), &e) < 0) {
		nic_refuse(n, r, &e);
	} else {
		n->job = verb_job(vm->daemon, r, vm);
		nic_plug_attach(vm, nic_find(&to, n->id), n->job, nic_on_changed, n);
	}
	conf_vm_release(&to);
}

/* --- detach --- */

static int nic_may_detach(const struct vm *vm, struct nic *n, bool persistent, struct err *e)
{
	if (nic_exists(vm, n->id, e) < 0 || !persistent)
		return e->number;
	if (!nic_find(&vm->file.conf, n->id))
		return err_set(e, ERR_USAGE, "NIC '%s' is not in the VM's file", n->id);
	n->words = json_array();
	json_array_append_new(n->words, json_sprintf("NIC.%s", n->id));
	n->by.unset = true;
	return edit_may_set(vm, json_incref(n->words), &n->by, e);
}

void verb_nic_detach(struct vm *vm, struct request *r)
{
	struct nic *n = nic_new(vm, r);
	struct err e = ERR_INIT;

	if (nic_may_detach(vm, n, request_bool(r, "persistent", false), &e) < 0) {
		nic_refuse(n, r, &e);
		return;
	}
	n->job = verb_job(vm->daemon, r, vm);
	nic_plug_detach(
		vm, n->id, request_time(r, "timeout", NIC_SECONDS), n->job, nic_on_changed, n);
}
