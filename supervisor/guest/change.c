/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/change.h"

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/guest/enter.h"
#include "supervisor/vm/record.h"
#include "supervisor/vm/vms.h"

static struct change *changes; /* those under way, of all VMs */

static void change_on_event(struct qmp_listener *l, const char *name, const json_t *data)
{
	struct change *c = container_of(l, struct change, listener);

	if (c->ops->event)
		c->ops->event(c, name, data);
}

static void change_on_gone(struct qmp_listener *l, const struct err *e)
{
	struct change *c = container_of(l, struct change, listener);

	c->lost = true;
	c->ops->fail(c, e);
}

void change_begin(struct change *c, const struct change_ops *ops, struct vm *vm, const char *device,
	struct job *j, change_fn *done, void *data)
{
	*c = (struct change){ .ops = ops,
		.q = vm->mon.qmp,
		.listener = { .event = change_on_event, .gone = change_on_gone },
		.daemon = vm->daemon,
		.next = changes,
		.job = j,
		.done = done,
		.data = data };
	changes = c;
	snprintf(c->device, sizeof c->device, "%s", device);
	snprintf(c->vm, sizeof c->vm, "%s", vm->name);
	qmp_listen(c->q, &c->listener);
}

bool change_under_way(const struct vm *vm, const char *device)
{
	for (const struct change *c = changes; c; c = c->next)
		if (streq(c->vm, vm->name) && streq(c->device, device))
			return true;
	return false;
}

struct vm *change_vm(const struct change *c)
{
	struct vm *vm = vms_find(c->daemon->vms, c->vm);

	return vm && !c->lost && !c->ended && vm->mon.qmp == c->q ? vm : NULL;
}

bool change_goes_on(struct change *c, const struct err *e)
{
	struct err lost = ERR_INIT;

	if (!e && change_vm(c))
		return true;
	c->lost |= !e || e->class == ERR_UNREACHABLE || e->class == ERR_TIMEOUT;
	err_set(&lost, ERR_UNREACHABLE, "its monitor was lost");
	c->ops->fail(c, e ? e : &lost);
	return false;
}

void change_waits(struct change *c)
{
	c->pending++;
}

void change_settled(struct change *c)
{
	struct change **at = &changes;
	change_fn *done = c->done;
	void *data = c->data;
	struct err e;

	c->pending--;
	if (!c->ended || c->pending)
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	err_copy(&e, &c->error);
	c->ops->free(c);
	if (done)
		done(data, e.number ? &e : NULL);
}

void change_end(struct change *c)
{
	c->ended = true;
	if (c->job)
		c->job->cancel = NULL;
	qmp_unlisten(c->q, &c->listener);
	qmp_forget(c->q, c);
	c->pending++; /* this call */
	change_settled(c);
}

static void change_on_left(void *data, const struct err *e)
{
	struct change *c = data;

	if (e)
		log_error(c->vm, "%s", e->text);
	change_settled(c);
}

void change_take_out(struct change *c, json_t *files)
{
	struct vm *vm = change_vm(c);

	if (!vm || !files) {
		json_decref(files);
		return;
	}
	change_waits(c);
	leave_begin(vm, files, change_on_left, c);
}

void change_send(struct change *c, const char *command, json_t *arguments)
{
	qmp_call(c->q, command, arguments, -1, VM_QMP_SECONDS, NULL, NULL);
}

/* --- the configuration --- */

static void change_place(const struct vm *vm, struct conf_vm *to, struct conf_disk *disk)
{
	struct conf_vm alone = { .disk = disk, .disks = 1, .name = to->name };

	conf_vm_place(&alone, &vm->daemon->conf);
	disk->dir = disk->dir ? arena_strdup(&to->arena, disk->dir) : NULL;
	arena_release(&alone.arena);
}

int change_compose(const struct vm *vm, const char *text, struct conf_vm *to, struct err *e)
{
	_cleanup_(free_ptr) char *header = xstrndup(text, strcspn(text, "\n"));
	const struct conf_source section = { .file = header, .text = text, .len = strlen(text) };

	if (conf_vm_copy_with(to, &vm->proc.conf, &section, e) < 0)
		return e->number;
	for (size_t i = vm->proc.conf.disks; i < to->disks; i++)
		change_place(vm, to, &to->disk[i]);
	return 0;
}

void change_settle(struct vm *vm, struct conf_vm *to)
{
	struct conf_vm was = vm->proc.conf;
	struct err e = ERR_INIT;

	vm->proc.conf = *to;
	*to = was;
	if (vm->proc.run_fd >= 0 && !vm->proc.conf_lost && vm_record_save_conf(vm, &e) < 0)
		log_error(vm->name, "%s", e.text);
	vm_record_write(vm);
}

/* --- the run record --- */

void change_note(struct vm *vm, const char *device, json_t *doc)
{
	if (doc && !vm->proc.changes)
		vm->proc.changes = json_object();
	if (doc)
		json_object_set_new(vm->proc.changes, device, doc);
	else if (vm->proc.changes)
		json_object_del(vm->proc.changes, device);
	vm_record_write(vm);
}

const json_t *change_noted(const struct vm *vm, const char *device)
{
	return json_object_get(vm->proc.changes, device);
}

const char *change_noted_any(const struct vm *vm, const char *kind)
{
	const char *device;
	json_t *doc;

	json_object_foreach (vm->proc.changes, device, doc)
		if (streq(json_string_value(json_object_get(doc, "kind")), kind))
			return device;
	return NULL;
}

int change_may_arrive(const struct vm *vm, struct err *e)
{
	const char *device;
	json_t *doc;

	json_object_foreach (vm->proc.changes, device, doc)
		if (json_is_true(json_object_get(doc, CHANGE_ARRIVES)))
			return err_set(e, ERR_CONFLICT, "'%s' is being attached", device);
	return 0;
}
