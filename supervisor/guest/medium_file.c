/* SPDX-License-Identifier: MIT */
/* The files behind a drive: their plan for vmkeep-jail, their locks, and what the records say of them. */
#include <limits.h>

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/guest/medium_private.h"
#include "supervisor/start/plan.h"
#include "supervisor/vm/record.h"

static const struct identity no_identity; /* a drive has no format of its own */

void medium_copy(struct conf_disk *to, const struct conf_disk *from, struct arena *a)
{
	*to = *from;
	to->id = arena_strdup(a, from->id);
	to->path = from->path ? arena_strdup(a, from->path) : NULL;
	to->store = from->store ? arena_strdup(a, from->store) : NULL;
	to->dir = from->dir ? arena_strdup(a, from->dir) : NULL;
	to->serial = from->serial ? arena_strdup(a, from->serial) : NULL;
	to->place = (struct conf_place){ 0 };
	to->base = (struct conf_list){ 0 };
}

/* As QEMU gets it. */
static struct conf_disk medium_resolved(const struct medium *m)
{
	struct conf_disk d = m->disk;

	if (d.format == CONF_FORMAT_AUTO)
		d.format = conf_disk_format(&d);
	/* the guest's filter allows native AIO only if its command line asked for it */
	if (d.aio == CONF_AIO_AUTO)
		d.aio = CONF_AIO_THREADS;
	return d;
}

struct conf_disk *medium_drive(const struct vm *vm, const char *id)
{
	for (size_t i = 0; i < vm->proc.conf.disks; i++)
		if (vm->proc.conf.disk[i].cdrom && streq(vm->proc.conf.disk[i].id, id))
			return &vm->proc.conf.disk[i];
	return NULL;
}

json_t *medium_files(const struct vm *vm, const struct medium *m)
{
	_cleanup_(arena_release) struct arena a = ARENA_INIT;
	struct conf_disk disk = medium_resolved(m);
	const struct conf_vm c = { .disk = &disk, .disks = 1 };
	const struct argv_context ctx = { .image_dir = vm->daemon->image_dir };

	return disk.path ? vm_plan_files(&c, &no_identity, &ctx, &a) : NULL;
}

json_t *medium_node(const struct vm *vm, const struct medium *m, struct err *e)
{
	char first[DEVICE_NODE_MAX];
	const bool second = !streq(m->node, device_medium_name(&m->disk, false, first));
	const struct conf_disk disk = medium_resolved(m);

	return device_medium_node(&disk, second, &no_identity, vm->daemon->image_dir, e);
}

static bool medium_is_used(const struct vm *vm, const struct medium *m, const struct medium *keep)
{
	char buf[PATH_MAX];
	const char *path = device_disk_path(&m->disk, m->disk.path, vm->daemon->image_dir, buf);

	if (device_disk_has(&keep->disk, vm->daemon->image_dir, path))
		return true;
	for (size_t i = 0; i < vm->proc.conf.disks; i++) {
		const struct conf_disk *d = &vm->proc.conf.disk[i];

		if (!(d->cdrom && streq(d->id, m->disk.id)) &&
			device_disk_has(d, vm->daemon->image_dir, path))
			return true;
	}
	return false;
}

void medium_discard(struct medium_op *op, const struct medium *m, const struct medium *keep)
{
	struct vm *vm = change_vm(&op->change);

	if (!vm || !m->disk.path)
		return;
	change_send(&op->change, "blockdev-del", json_pack("{s:s}", "node-name", m->node));
	/* unknown if the medium was there at the start: then leave_begin() releases its locks */
	change_send(&op->change, "closefd", json_pack("{s:s+}", "fdname", "lock-", m->node));
	if (!medium_is_used(vm, m, keep))
		change_take_out(&op->change, medium_files(vm, m));
}

/* --- records --- */

static json_t *medium_json(const struct medium *m)
{
	return json_pack("{s:s, s:s?, s:s?, s:s}", "node", m->node, "path", m->disk.path, "store",
		m->disk.store, "format", conf_format_name(m->disk.format));
}

const char medium_kind[] = "medium";

void medium_note(struct vm *vm, const struct medium_op *op)
{
	change_note(vm, op->drive,
		json_pack("{s:s, s:s, s:o, s:o}", "kind", medium_kind, "drive", op->to.disk.id,
			"from", medium_json(&op->from), "to", medium_json(&op->to)));
}

void medium_settle(struct vm *vm, const struct medium *m)
{
	struct conf_disk *d = medium_drive(vm, m->disk.id);
	struct err e = ERR_INIT;

	if (!d)
		return;
	d->path = m->disk.path ? arena_strdup(&vm->proc.conf.arena, m->disk.path) : NULL;
	d->store = m->disk.store ? arena_strdup(&vm->proc.conf.arena, m->disk.store) : NULL;
	d->dir = m->disk.dir ? arena_strdup(&vm->proc.conf.arena, m->disk.dir) : NULL;
	d->dir_mounted = m->disk.dir_mounted;
	d->volume = CONF_VOLUME_NONE;
	d->format = m->disk.format;
	if (vm->proc.run_fd >= 0 && !vm->proc.conf_lost && vm_record_save_conf(vm, &e) < 0)
		log_error(vm->name, "%s", e.text);
	vm_record_write(vm);
}

static void medium_recall_one(
	struct medium_op *op, const struct vm *vm, struct medium *m, const json_t *doc)
{
	struct conf_vm c = { .disk = &m->disk, .disks = 1, .name = vm->name };
	const char *path = json_string_value(json_object_get(doc, "path")),
		   *store = json_string_value(json_object_get(doc, "store")),
		   *format = json_string_value(json_object_get(doc, "format")),
		   *node = json_string_value(json_object_get(doc, "node"));

	m->disk.path = path ? arena_strdup(&op->arena, path) : NULL;
	m->disk.store = store ? arena_strdup(&op->arena, store) : NULL;
	for (enum conf_format f = 0; f < CONF_FORMATS; f++)
		if (streq(conf_format_name(f), format))
			m->disk.format = f;
	snprintf(m->node, sizeof m->node, "%s", node ? node : "");
	conf_vm_place(&c, &op->change.daemon->conf);
	m->disk.dir = m->disk.dir ? arena_strdup(&op->arena, m->disk.dir) : NULL;
	m->disk.volume = CONF_VOLUME_NONE;
	arena_release(&c.arena);
}

bool medium_recall(struct medium_op *op, const struct vm *vm, const char *drive)
{
	const json_t *doc = change_noted(vm, drive);
	const char *id = json_string_value(json_object_get(doc, "drive"));
	const struct conf_disk *d = id ? medium_drive(vm, id) : NULL;

	if (!d)
		return false;
	device_disk_id(d, op->drive);
	medium_copy(&op->from.disk, d, &op->arena);
	op->to.disk = op->from.disk;
	medium_recall_one(op, vm, &op->from, json_object_get(doc, "from"));
	medium_recall_one(op, vm, &op->to, json_object_get(doc, "to"));
	return op->from.node[0] && op->to.node[0];
}
