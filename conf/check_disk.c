/* SPDX-License-Identifier: MIT */
#include "conf/check_private.h"

#include <strings.h>

#include "conf/word.h"

#define DISK_PROBLEM(k, d, key, ...)                                                           \
	conf_problem((k)->problems,                                                            \
		conf_check_place(k, (d)->cdrom ? "CDROM" : "Disk", (d)->id, key, &(d)->place), \
		key, __VA_ARGS__)

bool conf_disk_is_direct(const struct conf_disk *d)
{
	return d->cache == CONF_CACHE_AUTO || d->cache == CONF_CACHE_NONE ||
	       d->cache == CONF_CACHE_DIRECTSYNC;
}

enum conf_format conf_disk_format(const struct conf_disk *d)
{
	static const struct {
		const char *suffix;
		enum conf_format format;
	} suffixes[] = {
		{ ".qcow2", CONF_FORMAT_QCOW2 },
		{ ".raw", CONF_FORMAT_RAW },
		{ ".img", CONF_FORMAT_RAW },
		{ ".iso", CONF_FORMAT_RAW },
	};
	size_t len;

	if (d->format != CONF_FORMAT_AUTO || !d->path)
		return d->format;
	if (d->volume || strncmp(d->path, "/dev/", 5) == 0)
		return CONF_FORMAT_RAW;
	len = strlen(d->path);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		size_t n = strlen(suffixes[i].suffix);

		if (len > n && strcasecmp(d->path + len - n, suffixes[i].suffix) == 0)
			return suffixes[i].format;
	}
	return CONF_FORMAT_AUTO;
}

static void check_bus(const struct check *k, const struct conf_disk *d)
{
	bool pc = conf_word_pc(k->c->machine);

	if (CHECK_REFUSED(k, NULL, "VM.Machine"))
		return;
	if (d->bus == CONF_BUS_IDE && !pc)
		DISK_PROBLEM(k, d, "Bus", "ide needs Machine=pc; q35 has sata");
	if (d->bus == CONF_BUS_SATA && pc)
		DISK_PROBLEM(k, d, "Bus", "sata needs Machine=q35; pc has ide");
}

/* Endings of what no guest can use as it is. */
static void check_unknown_format(const struct check *k, const struct conf_disk *d)
{
	static const char *const images[] = { ".vmdk", ".vdi", ".vhd", ".vhdx", ".qed", ".dmg" },
				 *const packed[] = { ".gz", ".xz", ".zst", ".bz2", ".zip", ".ova",
					 ".tar", ".7z" };
	const char *dot = strrchr(d->path, '.');
	int stem = dot ? (int)(dot - d->path) : 0;

	for (size_t i = 0; dot && i < ARRAY_SIZE(images); i++)
		if (strcasecmp(dot, images[i]) == 0) {
			DISK_PROBLEM(k, d, "Path",
				"%s images must be converted: qemu-img convert -O qcow2 %s %.*s.qcow2, and "
				"write Path=%.*s.qcow2",
				dot, d->path, stem, d->path, stem, d->path);
			return;
		}
	for (size_t i = 0; dot && i < ARRAY_SIZE(packed); i++)
		if (strcasecmp(dot, packed[i]) == 0) {
			DISK_PROBLEM(k, d, "Path",
				"%s files must be unpacked; then write Path= with the image in it",
				dot);
			return;
		}
	DISK_PROBLEM(k, d, "Path",
		"cannot tell the format from the name, add Format=qcow2 or Format=raw");
}

/* In a store, vmkeep removes what has such a name: the trash, and files that are not complete. */
static bool check_is_removed(const char *path)
{
	static const char *const names[] = { ".trash/", ".fetch-", ".vmkeep-" };

	for (const char *part = path; part; part = strchr(part, '/')) {
		part += *part == '/';
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (strncmp(part, names[i], strlen(names[i])) == 0)
				return true;
	}
	return false;
}

static void check_names(const struct check *k, const struct conf_disk *d)
{
	const char *path = d->path && check_is_removed(d->path) ? d->path : NULL, *base = NULL;

	for (size_t i = 0; i < d->base.n; i++)
		if (check_is_removed(d->base.item[i]))
			base = d->base.item[i];
	if (path || base)
		DISK_PROBLEM(k, d, path ? "Path" : "Base",
			"files of such names are removed without asking: move '%s'",
			path ? path : base);
}

static void check_file(const struct check *k, const struct conf_disk *d)
{
	enum conf_format format = conf_disk_format(d);

	check_names(k, d);

	/* without vmkeep.conf, another store may have volumes */
	if (d->path && format == CONF_FORMAT_AUTO &&
		(k->daemon || streq(d->store, CONF_STORE_DEFAULT)))
		check_unknown_format(k, d);
	if (d->size && d->path && *d->path == '/')
		DISK_PROBLEM(
			k, d, "Size", "images are created in a store only: give a relative Path=");
	if (d->base.n && format == CONF_FORMAT_RAW)
		DISK_PROBLEM(k, d, "Base", "a raw image has none");
	if (!d->path || d->read_only)
		return;
	for (const struct conf_disk *o = k->c->disk; o < d; o++)
		if (streq(o->path, d->path) && streq(o->store, d->store)) {
			DISK_PROBLEM(k, d, "Path", "disk '%s' has the same", o->id);
			return;
		}
}

/* The name reaches a program that runs as root. */
static void check_volume(const struct check *k, const struct conf_disk *d)
{
	if (!conf_word_volume(d->path))
		DISK_PROBLEM(k, d, "Path",
			"store '%s' has volumes: name one, of letters, digits, '.', '_' and '-'",
			d->store);
	if (d->format != CONF_FORMAT_AUTO && d->format != CONF_FORMAT_RAW)
		DISK_PROBLEM(k, d, "Format", "volumes of store '%s' are raw", d->store);
}

static void check_store(const struct check *k, const struct conf_disk *d)
{
	const struct conf_store *s = k->daemon ? conf_daemon_store(k->daemon, d->store) : NULL;
	const char *nearest;

	if (streq(d->store, CONF_STORE_DEFAULT))
		return;
	if (d->path && *d->path == '/') {
		DISK_PROBLEM(k, d, "Store", "an absolute Path= is in no store; write only one");
	} else if (k->daemon && !s) {
		nearest = conf_daemon_store_nearest(k->daemon, d->store);
		DISK_PROBLEM(k, d, "Store",
			nearest ? "vmkeep.conf has no store '%s', did you mean '%s'?"
				: "vmkeep.conf has no store '%s'",
			d->store, nearest);
	} else if (s && s->read_only && d->size) {
		DISK_PROBLEM(k, d, "Size", "store '%s' is read-only: no image is created in it",
			d->store);
	} else if (s && s->read_only && !d->read_only) {
		DISK_PROBLEM(
			k, d, "Store", "store '%s' is read-only: write ReadOnly=yes", d->store);
	}
}

static void check_disk(const struct check *k, const struct conf_disk *d)
{
	if (k->whole && !d->cdrom && !d->path)
		DISK_PROBLEM(k, d, "Path", "missing; give Path=, or Size= for a new image");
	if (d->aio == CONF_AIO_NATIVE && !conf_disk_is_direct(d))
		DISK_PROBLEM(k, d, "AIO", "native needs Cache=none or directsync");
	if (d->detect_zeroes == CONF_ZEROES_UNMAP && d->discard == CONF_DISCARD_IGNORE)
		DISK_PROBLEM(k, d, "DetectZeroes", "unmap needs Discard=unmap");
	check_bus(k, d);
	check_store(k, d);
	if (d->volume)
		check_volume(k, d);
	check_file(k, d);
}

/* q35's AHCI has six ports, pc's IDE four; CDs are attached there unless on scsi. */
static void check_ports(const struct check *k)
{
	bool pc = conf_word_pc(k->c->machine);
	size_t n = 0, ports = pc ? 4 : 6;

	for (size_t i = 0; i < k->c->disks; i++) {
		const struct conf_disk *d = &k->c->disk[i];

		if (d->bus == CONF_BUS_IDE || d->bus == CONF_BUS_SATA ||
			(d->cdrom && d->bus == CONF_BUS_AUTO))
			n++;
		else
			continue;
		if (n == ports + 1)
			DISK_PROBLEM(k, d, "Bus", "%s has %zu ports, use scsi", pc ? "ide" : "sata",
				ports);
	}
}

void conf_check_disks(const struct check *k)
{
	for (size_t i = 0; i < k->c->disks; i++)
		if (!CHECK_REFUSED(k, k->c->disk[i].id, "Disk.", "CDROM."))
			check_disk(k, &k->c->disk[i]);
	if (!CHECK_REFUSED(k, NULL, "VM.Machine"))
		check_ports(k);
}
