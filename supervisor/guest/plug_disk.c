/* SPDX-License-Identifier: MIT */
/* One disk: what may be plugged in, how it is described, and what is left of it afterwards. */
#include <limits.h>

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/guest/plug_private.h"
#include "supervisor/start/plan.h"
#include "supervisor/vm/bases.h"

struct conf_disk *plug_find(const struct conf_vm *c, const char *id)
{
	for (size_t i = 0; i < c->disks; i++)
		if (!c->disk[i].cdrom && streq(c->disk[i].id, id))
			return &c->disk[i];
	return NULL;
}

struct conf_disk plug_resolved(const struct vm *vm, const struct conf_disk *disk)
{
	struct conf_disk d = *disk;

	/* the guest's filter allows native AIO only if its command line asked for it */
	if (d.aio == CONF_AIO_AUTO)
		d.aio = CONF_AIO_THREADS;
	d.format = device_disk_format(disk, &vm->identity);
	return d;
}

json_t *plug_files(const struct vm *vm, const struct conf_disk *disk)
{
	_cleanup_(arena_release) struct arena a = ARENA_INIT;
	struct conf_disk d = plug_resolved(vm, disk);
	const struct conf_vm c = { .disk = &d, .disks = 1, .name = vm->name };
	const struct argv_context ctx = { .image_dir = vm->daemon->image_dir };

	return vm_plan_files(&c, &vm->identity, &ctx, &a);
}

json_t *plug_node(const struct vm *vm, const struct conf_disk *disk, struct err *e)
{
	const struct conf_disk d = plug_resolved(vm, disk);

	return device_disk_node(&d, &vm->identity, vm->daemon->image_dir, e);
}

/* --- before anything changes --- */

static bool plug_has_aio(const struct vm *vm, enum conf_aio aio)
{
	for (size_t i = 0; i < vm->proc.conf.disks; i++)
		if (vm->proc.conf.disk[i].aio == aio)
			return true;
	return false;
}

/* What can be done at a start only. */
static int plug_check_keys(const struct vm *vm, const struct conf_disk *d, struct err *e)
{
	const char *key = d->size	? "Size="
			  : d->base.n	? "Base="
			  : d->iothread ? "IOThread="
			  : d->volume	? "a volume of a store"
			  : (d->aio == CONF_AIO_NATIVE || d->aio == CONF_AIO_IO_URING) &&
					  !plug_has_aio(vm, d->aio)
				  ? "AIO="
				  : NULL;

	if (!key)
		return 0;
	err_set(e, ERR_INVALID_CONFIG, "disk '%s': %s needs a start of the guest", d->id, key);
	return err_hint(e, "write [Disk %s] in the VM's file: the next start has it", d->id);
}

static int plug_check_bus(const struct conf_disk *d, struct err *e)
{
	if (d->bus != CONF_BUS_SATA && d->bus != CONF_BUS_IDE)
		return 0;
	err_set(e, ERR_INVALID_CONFIG, "disk '%s': Bus=%s cannot be plugged while the guest runs",
		d->id, conf_bus_name(d->bus));
	return err_hint(e, "Bus=virtio and Bus=scsi can");
}

static int plug_check_store(const struct vm *vm, const struct conf_disk *d, struct err *e)
{
	const struct conf_daemon *conf = &vm->daemon->conf;
	const char *nearest;

	if (streq(d->store, CONF_STORE_DEFAULT) || conf_daemon_store(conf, d->store))
		return 0;
	nearest = conf_daemon_store_nearest(conf, d->store);
	err_set(e, ERR_NOT_FOUND, "disk '%s': no store '%s'", d->id, d->store);
	return nearest ? err_hint(e, "did you mean '%s'?", nearest)
		       : err_hint(e, "vmkeep store list lists them");
}

int plug_check(const struct vm *vm, const struct conf_vm *to, const char *id, struct err *e)
{
	const struct conf_disk *d = plug_find(to, id);

	if (!d)
		return err_set(e, ERR_INVALID_CONFIG, "there is no disk '%s'", id);
	if (plug_check_store(vm, d, e) < 0 || plug_check_keys(vm, d, e) < 0 ||
		plug_check_bus(d, e) < 0)
		return e->number;
	return vm_bases_check(vm, to, e);
}

int plug_check_detach(const struct vm *vm, const char *id, struct err *e)
{
	const struct conf_disk *d = plug_find(&vm->proc.conf, id);
	struct conf_vm to = CONF_VM_INIT;
	int r;

	if (!d) {
		err_set(e, ERR_NOT_FOUND, "it has no disk '%s'", id);
		return err_hint(e, "vmkeep info %s lists its disks", vm->name);
	}
	if (plug_check_bus(d, e) < 0)
		return e->number;
	r = plug_without(vm, id, &to, e);
	conf_vm_release(&to);
	return r;
}

/* --- its place --- */

json_t *plug_front(struct vm *vm, const struct conf_disk *disk, struct err *e)
{
	struct device_bus bus = { .id = &vm->identity };
	const struct conf_disk d = plug_resolved(vm, disk);

	device_board_of(vm->identity.machine, &bus.board);
	return device_disk(&d, &bus, 0, e);
}

int plug_check_place(const json_t *front, const json_t *devices, struct err *e)
{
	const char *bus = json_string_value(json_object_get(front, "bus"));
	const bool scsi = streq(bus, "scsi0.0"), port = strncmp(bus, "rp", 2) == 0;
	const char *parent = scsi ? "scsi0" : bus;
	const json_t *one;
	size_t i;

	if (!scsi && !port)
		return 0;
	json_array_foreach (devices, i, one)
		if (streq(json_string_value(json_object_get(one, "name")), parent))
			return 0;
	if (scsi) {
		err_set(e, ERR_NO_RESOURCES, "the guest was started without a SCSI controller");
		return err_hint(e, "Bus=virtio needs none");
	}
	err_set(e, ERR_NO_RESOURCES, "all PCI ports of the guest are in use");
	return err_hint(
		e, "a restart adds ports; a SCSI controller, if it has one, takes more disks");
}

static bool plug_was_added(const struct vm *vm, const char *device)
{
	return json_is_true(json_object_get(change_noted(vm, device), "added"));
}

void plug_note(struct vm *vm, const char *kind, const char *id)
{
	char device[80];

	device_disk_id(&(struct conf_disk){ .id = id }, device);
	change_note(vm, device,
		json_pack("{s:s, s:s, s:b}", "kind", kind, "disk", id, "added",
			plug_was_added(vm, device)));
}

void plug_free_slot(struct vm *vm, const char *id)
{
	char device[80], slot[96];

	device_disk_id(&(struct conf_disk){ .id = id }, device);
	if (!plug_was_added(vm, device) || (vm->file.have_conf && plug_find(&vm->file.conf, id)))
		return;
	identity_drop_slot(&vm->identity, device);
	snprintf(slot, sizeof slot, "scsi:%s", device);
	identity_drop_slot(&vm->identity, slot);
}

/* --- what is left of it --- */

/* It boots from nothing any more that is not there. */
static void plug_forget_order(struct conf_vm *c, const char *id)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->order.n; i++)
		if (!streq(c->order.item[i], id))
			c->order.item[kept++] = c->order.item[i];
	c->order.n = kept;
}

int plug_without(const struct vm *vm, const char *id, struct conf_vm *to, struct err *e)
{
	struct conf_vm less = CONF_VM_INIT;
	struct conf_disk *d;
	int r = conf_vm_copy(&less, &vm->proc.conf, e);

	d = r == 0 ? plug_find(&less, id) : NULL;
	if (d) {
		memmove(d, d + 1, (size_t)(less.disk + less.disks - (d + 1)) * sizeof *d);
		less.disks--;
		plug_forget_order(&less, id);
	}
	if (r == 0)
		r = conf_vm_copy(to, &less, e); /* is that a configuration? */
	conf_vm_release(&less);
	return r;
}

void plug_unlist(struct vm *vm, const char *id)
{
	struct conf_vm to = CONF_VM_INIT;
	struct err e = ERR_INIT;

	if (!plug_find(&vm->proc.conf, id))
		return;
	if (plug_without(vm, id, &to, &e) == 0)
		change_settle(vm, &to);
	else
		log_error(vm->name, "%s", e.text);
	conf_vm_release(&to);
}

static bool plug_is_at(const struct vm *vm, const struct conf_disk *d, const char *path)
{
	char buf[PATH_MAX];

	if (!d->path)
		return false;
	if (streq(device_disk_path(d, d->path, vm->daemon->image_dir, buf), path))
		return true;
	for (size_t i = 0; i < d->base.n; i++)
		if (streq(device_disk_path(d, d->base.item[i], vm->daemon->image_dir, buf), path))
			return true;
	return false;
}

/* By another disk: then it stays in the private root. */
static bool plug_is_used(const struct vm *vm, const struct conf_disk *disk, const char *path)
{
	for (size_t i = 0; i < vm->proc.conf.disks; i++)
		if (!streq(vm->proc.conf.disk[i].id, disk->id) &&
			plug_is_at(vm, &vm->proc.conf.disk[i], path))
			return true;
	return false;
}

static json_t *plug_files_to_leave(const struct vm *vm, const struct conf_disk *disk)
{
	json_t *files = plug_files(vm, disk);

	for (size_t i = json_array_size(files); i-- > 0;)
		if (plug_is_used(vm, disk,
			    json_string_value(json_object_get(json_array_get(files, i), "path"))))
			json_array_remove(files, i);
	return files;
}

void plug_clear(struct change *c, struct vm *vm, const struct conf_disk *disk)
{
	char node[DEVICE_NODE_MAX];

	device_node_name(disk, node);
	change_send(c, "blockdev-del", json_pack("{s:s}", "node-name", node));
	if (disk->iothread)
		change_send(c, "object-del", json_pack("{s:s+}", "id", "io-", disk->id));
	/* unknown if the disk was there at the start: then leave releases its locks */
	change_send(c, "closefd", json_pack("{s:s+}", "fdname", "lock-", node));
	change_take_out(c, plug_files_to_leave(vm, disk));
}
