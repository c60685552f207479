/* SPDX-License-Identifier: MIT */
/*
 * Snapshots of a stopped guest: one qemu-img per disk, one after the other, each in a jail with
 * nothing but that file and with the guest's uid. The format is given, never probed, and backing
 * files are not opened, so nothing in an image header is acted on. qemu-img takes the same lock as
 * QEMU, so an image in use elsewhere is refused.
 */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/core/keep.h"
#include "supervisor/start/start.h"
#include "supervisor/storage/snapshot_private.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/vms.h"

enum { INFO_SECONDS = 30, ACT_SECONDS = 600, INFO_MAX = 1 << 20 };

static void file_look_next(struct snapshot_op *op);
static void file_act(struct snapshot_op *op);
static void file_act_next(struct snapshot_op *op);

/* JSON, so that a path may contain any character. Reading takes no locks, so nobody else's lock can
 * block it. */
static char *file_image_spec(const struct snapshot_disk *d, bool write)
{
	json_t *spec = json_pack("{s:s, s:n, s:{s:s, s:s, s:s}}", "driver",
		d->qcow2 ? "qcow2" : "raw", "backing", "file", "driver",
		device_path_is_block(d->path) ? "host_device" : "file", "filename", d->path,
		"locking", write ? "auto" : "off");
	char *text, *result;

	if (!d->qcow2)
		json_object_del(spec, "backing");
	text = json_dumps(spec, JSON_COMPACT);
	result = text ? xasprintf("json:%s", text) : NULL;
	free(text);
	json_decref(spec);
	return result;
}

/* Explains a failure: qemu-img's message without the JSON path that it repeats, or why it did not
 * run. */
static void file_explain(const struct snapshot_disk *d, const struct child_result *r,
	const struct err *jail, struct err *e)
{
	const char *last = strstr(r->err, "': "), *from = last ? last + 3 : r->err;
	_cleanup_(free_ptr) char *said = text_escape(from, strcspn(from, "\n"), false);
	char late[CHILD_LATE];

	if (strncmp(said, "qemu-img: ", 10) == 0)
		memmove(said, said + 10, strlen(said + 10) + 1);
	if (jail)
		err_copy(e, jail);
	else if (r->status == -ETIMEDOUT)
		err_set(e, ERR_TIMEOUT, "disk '%s': qemu-img %s: is the storage of '%s' hanging?",
			d->id, child_late(r, late), d->path);
	else if (r->status < 0)
		err_set(e, ERR_FAILED, "disk '%s': qemu-img was killed: %s", d->id,
			strsignal(-r->status));
	else if (strstr(r->err, " lock"))
		err_set(e, ERR_CONFLICT, "disk '%s' is in use by another process: %s", d->id,
			d->path);
	else if (strstr(r->err, strerror(ENOSPC)))
		err_set(e, ERR_NO_RESOURCES,
			"disk '%s': no space is left in the file system of '%s'", d->id, d->path);
	else
		err_set(e, ERR_FAILED, "disk '%s': %s", d->id, *said ? said : "qemu-img failed");
}

/* The image as the guest's QEMU sees it, but without its backing chain. Reading is allowed while
 * others use the image. */
static json_t *file_plan_of(
	const struct snapshot_op *op, const char *const *argv, bool write, struct err *e)
{
	const struct snapshot_disk *d = &op->disks.disk[op->at];
	_cleanup_(free_ptr) char *what =
		d->nvram ? xstrdup("UEFI variables") : xasprintf("disk '%s'", d->id);
	json_t *plan = confine_plan("tool", op->vm, op->uid, op->daemon->dirs.run, argv, e);

	if (!plan)
		return NULL;
	json_object_set_new(plan, "running", json_boolean(!write));
	json_object_set_new(plan, "files",
		json_pack("[{s:s, s:s, s:s, s:s, s:s*, s:b, s:b, s:s, s:I, s:s}]", "kind",
			d->nvram ? "nvram" : "disk", "what", what, "id", d->id, "path", d->path,
			"beneath", d->beneath, "write", write, "has_base", d->has_base, "format",
			"qcow2", "create", (json_int_t)d->size, "created", d->created));
	return plan;
}

/* Runs qemu-img on the current disk. flag: of `qemu-img snapshot`; NULL: `qemu-img info`. */
static int file_run(struct snapshot_op *op, const char *flag, confined_fn *done, struct err *e)
{
	const struct snapshot_disk *d = &op->disks.disk[op->at];
	_cleanup_(free_ptr) char *spec = file_image_spec(d, flag);
	const char *const info[] = { "qemu-img", "info", "-U", "--output=json", spec, NULL };
	const char *word = snapshot_word(d, op->name, op->verb == SNAPSHOT_REVERT);
	const char *const act[] = { "qemu-img", "snapshot", flag, word, spec, NULL };
	struct child_options o = { .out_max = INFO_MAX,
		.timeout = flag ? ACT_SECONDS : INFO_SECONDS,
		.while_idle = true };
	json_t *plan;

	if (!spec)
		return err_set(e, ERR_INVALID_CONFIG, "disk '%s': its path is not UTF-8", d->id);
	plan = file_plan_of(op, flag ? act : info, flag, e);
	if (plan)
		op->tool = confine_run(
			op->daemon->loop.ev, op->daemon->jail, plan, NULL, 0, &o, done, op, e);
	return op->tool ? 0 : e->number;
}

static bool file_is_cancelled(const struct snapshot_op *op, struct err *e)
{
	if (op->cancelled)
		err_set(e, ERR_FAILED, "cancelled, nothing was changed");
	return op->cancelled;
}

/* --- reading which snapshots there are --- */

static void file_on_info(void *data, const struct child_result *r, const struct err *jail)
{
	struct snapshot_op *op = data;
	struct snapshot_disk *d = &op->disks.disk[op->at];
	struct err e = ERR_INIT;
	json_t *info;

	op->tool = NULL;
	if (!file_is_cancelled(op, &e) && (jail || r->status != 0)) {
		file_explain(d, r, jail, &e);
	} else if (!e.number && r->out_len >= INFO_MAX) {
		err_set(&e, ERR_FAILED,
			"disk '%s': its header holds more than %d bytes of snapshots", d->id,
			INFO_MAX);
		err_hint(&e, "the header is hostile or damaged; qemu-img convert copies the disk's "
			     "current contents");
	} else if (!e.number) {
		info = json_loadb(r->out, r->out_len, 0, NULL);
		snapshot_disk_take(d, info, &e);
		json_decref(info);
	}
	if (e.number) {
		snapshot_end(op, NULL, &e);
		return;
	}
	op->at++;
	file_look_next(op);
}

static void file_look_next(struct snapshot_op *op)
{
	struct err e = ERR_INIT;

	while (op->at < op->disks.n && !op->disks.disk[op->at].qcow2)
		op->at++;
	if (op->at == op->disks.n)
		file_act(op);
	else if (file_run(op, NULL, file_on_info, &e) < 0)
		snapshot_end(op, NULL, &e);
}

/* --- a revert with memory --- */

static void file_on_up(void *data, const struct err *e)
{
	struct snapshot_op *op = data;
	struct vm *vm = snapshot_vm(op);

	if (!e && vm && vm->mon.qmp) {
		op->q = vm->mon.qmp;
		snapshot_live(op);
		return;
	}
	if (e)
		err_copy(&op->error, e);
	else
		err_set(&op->error, ERR_QEMU_FAILED, "its QEMU went away in the meantime");
	/* policy must not restart it later with the disks in their present state */
	vm = vms_find(op->daemon->vms, op->vm);
	if (vm)
		vm_kill(vm, op->busy, NULL);
	snapshot_end(op, NULL, &op->error);
}

/* Answers what a revert would do, including what would prevent the VM from starting again. */
static void file_plan(struct snapshot_op *op, struct vm *vm)
{
	struct err e = ERR_INIT;

	/* a half-reverted VM may be started only for a revert, so vm_may_start() does not apply */
	if (snapshot_op_memory(op) > 0 && snapshot_record_fits(op, vm, &e) == 0 && !vm->revert)
		vm_may_start(vm, true, &e);
	if (e.number)
		snapshot_end(op, NULL, &e);
	else
		snapshot_end(op, snapshot_plan(op, vm), NULL);
}

/* Starts the VM paused, so that nothing runs before the snapshot's memory is loaded. */
static void file_boot(struct snapshot_op *op, struct vm *vm)
{
	struct err e = ERR_INIT;
	int r = snapshot_record_fits(op, vm, &e);

	op->running = snapshot_record_running(op->record);
	op->booted = true;
	job_progress(op->job, 0, 0, "starting it, paused");
	if (r < 0 || vm_start_for(vm, true, op->job->who, &e) < 0)
		snapshot_end(op, NULL, &e);
	else
		vm_wait(vm, VM_GOAL_UP, 0, file_on_up, op);
}

/* --- the operation --- */

static const char *const flags[] = {
	[SNAPSHOT_CREATE] = "-c",
	[SNAPSHOT_REVERT] = "-a",
	[SNAPSHOT_DELETE] = "-d",
	[SNAPSHOT_LIST] = NULL,
};

static void file_on_undone(void *data, const struct child_result *r, const struct err *jail)
{
	struct snapshot_op *op = data;
	struct err e = ERR_INIT;

	op->tool = NULL;
	/* the killed qemu-img may not have created it */
	if ((jail || r->status != 0) && op->killed && op->at == op->killed_at) {
		op->killed = false;
	} else if (jail || r->status != 0) {
		err_hint(&op->error,
			"vmkeep snapshot list %s shows what is left of it, vmkeep snapshot delete %s %s "
			"removes that",
			op->vm, op->vm, op->name);
		file_explain(&op->disks.disk[op->at], r, jail, &e);
		log_error(op->vm, "undo of %s: %s", op->busy, e.text);
	}
	file_act_next(op);
}

/* Undoes a failed create, backwards from the last disk that has or may have the snapshot. */
static void file_undo_next(struct snapshot_op *op)
{
	struct err e = ERR_INIT;

	if (op->at == 0) {
		snapshot_end(op, NULL, &op->error);
		return;
	}
	op->at--;
	if (file_run(op, flags[SNAPSHOT_DELETE], file_on_undone, &e) < 0) {
		log_error(op->vm, "undo of %s: %s", op->busy, e.text);
		snapshot_end(op, NULL, &op->error);
	}
}

/* Disks that were already reverted stay reverted, and the mark stays. */
static void file_act_failed(struct snapshot_op *op, const struct err *e)
{
	err_copy(&op->error, e);
	if (op->verb == SNAPSHOT_REVERT)
		err_hint(&op->error,
			"some disks may already be reverted, and the VM does not start: "
			"vmkeep snapshot revert %s %s again when this is fixed",
			op->vm, op->typed);
	if (op->verb == SNAPSHOT_CREATE)
		file_undo_next(op);
	else
		snapshot_end(op, NULL, &op->error);
}

static void file_end_failed(struct snapshot_op *op)
{
	snapshot_end(op, NULL, &op->error);
}

/* qemu-img reported that it did not change the first disk, so no disk has changed. */
static void file_act_refused(struct snapshot_op *op, const struct err *e)
{
	err_copy(&op->error, e);
	snapshot_mark(op, NULL, file_end_failed, file_act_failed);
}

/* qemu-img was killed: the current disk may or may not have the snapshot. */
static void file_act_killed(struct snapshot_op *op, struct err *e)
{
	op->killed = true;
	op->killed_at = op->at;
	op->at++;
	if (op->cancelled)
		err_set(e, ERR_FAILED, "cancelled, and what had been created was removed");
	file_act_failed(op, e);
}

static void file_on_acted(void *data, const struct child_result *r, const struct err *jail)
{
	struct snapshot_op *op = data;
	struct err e = ERR_INIT;

	op->tool = NULL;
	if (jail || r->status != 0)
		file_explain(&op->disks.disk[op->at], r, jail, &e);
	if (op->verb == SNAPSHOT_CREATE && (op->cancelled || (!jail && r->status < 0)))
		file_act_killed(op, &e);
	else if (e.number && op->verb == SNAPSHOT_REVERT && op->at == 0 && !op->marked &&
		 (jail || r->status > 0))
		file_act_refused(op, &e);
	else if (e.number)
		file_act_failed(op, &e);
	else {
		op->at++;
		file_act_next(op);
	}
}

static void file_acted(struct snapshot_op *op)
{
	struct vm *vm = snapshot_vm(op);

	if (vm && op->verb == SNAPSHOT_DELETE)
		snapshot_record_gone(op, vm);
	else if (op->verb == SNAPSHOT_REVERT)
		snapshot_mark(op, NULL, snapshot_end_well, file_act_failed);
	else
		snapshot_end_well(op);
}

static void file_act_on(struct snapshot_op *op)
{
	struct err e = ERR_INIT;

	if (!op->acting && file_is_cancelled(op, &e)) {
		(op->verb == SNAPSHOT_REVERT && !op->marked ? file_act_refused : file_act_failed)(
			op, &e);
		return;
	}
	op->acting = true;
	if (file_run(op, flags[op->verb], file_on_acted, &e) < 0)
		file_act_failed(op, &e);
}

static void file_act_next(struct snapshot_op *op)
{
	if (op->error.number) {
		file_undo_next(op);
		return;
	}
	while (op->at < op->disks.n && op->verb == SNAPSHOT_DELETE &&
		!snapshot_find(&op->disks.disk[op->at], op->name))
		op->at++;
	if (op->at == op->disks.n) {
		file_acted(op);
		return;
	}
	job_progress(op->job, op->at, op->disks.n, op->disks.disk[op->at].id);
	if (op->verb == SNAPSHOT_REVERT)
		snapshot_mark(op, op->disks.disk[op->at].id, file_act_on, file_act_failed);
	else
		file_act_on(op);
}

static void file_on_renewed(void *data, const struct err *e)
{
	struct snapshot_op *op = data;

	if (e) /* the next start writes it */
		log_warning(op->vm, "%s", e->text);
	file_act_next(op);
}

/* A revert gives the guest a new generation ID, so that it notices; it must be on disk before the
 * images change. With memory the VM is started, and a start saves the ID itself. */
static void file_revert(struct snapshot_op *op, struct vm *vm)
{
	_cleanup_(free_ptr) char *path = vm_path(vm->name, "identity.json"), *text = NULL;
	bool renewed = identity_renew_generation(&vm->identity);
	struct err e = ERR_INIT;
	json_t *doc;

	if (snapshot_op_memory(op) > 0) {
		file_boot(op, vm);
		return;
	}
	doc = renewed && vm->identity.kept ? identity_json(&vm->identity) : NULL;
	text = doc ? json_dumps(doc, JSON_INDENT(1)) : NULL;
	json_decref(doc);
	if (!text || keep(vm->daemon, path, text, file_on_renewed, op, &e) < 0)
		file_on_renewed(op, e.number ? &e : NULL);
}

static void file_act(struct snapshot_op *op)
{
	struct vm *vm = snapshot_vm(op);
	struct err e = ERR_INIT;

	op->at = 0;
	if (!vm) {
		err_set(&e, ERR_NOT_FOUND, "the VM went away in the meantime");
		snapshot_end(op, NULL, &e);
		return;
	}
	if (snapshot_check(op, &e) < 0)
		snapshot_end(op, NULL, &e);
	else if (op->verb == SNAPSHOT_LIST)
		snapshot_end(op, snapshot_table(&op->disks), NULL);
	else if (op->listed)
		file_plan(op, vm);
	else if (op->verb == SNAPSHOT_REVERT)
		file_revert(op, vm);
	else
		file_act_next(op);
}

/* The identity is completed first: a VM that was never started has no uid yet. */
void snapshot_file(struct snapshot_op *op)
{
	struct vm *vm = snapshot_vm(op);
	struct err e = ERR_INIT;

	if (vm_complete_identity(vm, &vm->file.conf, &e) < 0 ||
		(op->verb == SNAPSHOT_LIST || !op->listed ? vm_draft_identity(vm, &e) : 0) < 0) {
		snapshot_end(op, NULL, &e);
		return;
	}
	op->uid = vm->identity.uid;
	op->at = 0;
	file_look_next(op);
}
