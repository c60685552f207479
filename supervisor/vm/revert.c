/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/revert.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/vm/vms.h"

enum { MARK_VERSION = 1, MARK_MAX = 64 << 10 };

static const char file_name[] = "revert.json";
static const char job_id[] = "vmkeep-snapshot"; /* of storage/snapshot_live.c */

static void set_mark(struct vm *vm, const char *snapshot, const char *disk)
{
	if (!vm->revert)
		vm->revert = xcalloc(1, sizeof *vm->revert);
	snprintf(vm->revert->snapshot, sizeof vm->revert->snapshot, "%s", snapshot);
	snprintf(vm->revert->disk, sizeof vm->revert->disk, "%s", disk);
}

void vm_revert_look(struct vm *vm, int dir)
{
	struct buf text = BUF_MAX(MARK_MAX);
	struct err e = ERR_INIT;
	const char *snapshot = "", *disk = "";
	int version = 0;
	json_t *doc = NULL;

	if (file_read(dir, file_name, &text, &e) == 0)
		doc = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
	if (json_unpack(doc, "{s:i, s:s, s:s}", "version", &version, "snapshot", &snapshot, "disk", &disk) < 0 ||
		version != MARK_VERSION)
		snapshot = disk = "";
	if (e.class != ERR_NOT_FOUND)
		set_mark(vm, snapshot, disk);
	json_decref(doc);
	buf_release(&text);
}

int vm_revert_check(const struct vm *vm, struct err *e)
{
	const struct vm_revert *r = vm->revert;

	if (!r)
		return 0;
	if (!r->snapshot[0]) {
		err_set(e, ERR_WRONG_STATE, "a revert did not come to its end, and its mark revert.json is damaged");
		return err_hint(e, "vmkeep snapshot revert %s SNAPSHOT finishes it, to any that vmkeep snapshot list "
				   "%s tells",
			vm->name, vm->name);
	}
	err_set(e, ERR_WRONG_STATE, "revert to '%s' did not come to its end%s%s%s", r->snapshot,
		r->disk[0] ? " on disk '" : "", r->disk, r->disk[0] ? "'" : "");
	return err_hint(e, "vmkeep snapshot revert %s %s finishes it", vm->name, r->snapshot);
}

void vm_revert_tell(struct vm *vm)
{
	struct err e = ERR_INIT;

	if (vm_revert_check(vm, &e) < 0)
		vm_set_reason(vm, "%s; %s", e.text, e.hint);
}

int vm_revert_mark(struct vm *vm, const char *snapshot, const char *disk, keep_fn *done, void *data, struct err *e)
{
	_cleanup_(free_ptr) char *path = xasprintf("vms/%s/%s", vm->name, file_name);
	json_t *doc;
	char *text;
	int r;

	if (vm_state_dir(vm, e) < 0)
		return e->number;
	if (!disk)
		return keep(vm->daemon, path, NULL, done, data, e);
	doc = json_pack("{s:i, s:s, s:s}", "version", MARK_VERSION, "snapshot", snapshot, "disk", disk);
	text = json_dumps(doc, JSON_INDENT(1));
	json_decref(doc);
	r = text ? keep(vm->daemon, path, text, done, data, e) : err_set(e, ERR_FAILED, "mark the revert: not UTF-8");
	free(text);
	return r;
}

void vm_revert_marked(struct vm *vm, const char *snapshot, const char *disk)
{
	if (disk) {
		set_mark(vm, snapshot, disk);
		return;
	}
	free(vm->revert);
	vm->revert = NULL;
	if (!vm_state_has_process(vm->state))
		vm_set_reason(vm, "%s", "");
}

/* --- a QEMU that was loading when its daemon ended --- */

static void on_unmarked(void *data, const struct err *e)
{
	char *name = data;

	if (e)
		log_error(name, "%s", e->text);
	free(name);
}

static void settle(struct vm *vm, bool loaded)
{
	char *name;
	struct err e = ERR_INIT;

	if (vm->busy || !vm->revert)
		return;
	if (!loaded) {
		log_error(vm->name, "revert to '%s' failed while no daemon looked: its half loaded guest is ended",
			vm->revert->snapshot);
		vm_kill(vm, "snapshot-revert", NULL);
		return;
	}
	log_info(vm->name, "revert to '%s' came to its end while no daemon looked", vm->revert->snapshot);
	name = xstrdup(vm->name);
	if (vm_revert_mark(vm, NULL, NULL, on_unmarked, name, &e) < 0)
		on_unmarked(name, &e);
	vm_revert_marked(vm, NULL, NULL);
}

static void on_jobs(void *data, const json_t *jobs, const struct err *e);

/* No job: it was not begun, or it was well and we came to take it from QEMU's list. A guest that runs was
 * not let down by its load. */
static void on_status(void *data, const json_t *result, const struct err *e)
{
	if (!e)
		settle(data, json_is_true(json_object_get(result, "running")));
}

static void on_jobs(void *data, const json_t *jobs, const struct err *e)
{
	struct vm *vm = data;
	json_t *job;
	size_t i;

	if (e)
		return;
	json_array_foreach (jobs, i, job) {
		if (!streq(json_string_value(json_object_get(job, "id")), job_id))
			continue;
		if (!streq(json_string_value(json_object_get(job, "status")), "concluded")) {
			vm_revert_ask(vm);
			return;
		}
		vm_call(vm, "job-dismiss", json_pack("{s:s}", "id", job_id), NULL);
		settle(vm, !json_object_get(job, "error"));
		return;
	}
	vm_call(vm, "query-status", NULL, on_status);
}

void vm_revert_ask(struct vm *vm)
{
	if (vm->revert && !vm->busy)
		vm_call(vm, "query-jobs", NULL, on_jobs);
}
