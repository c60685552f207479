/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/plug_private.h"

#include <limits.h>

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/guest/parts.h"
#include "supervisor/guest/unplug.h"
#include "supervisor/start/plan.h"
#include "supervisor/start/start.h"
#include "supervisor/vm/vms.h"

static const double PLUG_PAUSE = 1; /* seconds */

/* --- the end --- */

static void plug_free(struct change *c)
{
	struct plug *p = container_of(c, struct plug, change);
	struct vm *vm = vms_find(c->daemon->vms, c->vm);

	if (p->over && vm && vm->mon.qmp == c->q)
		change_note(vm, p->change.device, NULL);
	conf_vm_release(&p->to);
	json_decref(p->front);
	free(p->text);
	free(p);
}

static void plug_on_dropped(void *data)
{
	struct plug *p = data;

	change_settled(&p->change);
}

static void plug_end(struct plug *p)
{
	struct enter *x = p->enter;

	loop_timer_stop(&p->timer);
	p->enter = NULL;
	if (x) {
		change_waits(&p->change);
		enter_drop(x, plug_on_dropped, p);
	}
	change_end(&p->change);
}

/* In reverse. */
static void plug_undo(struct plug *p, struct vm *vm)
{
	const struct conf_disk *disk = plug_find(&p->to, p->id);
	char node[DEVICE_NODE_MAX];

	if (p->listed)
		plug_unlist(vm, p->id);
	if (p->entered) {
		plug_clear(&p->change, vm, disk);
	} else if (p->locked) {
		change_send(&p->change, "closefd",
			json_pack("{s:s+}", "fdname", "lock-", device_node_name(disk, node)));
	}
	if (p->placed)
		plug_free_slot(vm, p->id);
	if (p->placed && !p->known)
		identity_drop_disk(&vm->identity, p->id);
	p->over = p->noted;
}

/* Of a QEMU that does not answer it is undone later: plug_joined(). */
static void plug_fail(struct change *c, const struct err *e)
{
	struct plug *p = container_of(c, struct plug, change);
	struct vm *vm = change_vm(c);

	err_copy(&c->error, e);
	if (e->class == ERR_UNREACHABLE)
		err_set(&c->error, ERR_QEMU_FAILED, "its QEMU went away in the meantime");
	if (vm)
		plug_undo(p, vm);
	plug_end(p);
}

static const struct change_ops plug_ops = { .fail = plug_fail, .free = plug_free };

static void plug_gone(void *data);

static struct plug *plug_new(
	struct vm *vm, const char *id, struct job *j, change_fn *done, void *data)
{
	struct plug *p = xcalloc(1, sizeof *p);
	char device[80];

	p->to = (struct conf_vm)CONF_VM_INIT;
	snprintf(p->id, sizeof p->id, "%s", id);
	device_disk_id(&(struct conf_disk){ .id = p->id }, device);
	change_begin(&p->change, &plug_ops, vm, device, j, done, data);
	loop_timer_init(&p->timer, vm->daemon->loop.ev, plug_gone, p);
	return p;
}

/* --- attach --- */

static void plug_on_plugged(void *data, const json_t *result, const struct err *e)
{
	struct plug *p = data;

	if (!change_goes_on(&p->change, e))
		return;
	log_info(p->change.vm, "disk '%s' is attached: %s", p->id, plug_find(&p->to, p->id)->path);
	plug_note(change_vm(&p->change), PLUG_ATTACHED, p->id);
	plug_end(p);
}

/* It is listed before the guest has it: a snapshot that begins now refuses rather than leaving it out. */
static int plug_list(struct plug *p, struct vm *vm, struct err *e)
{
	struct conf_vm to = CONF_VM_INIT;
	int r = plug_find(&vm->proc.conf, p->id) ? 0 : change_compose(vm, p->text, &to, e);

	if (r == 0 && to.name)
		change_settle(vm, &to);
	conf_vm_release(&to);
	p->listed = r == 0;
	return r;
}

static void plug_on_added(void *data, const json_t *result, const struct err *e)
{
	struct plug *p = data;
	struct enter *x = p->enter;
	struct err own = ERR_INIT;

	p->added = !e;
	if (!change_goes_on(&p->change, e))
		return;
	p->enter = NULL;
	p->entered = true;
	enter_keep(x);
	if (plug_list(p, change_vm(&p->change), &own) < 0) {
		plug_fail(&p->change, &own);
		return;
	}
	qmp_call(p->change.q, "device_add", json_incref(p->front), -1, VM_QMP_SECONDS,
		plug_on_plugged, p);
}

static void plug_saw(struct vm *vm, const struct conf_disk *d, const json_t *kept)
{
	char path[PATH_MAX];

	if (kept)
		identity_saw(&vm->identity,
			device_disk_path(d, d->path, vm->daemon->image_dir, path),
			json_integer_value(json_object_get(kept, "seen")));
}

static void plug_on_entered(void *data, struct enter *x, const int *lock, const struct err *e)
{
	struct plug *p = data;
	const struct conf_disk *disk = plug_find(&p->to, p->id);
	struct err own = ERR_INIT;
	char node[DEVICE_NODE_MAX];
	struct vm *vm;
	json_t *chain;

	p->enter = x;
	if (e) {
		vm = change_vm(&p->change);
		if (vm)
			vm->identity.dirty = true;
		plug_fail(&p->change, e);
		return;
	}
	if (!change_goes_on(&p->change, NULL))
		return;
	vm = change_vm(&p->change);
	plug_saw(vm, disk, enter_kept(x));
	chain = plug_node(vm, disk, &own);
	if (!chain) {
		plug_fail(&p->change, &own);
		return;
	}
	p->locked = lock[0] >= 0;
	if (p->locked)
		qmp_call(p->change.q, "getfd",
			json_pack("{s:s+}", "fdname", "lock-", device_node_name(disk, node)),
			lock[0], VM_QMP_SECONDS, NULL, NULL);
	qmp_call(p->change.q, "blockdev-add", chain, -1, VM_QMP_SECONDS, plug_on_added, p);
}

static void plug_enter(struct plug *p, struct vm *vm)
{
	const struct conf_disk *disk = plug_find(&p->to, p->id);
	json_t *identity = vm_plan_identity(vm, &p->to);
	struct err e = ERR_INIT;

	if (p->change.job)
		job_progress(p->change.job, 0, 0, "opens the file");
	vm->identity.dirty = false; /* later changes are not in the plan */
	p->enter = enter_begin(vm, plug_files(vm, disk), identity, plug_on_entered, p, &e);
	if (p->enter)
		return;
	vm->identity.dirty = true;
	plug_fail(&p->change, &e);
}

static void plug_on_devices(void *data, const json_t *result, const struct err *e)
{
	struct plug *p = data;
	struct err own = ERR_INIT;

	if (!change_goes_on(&p->change, e))
		return;
	if (unplug_has(result, p->change.device))
		err_set(&own, ERR_CONFLICT, "QEMU has a device '%s' already", p->change.device);
	else
		plug_check_place(p->front, result, &own);
	if (own.number)
		plug_fail(&p->change, &own);
	else
		plug_enter(p, change_vm(&p->change));
}

static const char *plug_kind(const struct vm *vm, const char *device)
{
	return json_string_value(json_object_get(change_noted(vm, device), "kind"));
}

static int plug_may(const struct vm *vm, const char *id, struct err *e)
{
	char device[80];

	device_disk_id(&(struct conf_disk){ .id = id }, device);
	if (vm->busy)
		return err_set(e, ERR_CONFLICT, "%s is under way", vm->busy);
	if (!vm->mon.qmp || !qmp_is_ready(vm->mon.qmp))
		return err_set(e, ERR_TIMEOUT, "QEMU's monitor does not answer: nothing was done");
	if (vm->proc.conf_lost)
		return err_set(e, ERR_WRONG_STATE,
			"its run record was lost, so the disks that it runs with are not known");
	if (plug_kind(vm, device) && !streq(plug_kind(vm, device), PLUG_LEAVING) &&
		!streq(plug_kind(vm, device), PLUG_ATTACHED))
		return err_set(e, ERR_CONFLICT, "another change of this disk is under way");
	return 0;
}

/* Everything that is known without QEMU. */
static int plug_prepare(struct plug *p, struct vm *vm, struct err *e)
{
	const struct conf_disk *disk;

	if (change_may_arrive(vm, e) < 0)
		return e->number;
	if (change_noted(vm, p->change.device) || plug_find(&vm->proc.conf, p->id))
		return err_set(e, ERR_CONFLICT, "it has a disk '%s' already", p->id);
	p->known = identity_disk(&vm->identity, p->id) != NULL;
	if (change_compose(vm, p->text, &p->to, e) < 0 || plug_check(vm, &p->to, p->id, e) < 0 ||
		vm_complete_identity(vm, &p->to, e) < 0)
		return e->number;
	disk = plug_find(&p->to, p->id);
	p->front = plug_front(vm, disk, e);
	if (!p->front)
		return e->number;
	p->placed = p->noted = true;
	change_note(vm, p->change.device,
		json_pack("{s:s, s:s, s:s, s:b, s:b}", "kind", PLUG_ATTACH, "disk", p->id, "text",
			p->text, "added", 1, CHANGE_ARRIVES, 1));
	return 0;
}

void plug_attach(
	struct vm *vm, const struct plug_disk *d, struct job *j, change_fn *done, void *data)
{
	struct err e = ERR_INIT;
	struct plug *p;

	if (plug_may(vm, d->id, &e) < 0) {
		done(data, &e);
		return;
	}
	p = plug_new(vm, d->id, j, done, data);
	p->text = xstrdup(d->text);
	if (plug_prepare(p, vm, &e) < 0)
		plug_fail(&p->change, &e);
	else
		unplug_look(p->change.q, plug_on_devices, p);
}

/* --- detach --- */

static void plug_gone(void *data)
{
	struct plug *p = data;
	struct vm *vm = change_vm(&p->change);
	const struct conf_disk *disk;

	if (!vm) {
		plug_end(p);
		return;
	}
	if (vm->busy) { /* a snapshot may be using its nodes */
		loop_timer_start(&p->timer, PLUG_PAUSE);
		return;
	}
	disk = plug_find(&vm->proc.conf, p->id);
	if (!disk)
		disk = plug_find(&p->to, p->id);
	if (disk)
		plug_clear(&p->change, vm, disk);
	plug_unlist(vm, p->id);
	plug_free_slot(vm, p->id);
	p->over = true;
	log_info(p->change.vm, "disk '%s' is gone", p->id);
	plug_end(p);
}

static void plug_on_released(void *data, enum unplug_end end, const struct err *e)
{
	struct plug *p = data;
	const bool ended = p->change.ended;
	struct vm *vm = change_vm(&p->change);

	change_settled(&p->change);
	if (ended)
		return;
	if (end == UNPLUG_GONE) {
		plug_gone(p);
		return;
	}
	if (vm)
		plug_note(vm, PLUG_LEAVING, p->id);
	if (e)
		err_copy(&p->change.error, e);
	plug_end(p);
}

void plug_detach(
	struct vm *vm, const char *id, double timeout, struct job *j, change_fn *done, void *data)
{
	struct err e = ERR_INIT;
	struct plug *p;
	char what[80];

	if (plug_may(vm, id, &e) < 0 || plug_check_detach(vm, id, &e) < 0) {
		done(data, &e);
		return;
	}
	p = plug_new(vm, id, j, done, data);
	plug_note(vm, PLUG_DETACH, id);
	snprintf(what, sizeof what, "disk '%s'", id);
	change_waits(&p->change);
	unplug_begin(vm, p->change.device, what, timeout, j, plug_on_released, p);
}

/* --- what an earlier daemon left, and what goes later --- */

static void plug_on_recalled(void *data, const json_t *result, const struct err *e)
{
	struct plug *p = data;
	struct err own = ERR_INIT;

	if (!change_goes_on(&p->change, e))
		return;
	if (!unplug_has(result, p->change.device)) {
		plug_gone(p);
	} else if (p->text && plug_list(p, change_vm(&p->change), &own) < 0) {
		log_error(p->change.vm, "%s", own.text);
		plug_end(p);
	} else {
		plug_note(change_vm(&p->change), p->text ? PLUG_ATTACHED : PLUG_LEAVING, p->id);
		plug_end(p);
	}
}

static void plug_recall(struct vm *vm, const json_t *doc)
{
	const char *text = json_string_value(json_object_get(doc, "text"));
	struct plug *p =
		plug_new(vm, json_string_value(json_object_get(doc, "disk")), NULL, NULL, NULL);
	struct err e = ERR_INIT;

	p->text = text ? xstrdup(text) : NULL;
	if (text && !plug_find(&vm->proc.conf, p->id) && change_compose(vm, text, &p->to, &e) < 0)
		log_error(vm->name, "%s", e.text);
	unplug_look(p->change.q, plug_on_recalled, p);
}

static bool plug_is_ours(const json_t *doc)
{
	return json_string_value(json_object_get(doc, "disk"));
}

static void plug_joined(struct vm *vm, void *state, bool fresh)
{
	json_auto_t *changes = fresh ? NULL : json_copy(vm->proc.changes);
	const char *device;
	json_t *doc;

	json_object_foreach (changes, device, doc)
		if (plug_is_ours(doc) && !streq(plug_kind(vm, device), PLUG_ATTACHED) &&
			!change_under_way(vm, device))
			plug_recall(vm, doc);
}

/* The guest has released it after all. */
static void plug_on_event(struct vm *vm, void *state, const char *name, const json_t *data)
{
	const char *device = unplug_gone(name, data);
	const json_t *doc = device ? change_noted(vm, device) : NULL;

	if (plug_is_ours(doc) && !change_under_way(vm, device))
		plug_gone(plug_new(
			vm, json_string_value(json_object_get(doc, "disk")), NULL, NULL, NULL));
}

/* What was added went with the process; what its file has stays where it is. */
static void plug_close(struct vm *vm, void **state, bool ended)
{
	const char *device;
	json_t *doc;

	json_object_foreach (ended ? vm->proc.changes : NULL, device, doc)
		if (plug_is_ours(doc))
			plug_free_slot(vm, json_string_value(json_object_get(doc, "disk")));
}

const struct vm_part plug_part = {
	.name = "plug",
	.close = plug_close,
	.joined = plug_joined,
	.event = plug_on_event,
};
