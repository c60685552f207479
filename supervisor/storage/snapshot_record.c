/* SPDX-License-Identifier: MIT */
/*
 * The machine as the guest saw it when its memory was saved. QEMU notices some mismatches only in
 * the middle of a load, when the disks are already rolled back, and others not at all.
 */

#include "supervisor/core/aside.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "supervisor/storage/snapshot_private.h"
#include "supervisor/vm/dirs.h"

enum { RECORDS_VERSION = 1, RECORDS_MAX = 16 << 20 };

static const char file_name[] = "snapshots.json";

/* Keys that do not change what the guest sees of its machine, nor what QEMU loads into it; no key:
 * all of the section. A key that is not here counts, so that a new one is safe until somebody
 * knows better. Adding or removing a whole device always counts. */
static const struct {
	const char *section, *key[11];
} hidden[] = {
	{ "VM", { "Description", "Accel", "UUID", "Owner", "Networks", "Enable" } },
	{ "Memory", { "Min" } },
	{ "Boot", { "Order", "Menu", "Initrd", "Append", "Clock" } },
	{ "Disk", { "Path", "Store", "Base", "Size", "Format", "Cache", "AIO", "DetectZeroes",
			  "OnError", "IOThread", "Serial" } },
	{ "CDROM", { "Path", "Store", "Format", "Cache", "OnError", "Serial" } },
	{ "NIC", { "Network", "Bridge", "Address", "HostName", "Link" } },
	{ "Display", { "Listen", "Port", "Password", "AllowNoPassword", "Keymap" } },
	{ "Serial", { "Log", "LogSize", "LogKeep" } },
	{ "RNG", { "Rate" } },
	{ "Lifecycle", { NULL } },
	{ "Limits", { NULL } },
	{ "Hooks", { NULL } },
	{ "QEMU", { "Binary" } },
};

json_t *snapshot_record_new(const struct snapshot_machine *m, bool running, json_int_t created)
{
	_cleanup_(buf_release) struct buf text = BUF_INIT;
	json_t *record;

	conf_vm_dump(m->conf, false, &text);
	record = json_pack("{s:I, s:b, s:s?, s:s?, s:s?, s:s}", "created", created, "running",
		running, "machine", m->machine, "accel", m->accel, "qemu", m->qemu, "config",
		text.data ? text.data : "");
	return record;
}

bool snapshot_record_running(const json_t *record)
{
	return !json_is_false(json_object_get(record, "running"));
}

/* --- comparing --- */

struct changes {
	char text[512];
	size_t n;
};

static void record_add_change(struct changes *c, const char *what, const char *from, const char *to)
{
	size_t len = strlen(c->text);

	c->n++;
	snprintf(c->text + len, sizeof c->text - len, "%s%s was %s and is %s", len ? ", " : "",
		what, from ? from : "not there", to ? to : "not there");
}

static bool record_is_hidden(const struct conf_change *c)
{
	/* notify needs a port in the guest; see argv_wants_notify() */
	if (streq(c->key, "ReadyWhen"))
		return !streq(c->from, "notify") && !streq(c->to, "notify");
	for (size_t i = 0; c->key && i < ARRAY_SIZE(hidden); i++) {
		if (!streq(hidden[i].section, c->section))
			continue;
		if (!hidden[i].key[0])
			return true;
		for (size_t k = 0; k < ARRAY_SIZE(hidden[i].key) && hidden[i].key[k]; k++)
			if (streq(hidden[i].key[k], c->key))
				return true;
	}
	return false;
}

static void record_on_change(void *data, const struct conf_change *c)
{
	char what[192];

	if (record_is_hidden(c))
		return;
	snprintf(what, sizeof what, "[%s%s%s]%s%s", c->section, c->id ? " " : "",
		c->id ? c->id : "", c->key ? " " : "", c->key ? c->key : "");
	if (c->key)
		record_add_change(data, what, c->from, c->to);
	else
		record_add_change(data, what, c->from ? "there" : NULL, c->to ? "there" : NULL);
}

static void record_compare_conf(
	struct changes *changes, const json_t *record, const struct conf_vm *now)
{
	const char *text = json_string_value(json_object_get(record, "config"));
	struct conf_source source = {
		.file = file_name, .text = text, .len = text ? strlen(text) : 0
	};
	struct conf_context ctx = { .uuid = "", .state_dir = "" };
	struct conf_problems problems = { 0 };
	struct conf_vm then = CONF_VM_INIT;

	if (!text)
		return;
	conf_vm_parse(&then, now->name, &source, 1, &ctx, &problems);
	/* a record that no longer parses is from an older vmkeep: leave the check to QEMU */
	if (!problems.count)
		conf_vm_diff(&then, now, record_on_change, changes);
	conf_problems_release(&problems);
	conf_vm_release(&then);
}

static void record_compare_word(
	struct changes *changes, const json_t *record, const char *key, const char *now)
{
	const char *then = json_string_value(json_object_get(record, key));

	if (then && now && !streq(then, now))
		record_add_change(changes, key, then, now);
}

/* A newer QEMU can load what an older one saved, thanks to versioned machines; not the other way
 * round. */
static void record_compare_qemu(struct changes *changes, const json_t *record, const char *now)
{
	const char *then = json_string_value(json_object_get(record, "qemu"));
	unsigned a[2], b[2];

	if (then && now && sscanf(then, "%u.%u", &a[0], &a[1]) == 2 &&
		sscanf(now, "%u.%u", &b[0], &b[1]) == 2 &&
		(b[0] < a[0] || (b[0] == a[0] && b[1] < a[1])))
		record_add_change(changes, "qemu", then, now);
}

int snapshot_record_check(const json_t *record, const struct snapshot_machine *m, struct err *e)
{
	struct changes changes = { .n = 0 };

	if (!record)
		return 0;
	record_compare_conf(&changes, record, m->conf);
	record_compare_word(&changes, record, "machine", m->machine);
	record_compare_word(&changes, record, "accel", m->accel);
	record_compare_qemu(&changes, record, m->qemu);
	if (!changes.n)
		return 0;
	return err_set(e, ERR_CONFLICT,
		"the machine has changed since, so the saved memory would not fit: %s",
		changes.text);
}

/* --- file --- */

static void record_set_aside(const struct vm *vm, int dir, const char *why)
{
	char aside[PATH_MAX];
	struct err e = ERR_INIT;

	if (aside_move(dir, file_name, aside, &e) < 0)
		log_error(vm->name, "%s: %s; %s", file_name, why, e.text);
	else
		log_error(vm->name, "%s: %s; set aside as %s", file_name, why, aside);
}

static bool record_is_ours(const json_t *doc)
{
	return json_integer_value(json_object_get(doc, "version")) == RECORDS_VERSION &&
	       json_is_object(json_object_get(doc, "snapshots"));
}

/* A newer vmkeep wrote it, and will need it again: kept, though not understood. */
static bool record_is_newer(const json_t *doc)
{
	return json_integer_value(json_object_get(doc, "version")) > RECORDS_VERSION;
}

static json_t *record_load_doc(const struct vm *vm, int dir)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(RECORDS_MAX);
	struct err e = ERR_INIT;
	json_error_t je;
	json_t *doc = NULL;
	int r = file_read(dir, file_name, &text, &e);

	if (r == 0) {
		doc = json_loadb(text.data ? text.data : "", text.len, 0, &je);
		if (!record_is_ours(doc) && !record_is_newer(doc))
			record_set_aside(vm, dir, doc ? "not of version 1" : je.text);
	} else if (e.class != ERR_NOT_FOUND) {
		record_set_aside(vm, dir, e.text);
	}
	if (record_is_ours(doc) || record_is_newer(doc))
		return doc;
	json_decref(doc);
	return json_pack("{s:i, s:{}}", "version", RECORDS_VERSION, "snapshots");
}

static struct snapshot_machine record_machine_of(const struct snapshot_op *op, const struct vm *vm)
{
	return (struct snapshot_machine){ .conf = op->q ? &vm->proc.conf : &vm->file.conf,
		.machine = vm->identity.machine,
		.accel = op->q ? conf_accel_name(vm->proc.accel) : NULL,
		.qemu = op->q ? op->qemu : NULL };
}

/* Ignores the record of another snapshot of the same name, by creation time. */
int snapshot_record_fits(struct snapshot_op *op, struct vm *vm, struct err *e)
{
	const struct snapshot_machine m = record_machine_of(op, vm);
	int dir = vm_state_dir(vm, NULL);
	json_t *doc = dir < 0 ? NULL : record_load_doc(vm, dir),
	       *record = json_object_get(json_object_get(doc, "snapshots"), op->name);

	json_decref(op->record);
	op->record = NULL;
	if (record_is_newer(doc)) {
		json_decref(doc);
		err_set(e, ERR_CONFLICT,
			"the machine that its memory was saved on is in a record of a newer vmkeep");
		return err_hint(e,
			"revert it with that one; or vmkeep snapshot revert %s %s --disks-only reverts the "
			"disks without the memory",
			op->vm, op->typed);
	}
	if (json_integer_value(json_object_get(record, "created")) ==
		snapshot_created(&op->disks, op->name))
		op->record = json_incref(record);
	json_decref(doc);
	if (snapshot_record_check(op->record, &m, e) == 0)
		return 0;
	return err_hint(e,
		"undo that, then revert; or vmkeep snapshot revert %s %s --disks-only reverts the "
		"disks without the memory",
		op->vm, op->typed);
}

static void record_on_saved(void *data, const struct err *e)
{
	struct snapshot_op *op = data;

	if (e)
		log_error(op->vm, "%s", e->text);
	snapshot_end_well(op);
}

static int record_save(struct snapshot_op *op, struct vm *vm, const json_t *doc, struct err *e)
{
	_cleanup_(free_ptr) char *path = vm_path(vm->name, file_name);
	_cleanup_(free_ptr) char *text = json_dumps(doc, JSON_INDENT(1));

	if (!text)
		return err_set(e, ERR_FAILED, "%s: cannot be written as JSON", file_name);
	return keep(vm->daemon, path, text, record_on_saved, op, e);
}

/* Saves op->record, or removes the entry if NULL. */
static void record_set(struct snapshot_op *op, struct vm *vm)
{
	struct err e = ERR_INIT;
	int dir = vm_state_dir(vm, &e);
	json_t *doc = dir < 0 ? NULL : record_load_doc(vm, dir),
	       *all = json_object_get(doc, "snapshots");
	bool changed = doc && !record_is_newer(doc) &&
		       (op->record ? json_object_set(all, op->name, op->record)
				   : json_object_del(all, op->name)) == 0;

	if (!changed || record_save(op, vm, doc, &e) < 0)
		record_on_saved(op, e.number ? &e : NULL);
	json_decref(doc);
}

void snapshot_record_made(struct snapshot_op *op, struct vm *vm)
{
	const struct snapshot_machine m = record_machine_of(op, vm);

	op->record = snapshot_record_new(&m, op->running, snapshot_created(&op->disks, op->name));
	record_set(op, vm);
}

void snapshot_record_gone(struct snapshot_op *op, struct vm *vm)
{
	json_decref(op->record);
	op->record = NULL;
	record_set(op, vm);
}
