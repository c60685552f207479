/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/storage/snapshot_private.h"
#include "supervisor/vm/bases.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/part.h"
#include "supervisor/vm/vms.h"

/* --- starting --- */

static int snapshot_refuse(const struct vm *vm, const struct snapshot_op *op, struct err *e)
{
	const bool lists = op->verb == SNAPSHOT_LIST, guest = vm_state_is_up(vm->st.state);

	if (op->verb == SNAPSHOT_CREATE && snapshot_check_name(op->name, e) < 0)
		return e->number;
	/* its disks were taken from the VM file, which may have changed since the start */
	if (!lists && vm_state_has_process(vm->st.state) && vm->proc.conf_lost) {
		err_set(e, ERR_WRONG_STATE,
			"its run record was lost, so the disks that it runs with are not known");
		return err_hint(e, "shut it down first");
	}
	if (!lists && vm->busy) {
		err_set(e, ERR_CONFLICT, "%s is under way", vm->busy);
		return err_hint(e, "vmkeep jobs shows its progress");
	}
	if (op->verb == SNAPSHOT_CREATE && vm_revert_check(vm, e) < 0)
		return e->number;
	/* an unfinished revert needs its snapshot to make the disks consistent again */
	if (op->verb == SNAPSHOT_DELETE && vm->revert &&
		(!vm->revert->snapshot[0] ||
			streq(vm->revert->snapshot, *op->name ? op->name : "-")))
		return vm_revert_check(vm, e);
	if (!guest && vm->st.state != VM_STOPPED && vm->st.state != VM_FAILED) {
		err_set(e, ERR_WRONG_STATE, "is %s%s%s%s", vm_state_name(vm->st.state),
			vm->st.reason[0] ? " (" : "", vm->st.reason, vm->st.reason[0] ? ")" : "");
		return err_hint(e, "wait until it runs or is stopped");
	}
	if (guest && (!vm->mon.qmp || !qmp_is_ready(vm->mon.qmp)))
		return err_set(e, ERR_TIMEOUT, "QEMU's monitor does not answer: nothing was done");
	if (!guest && vm->file.problems)
		return err_set(e, ERR_INVALID_CONFIG, "%s", vm->file.problems);
	if (!guest && !lists && vm_template_check(vm, e) < 0)
		return e->number;
	return guest || lists ? 0 : vm_bases_check(vm, &vm->file.conf, e);
}

/* Adds the parts' state files, such as UEFI variables, which exist after a first start. They are
 * our own files, so testing for them is safe. They come last: memory goes to the first disk. */
static void snapshot_add_parts(struct snapshot_disks *s, struct vm *vm, const struct conf_vm *c)
{
	for (size_t i = 0; i < vm->daemon->n_parts; i++) {
		const struct vm_part *p = vm->daemon->parts[i];
		const struct vm_part_file *file = p->state_file ? p->state_file(c) : NULL;
		int dir = file ? vm_state_dir(vm, NULL) : -1;

		if (dir >= 0 && faccessat(dir, file->name, F_OK, 0) == 0) {
			_cleanup_(free_ptr) char *path = vm_state_path(vm, file->name);

			snapshot_disks_add(s, file->id, file->node, path, true)->nvram = true;
		}
	}
}

/* The words that mean the same snapshot on a command line. */
static char *snapshot_typed(const char *name, const char *id)
{
	_cleanup_(free_ptr) char *word = text_shell_quote(name), *number = text_shell_quote(id);

	return xasprintf("%s%s%s%s", *id ? "--id " : "", *id ? number : "", *id ? " " : "", word);
}

static void snapshot_begin(struct snapshot_op *op, struct vm *vm, const char *name, const char *id)
{
	const bool guest = vm_state_is_up(vm->st.state);
	const struct conf_vm *c = guest ? &vm->proc.conf : &vm->file.conf;
	struct err e = ERR_INIT;

	op->daemon = vm->daemon;
	op->marked = vm->revert;
	snprintf(op->vm, sizeof op->vm, "%s", vm->name);
	snprintf(op->name, sizeof op->name, "%s", name);
	snprintf(op->id, sizeof op->id, "%s", id);
	op->typed = snapshot_typed(op->name, op->id);
	if (strlen(name) >= sizeof op->name || strlen(id) >= sizeof op->id)
		err_set(&e, ERR_USAGE, "the name of a snapshot may have at most 255 bytes");
	else
		snapshot_refuse(vm, op, &e);
	if (e.number) {
		snapshot_end(op, NULL, &e);
		return;
	}
	snprintf(op->busy, sizeof op->busy, "%s '%s'", snapshot_verbs[op->verb], op->name);
	if (!op->listed) {
		vm->busy = op->busy;
		log_debug(vm->name, "%s by %s", op->busy, op->job->who);
	}
	snapshot_disks_init(&op->disks, c, &vm->identity, vm->daemon->image_dir);
	snapshot_add_parts(&op->disks, vm, c);
	for (size_t i = 0; i < op->disks.n && op->id[0]; i++)
		op->disks.disk[i].id_wanted = op->id;
	if (guest) {
		op->q = vm->mon.qmp;
		op->running = vm->st.state == VM_RUNNING;
		snapshot_live(op);
	} else {
		snapshot_file(op);
	}
}

void snapshot_run(
	enum snapshot_verb verb, struct vm *vm, const struct snapshot_asked *a, struct job *j)
{
	struct snapshot_op *op = xcalloc(1, sizeof *op);

	op->verb = verb;
	op->disks_only = a->disks_only;
	op->job = j;
	j->cancel = snapshot_cancel;
	j->cancel_data = op;
	snapshot_begin(op, vm, a->name, a->id ? a->id : "");
}

void snapshot_ask(enum snapshot_verb verb, struct vm *vm, const struct snapshot_asked *a,
	snapshot_listed_fn *done, void *data)
{
	struct snapshot_op *op = xcalloc(1, sizeof *op);

	op->verb = verb;
	op->disks_only = a->disks_only;
	op->listed = done;
	op->data = data;
	snapshot_begin(op, vm, a->name, a->id ? a->id : "");
}
