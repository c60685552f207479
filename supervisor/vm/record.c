/* SPDX-License-Identifier: MIT */
/*
 * RUN/vms/NAME/record.json: what a new daemon needs to adopt the process, and to undo what was
 * made for it. Version 1. The effective configuration is in effective.vm beside it.
 */
#include "supervisor/vm/record.h"

#include <errno.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/nic.h"
#include "supervisor/vm/record_table.h"

/* Skips the write if nothing changed, as for most events after an adoption. */
static int record_replace(struct vm *vm, const char *text, struct err *e)
{
	size_t len = strlen(text);
	uint64_t hash = text_hash64(text, len);
	int r;

	if (hash == vm->proc.recorded)
		return 0;
	r = file_replace(vm->proc.run_fd, "record.json", 0600, text, len, false, e);
	vm->proc.recorded = r == 0 ? hash : 0;
	return r;
}

int vm_record_save(struct vm *vm, struct err *e)
{
	json_auto_t *doc = record_write(vm);
	_cleanup_(free_ptr) char *text = doc ? json_dumps(doc, JSON_INDENT(1)) : NULL;
	int r;

	vm_run_dir_clear(vm, "record.json");
	r = text ? record_replace(vm, text, e)
		 : err_set(e, ERR_FAILED, "cannot be written as JSON");
	return r < 0 ? err_wrap(e, r, "run record") : 0;
}

int vm_record_save_conf(struct vm *vm, struct err *e)
{
	_cleanup_(buf_release) struct buf text = BUF_INIT;
	int r;

	vm_run_dir_clear(vm, "effective.vm");
	conf_vm_dump(&vm->proc.conf, false, &text);
	vm->proc.conf_hash = text_hash64(text.data ? text.data : "", text.len);
	r = file_replace(vm->proc.run_fd, "effective.vm", 0600, text.data ? text.data : "",
		text.len, false, e);
	return r < 0 ? err_wrap(e, r, "run record") : 0;
}

/* The run directory was removed: recreates it with everything in it. */
static int record_write_again(struct vm *vm, struct err *e)
{
	int r = vm_run_dir(vm, e);

	if (r == 0 && !vm->proc.conf_lost)
		r = vm_record_save_conf(vm, e);
	if (r == 0)
		r = vm_record_save(vm, e);
	if (r == 0)
		log_warning(vm->name, "its run directory was removed: recreated");
	return r;
}

void vm_record_write(struct vm *vm)
{
	struct err e = ERR_INIT;
	bool up = vm_state_has_process(vm->st.state);

	if (vm->proc.run_fd < 0 || vm_record_save(vm, &e) == 0)
		return;
	if (!up || record_write_again(vm, &e) < 0)
		log_error(vm->name, "%s", e.text);
}

/* Checks the hash in the record (0: older daemon), since a truncated file may still parse. */
static void record_read_conf(struct vm *vm)
{
	uint64_t hash = vm->proc.conf_hash;
	_cleanup_(buf_release) struct buf text = BUF_MAX(CONF_TEXT_MAX);
	struct err e = ERR_INIT;
	int r = file_read(vm->proc.run_fd, "effective.vm", &text, &e);

	vm->proc.conf_hash = text_hash64(text.data ? text.data : "", text.len);
	if (r == 0 && (hash ? hash != vm->proc.conf_hash : !text.len))
		r = err_set(&e, ERR_FAILED, "'effective.vm' is damaged");
	if (r == 0)
		r = conf_vm_read(
			&vm->proc.conf, vm->name, text.data ? text.data : "", text.len, &e);
	conf_vm_place(&vm->proc.conf, &vm->daemon->conf);
	if (r < 0)
		log_warning(vm->name, "%s", e.text);
	vm->proc.conf_lost |= r < 0;
}

static int record_parse(struct vm *vm, struct record_process *p, const json_t *doc, struct err *e)
{
	const json_t *name = json_object_get(doc, "name");
	json_int_t version = json_integer_value(json_object_get(doc, "version"));

	if (version == RECORD_VERSION && (!name || streq(json_string_value(name), vm->name)) &&
		record_read(vm, p, doc))
		return 0;
	*p = (struct record_process){ .pid = (pid_t)json_integer_value(json_object_get(doc, "pid")),
		.starttime = (uint64_t)json_integer_value(json_object_get(doc, "starttime")),
		.newer = version > RECORD_VERSION };
	if (!p->newer)
		return err_set(e, ERR_FAILED, "run record is damaged");
	/* whatever still has the known form, so that its taps are not treated as strays */
	vm_nics_read(vm, json_object_get(doc, "nics"));
	return err_set(e, ERR_FAILED, "run record was written by a newer vmkeep (version %lld)",
		(long long)version);
}

int vm_record_read(struct vm *vm, struct record_process *p, struct err *e)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(RECORD_MAX);
	json_auto_t *doc = NULL;
	int r = file_read(vm->proc.run_fd, "record.json", &text, e);

	*p = (struct record_process){ 0 };
	if (r == 0) {
		doc = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
		r = record_parse(vm, p, doc, e);
	}
	if (r == 0)
		vm->proc.recorded = text_hash64(text.data, text.len);
	if (r == 0 && p->state != VM_BACKOFF && p->state != VM_FAILED &&
		!vm->proc.conf_lost) /* resting: the configuration went with the process */
		record_read_conf(vm);
	return r;
}

static int record_place(struct vm *vm, bool conf, struct err *e)
{
	int r = vm_run_dir_new(vm, e);

	if (r == 0 && conf)
		r = vm_record_save_conf(vm, e);
	if (r == 0)
		r = vm_record_save(vm, e);
	return r == 0 ? vm_run_dir_place(vm, e) : r;
}

int vm_record_begin(struct vm *vm, struct err *e)
{
	return record_place(vm, true, e);
}

void vm_record_rest(struct vm *vm)
{
	struct err e = ERR_INIT;

	if (record_place(vm, false, &e) < 0)
		log_error(vm->name, "%s", e.text);
	close_fd(&vm->proc.run_fd);
}

void vm_record_write_resting(struct vm *vm)
{
	struct err e = ERR_INIT;

	if (vm_run_dir(vm, &e) < 0)
		log_error(vm->name, "run record: %s", e.text);
	vm_record_write(vm);
	close_fd(&vm->proc.run_fd);
}
