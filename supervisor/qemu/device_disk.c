/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "base/text.h"
#include "conf/conf.h"
#include "supervisor/qemu/device.h"

enum { MEDIUM_LEVEL = 900 }; /* beyond any backing chain */
enum { AHCI_FIRST = 100, AHCI_END = 106, PIIX_FIRST = 106, PIIX_END = 110, SCSI_FIRST = 110 };

/* Cuts a text that does not fit in buf and appends a hash. */
static const char *device_disk_fit(const char *text, char *buf, size_t size)
{
	if (strlen(text) < size)
		return strcpy(buf, text);
	snprintf(buf, size, "%.*s-%08" PRIx32, (int)(size - sizeof "-01234567"), text,
		text_hash32(text, strlen(text)));
	return buf;
}

/* level 0 is the top of the chain */
static const char *device_disk_node_name(
	char kind, size_t level, const char *id, char buf[DEVICE_NODE_MAX])
{
	char number[8] = "", name[128];

	assert(level < 1000);
	if (level)
		snprintf(number, sizeof number, "%zu", level);
	snprintf(name, sizeof name, "%c%s-%s", kind, number, id);
	return device_disk_fit(name, buf, DEVICE_NODE_MAX);
}

const char *device_node_name(const struct conf_disk *d, char buf[DEVICE_NODE_MAX])
{
	return device_disk_node_name('d', 0, d->id, buf);
}

const char *device_disk_id(const struct conf_disk *d, char buf[80])
{
	snprintf(buf, 80, "%s-%s", d->cdrom ? "cd" : "disk", d->id);
	return buf;
}

/* Bus=, or the board's default. */
static enum conf_bus device_disk_bus(const struct conf_disk *d, enum device_board board)
{
	if (d->bus != CONF_BUS_AUTO)
		return d->bus;
	if (!d->cdrom)
		return CONF_BUS_VIRTIO;
	return board == DEVICE_PC ? CONF_BUS_IDE : CONF_BUS_SATA;
}

enum conf_format device_disk_format(const struct conf_disk *d, const struct identity *id)
{
	const struct identity_disk *known = identity_disk(id, d->id);

	return known ? known->format : d->format;
}

/* Nodes */

static json_t *device_disk_cache_of(const struct conf_disk *d)
{
	/* write-through is set on the front end: write-cache=off */
	return json_pack("{s:b, s:b}", "direct", conf_disk_is_direct(d), "no-flush",
		d->cache == CONF_CACHE_UNSAFE);
}

static const char *device_disk_aio_of(const struct conf_disk *d, const char *path)
{
	if (d->aio != CONF_AIO_AUTO)
		return conf_aio_name(d->aio);
	/* native needs O_DIRECT, and blocks QEMU's main loop while a sparse file allocates */
	return device_path_is_block(path) && conf_disk_is_direct(d) ? "native" : "threads";
}

/* No read-only here: the file follows its format node, also when a job reopens that for writing. A
 * read-only file is opened without locks, because anybody with read permission could lock it too;
 * vmkeep-jail holds the locks that writers must see. (Locking cannot be changed later: a file that
 * a job may write to one day must be opened with it.) */
static json_t *device_disk_file_node(
	const struct conf_disk *d, size_t level, const char *path, bool read_only)
{
	char name[DEVICE_NODE_MAX];

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "driver",
		device_path_is_block(path) ? "host_device" : "file", "node-name",
		device_disk_node_name('f', level, d->id, name), "filename", path, "aio",
		device_disk_aio_of(d, path), "locking", read_only ? "off" : "on", "discard",
		d->discard == CONF_DISCARD_UNMAP ? "unmap" : "ignore", "cache",
		device_disk_cache_of(d));
}

static json_t *device_disk_format_node(const struct conf_disk *d, size_t level, const char *path,
	enum conf_format format, bool read_only)
{
	char name[DEVICE_NODE_MAX];

	return json_pack("{s:s, s:s, s:b, s:s, s:o, s:o}", "driver", conf_format_name(format),
		"node-name", device_disk_node_name('d', level, d->id, name), "read-only", read_only,
		"discard", d->discard == CONF_DISCARD_UNMAP ? "unmap" : "ignore", "cache",
		device_disk_cache_of(d), "file", device_disk_file_node(d, level, path, read_only));
}

/* A format that is not known yet is guessed; vmkeep-jail, which reads the headers, corrects it. */
static enum conf_format device_disk_base_format(
	const struct conf_disk *d, const struct identity *id, size_t i, const char *image_dir)
{
	enum conf_format format = identity_base_format(id, d, i, image_dir);

	if (format != CONF_FORMAT_AUTO)
		return format;
	return i + 1 < d->base.n || identity_format_of(d->base.item[i]) == CONF_FORMAT_QCOW2
		       ? CONF_FORMAT_QCOW2
		       : CONF_FORMAT_RAW;
}

bool device_disk_has(const struct conf_disk *d, const char *image_dir, const char *path)
{
	char buf[PATH_MAX];
	bool has = d->path && streq(device_disk_path(d, d->path, image_dir, buf), path);

	for (size_t i = 0; d->path && !has && i < d->base.n; i++)
		has = streq(device_disk_path(d, d->base.item[i], image_dir, buf), path);
	return has;
}

static json_t *device_disk_chain(const struct conf_disk *d, size_t level, const struct identity *id,
	const char *image_dir, struct err *e)
{
	enum conf_format format = device_disk_format(d, id);
	char path[PATH_MAX];
	json_t *top, *node;

	device_disk_path(d, d->path, image_dir, path);
	node = top = device_disk_format_node(d, level, path, format, d->read_only || d->cdrom);
	if (d->detect_zeroes != CONF_ZEROES_OFF)
		json_object_set_new(top, "detect-zeroes",
			json_string(d->detect_zeroes == CONF_ZEROES_ON ? "on" : "unmap"));
	for (size_t i = 0; i < d->base.n; i++) {
		if (format == CONF_FORMAT_RAW) {
			json_decref(top);
			err_set(e, ERR_INVALID_CONFIG,
				"disk '%s': '%s' is raw and cannot have a base", d->id, path);
			return NULL;
		}
		format = device_disk_base_format(d, id, i, image_dir);
		device_disk_path(d, d->base.item[i], image_dir, path);
		json_object_set_new(node, "backing",
			device_disk_format_node(d, level + i + 1, path, format, true));
		node = json_object_get(node, "backing");
	}
	/* never follow the image header: the chain is exactly the configured one */
	if (format == CONF_FORMAT_QCOW2)
		json_object_set_new(node, "backing", json_null());
	return top;
}

json_t *device_disk_node(
	const struct conf_disk *d, const struct identity *id, const char *image_dir, struct err *e)
{
	return device_disk_chain(d, 0, id, image_dir, e);
}

const char *device_medium_name(const struct conf_disk *d, bool second, char buf[DEVICE_NODE_MAX])
{
	return device_disk_node_name('d', second ? MEDIUM_LEVEL : 0, d->id, buf);
}

json_t *device_medium_node(const struct conf_disk *d, bool second, const struct identity *id,
	const char *image_dir, struct err *e)
{
	return device_disk_chain(d, second ? MEDIUM_LEVEL : 0, id, image_dir, e);
}

void device_disk_resolve(struct conf_disk *d, const struct identity *id, const char *image_dir,
	enum device_board board, struct arena *a)
{
	char path[PATH_MAX], serial[21];

	d->bus = device_disk_bus(d, board);
	if (d->path) {
		d->format = device_disk_format(d, id);
		device_disk_path(d, d->path, image_dir, path);
		if (d->aio == CONF_AIO_AUTO)
			d->aio = streq(device_disk_aio_of(d, path), "native") ? CONF_AIO_NATIVE
									      : CONF_AIO_THREADS;
	}
	if (d->cache == CONF_CACHE_AUTO)
		d->cache = CONF_CACHE_NONE;
	if (!d->serial)
		d->serial = arena_strdup(a, device_disk_fit(d->id, serial, sizeof serial));
}

json_t *device_flash_node(unsigned n, const char *path, enum conf_format format, bool write)
{
	char name[16], file[16];

	snprintf(name, sizeof name, "pflash%u", n);
	snprintf(file, sizeof file, "pflash%u-f", n);
	return json_pack("{s:s, s:s, s:b, s:{s:s, s:s, s:s, s:s}}", "driver",
		conf_format_name(format), "node-name", name, "read-only", !write, "file", "driver",
		"file", "node-name", file, "filename", path, "locking", write ? "auto" : "off");
}

json_t *device_disk_iothread(const struct conf_disk *d)
{
	if (!d->iothread)
		return NULL;
	return json_pack("{s:s, s:s+}", "qom-type", "iothread", "id", "io-", d->id);
}

/* Front ends */

static void device_disk_set_errors(json_t *dev, const struct conf_disk *d)
{
	/* clang-format off */
	static const struct {
		const char *write, *read;
	} policy[] = {
		[CONF_ON_ERROR_ENOSPC] = {"enospc",  "report"},
		[CONF_ON_ERROR_STOP] = { "stop",	 "stop"	},
		[CONF_ON_ERROR_REPORT] = { "report", "report"},
		[CONF_ON_ERROR_IGNORE] = { "ignore", "ignore"},
	};
	/* clang-format on */
	_Static_assert(ARRAY_SIZE(policy) == CONF_ON_ERRORS, "an OnError= has no policy");

	json_object_set_new(dev, "werror", json_string(policy[d->on_error].write));
	json_object_set_new(dev, "rerror", json_string(policy[d->on_error].read));
}

/* The slot of a disk that is not a PCI device; each bus has its own. */
static int device_disk_unit(const struct conf_disk *d, struct device_bus *bus, const char *kind,
	unsigned first, unsigned end, struct err *e)
{
	char id[80], name[96];
	unsigned slot;

	snprintf(name, sizeof name, "%s:%s", kind, device_disk_id(d, id));
	slot = identity_slot(bus->id, name, first, end);
	if (slot >= first && slot < end)
		return (int)(slot - first);
	err_set(e, ERR_NO_RESOURCES, "disk '%s': all %u slots of the %s bus are in use", d->id,
		end - first, kind);
	return err_hint(e, "use Bus=scsi or Bus=virtio for some disks");
}

static json_t *device_disk_virtio(
	json_t *dev /* stolen */, const struct conf_disk *d, struct device_bus *bus, struct err *e)
{
	char id[80];

	json_object_set_new(dev, "driver", json_string("virtio-blk-pci"));
	if (d->iothread)
		json_object_set_new(dev, "iothread", json_pack("s+", "io-", d->id));
	return device_place(dev, bus, device_disk_id(d, id), true, e);
}

static json_t *device_disk_on_unit(
	json_t *dev /* stolen */, const struct conf_disk *d, struct device_bus *bus, struct err *e)
{
	enum conf_bus kind = device_disk_bus(d, bus->board);
	const char *name = conf_bus_name(kind);
	char where[16];
	int n = kind == CONF_BUS_SCSI
			? device_disk_unit(d, bus, name, SCSI_FIRST, IDENTITY_SLOTS_MAX, e)
		: kind == CONF_BUS_SATA ? device_disk_unit(d, bus, name, AHCI_FIRST, AHCI_END, e)
					: device_disk_unit(d, bus, name, PIIX_FIRST, PIIX_END, e);

	if (n < 0) {
		json_decref(dev);
		return NULL;
	}
	if (kind == CONF_BUS_SCSI) {
		snprintf(where, sizeof where, "scsi0.0");
		json_object_set_new(dev, "scsi-id", json_integer(n));
		json_object_set_new(dev, "lun", json_integer(0));
	} else if (kind == CONF_BUS_SATA) {
		snprintf(where, sizeof where, "ide.%d", n);
		json_object_set_new(dev, "unit", json_integer(0));
	} else {
		snprintf(where, sizeof where, "ide.%d", n / 2);
		json_object_set_new(dev, "unit", json_integer(n % 2));
	}
	json_object_set_new(dev, "driver",
		json_string(kind == CONF_BUS_SCSI ? d->cdrom ? "scsi-cd" : "scsi-hd"
			    : d->cdrom		  ? "ide-cd"
						  : "ide-hd"));
	json_object_set_new(dev, "bus", json_string(where));
	return dev;
}

/* Rejects what QEMU would refuse with a message that names no key of ours. */
static int device_disk_check_bus(const struct conf_disk *d, enum conf_bus bus, struct err *e)
{
	if (d->iothread && bus != CONF_BUS_VIRTIO)
		return err_set(
			e, ERR_INVALID_CONFIG, "disk '%s': IOThread= needs Bus=virtio", d->id);
	if (!d->cdrom && d->read_only && (bus == CONF_BUS_SATA || bus == CONF_BUS_IDE))
		return err_set(e, ERR_INVALID_CONFIG,
			"disk '%s': ReadOnly=yes needs Bus=virtio or scsi", d->id);
	return 0;
}

json_t *device_disk(
	const struct conf_disk *d, struct device_bus *bus, unsigned bootindex, struct err *e)
{
	enum conf_bus kind = device_disk_bus(d, bus->board);
	char id[80], node[DEVICE_NODE_MAX], serial[21]; /* virtio-blk takes 20 bytes */
	json_t *dev;

	if (device_disk_check_bus(d, kind, e) < 0)
		return NULL;
	/* driver first, for readability */
	dev = json_pack("{s:s, s:s}", "driver", "", "id", device_disk_id(d, id));
	if (d->path)
		json_object_set_new(dev, "drive", json_string(device_node_name(d, node)));
	dev = kind == CONF_BUS_VIRTIO ? device_disk_virtio(dev, d, bus, e)
				      : device_disk_on_unit(dev, d, bus, e);
	if (!dev)
		return NULL;
	if (bootindex)
		json_object_set_new(dev, "bootindex", json_integer((json_int_t)bootindex));
	json_object_set_new(dev, "serial",
		json_string(device_disk_fit(d->serial ? d->serial : d->id, serial, sizeof serial)));
	if (d->cdrom)
		return dev;
	json_object_set_new(dev, "write-cache",
		json_string(d->cache == CONF_CACHE_WRITETHROUGH || d->cache == CONF_CACHE_DIRECTSYNC
				    ? "off"
				    : "on"));
	device_disk_set_errors(dev, d);
	return dev;
}

json_t *device_seed_node(const char *path)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:s}", "driver", "file", "node-name", "seed",
		"filename", path, "read-only", 1, "locking", "off");
}

json_t *device_seed(struct device_bus *bus, struct err *e)
{
	return device_place(json_pack("{s:s, s:s, s:s, s:s}", "driver", "virtio-blk-pci", "id",
				    "seed0", "drive", "seed", "serial", "cidata"),
		bus, "seed0", true, e);
}
