/* SPDX-License-Identifier: MIT */
#include "supervisor/qemu/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "conf/conf.h"
#include "supervisor/qemu/device.h"

enum { MAC_TRIES = 1000 };

struct identity_nic *identity_nic(const struct identity *id, const char *nic)
{
	for (size_t i = 0; i < id->nics; i++)
		if (streq(id->nic[i].id, nic))
			return &id->nic[i];
	return NULL;
}

struct identity_disk *identity_disk(const struct identity *id, const char *disk)
{
	for (size_t i = 0; i < id->disks; i++)
		if (streq(id->disk[i].id, disk))
			return &id->disk[i];
	return NULL;
}

struct identity_nic *identity_add_nic(struct identity *id, const char *nic)
{
	id->nic = xrealloc(id->nic, id->nics + 1, sizeof *id->nic);
	id->nic[id->nics] = (struct identity_nic){ .id = xstrdup(nic) };
	return &id->nic[id->nics++];
}

struct identity_disk *identity_add_disk(struct identity *id, const char *disk)
{
	id->disk = xrealloc(id->disk, id->disks + 1, sizeof *id->disk);
	id->disk[id->disks] = (struct identity_disk){ .id = xstrdup(disk) };
	return &id->disk[id->disks++];
}

void identity_add_slot(struct identity *id, const char *device, unsigned slot)
{
	id->slot = xrealloc(id->slot, id->slots + 1, sizeof *id->slot);
	id->slot[id->slots++] = (struct identity_slot){ xstrdup(device), slot };
}

void identity_drop_disk(struct identity *id, const char *disk)
{
	struct identity_disk *d = identity_disk(id, disk);

	if (!d)
		return;
	free(d->id);
	free(d->path);
	memmove(d, d + 1, (size_t)(id->disk + id->disks - (d + 1)) * sizeof *d);
	id->disks--;
	id->dirty = true;
}

void identity_drop_slot(struct identity *id, const char *device)
{
	size_t kept = 0;

	for (size_t i = 0; i < id->slots; i++) {
		if (streq(id->slot[i].device, device)) {
			free(id->slot[i].device);
			id->dirty = true;
		} else {
			id->slot[kept++] = id->slot[i];
		}
	}
	id->slots = kept;
}

static void identity_drop_slots(struct identity *id)
{
	for (size_t i = 0; i < id->slots; i++)
		free(id->slot[i].device);
	free(id->slot);
	id->slot = NULL;
	id->slots = 0;
}

static void identity_drop_nics(struct identity *id)
{
	for (size_t i = 0; i < id->nics; i++) {
		free(id->nic[i].id);
		free(id->nic[i].network);
		free(id->nic[i].hostname);
	}
	free(id->nic);
	id->nic = NULL;
	id->nics = 0;
}

static void identity_drop_images(struct identity *id)
{
	for (size_t i = 0; i < id->images; i++)
		free(id->image[i].path);
	free(id->image);
	id->image = NULL;
	id->images = 0;
}

void identity_drop_bases(struct identity *id)
{
	for (size_t i = 0; i < id->bases; i++) {
		free(id->base[i].path);
		free(id->base[i].stated);
	}
	free(id->base);
	id->base = NULL;
	id->bases = 0;
}

void identity_release(struct identity *id)
{
	for (size_t i = 0; i < id->disks; i++) {
		free(id->disk[i].id);
		free(id->disk[i].path);
	}
	identity_drop_slots(id);
	identity_drop_images(id);
	identity_drop_bases(id);
	identity_drop_nics(id);
	free(id->disk);
	free(id->machine);
	free(id->machine_wish);
	memset(id, 0, sizeof *id);
}

void identity_set_text(struct identity *id, char **field, const char *text)
{
	if (streq(*field, text))
		return;
	free(*field);
	*field = xstrdup(text);
	id->dirty = true;
}

void identity_set_mac(struct identity *id, const char *nic, const char *mac)
{
	uint8_t byte[ETH_ALEN];
	struct identity_nic *n;

	if (!text_mac_parse(mac, byte))
		return;
	n = identity_nic(id, nic);
	if (!n)
		n = identity_add_nic(id, nic);
	memcpy(n->mac, byte, ETH_ALEN);
}

/* Filling in what is missing */

void identity_random_uuid(char uuid[37])
{
	uint8_t b[16];
	char *p = uuid;

	if (getrandom(b, sizeof b, 0) != sizeof b) /* cannot fail for 16 bytes: getrandom(2) */
		abort();
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 4122, 4.4: version 4 */
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof b; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += sprintf(p, "%02x", b[i]);
	}
}

void identity_make_uuid(struct identity *id)
{
	if (id->uuid[0])
		return;
	identity_random_uuid(id->uuid);
	id->dirty = true;
}

/* A VM that already ran without a generation ID gets none by default: its hardware must not
 * change. */
static void identity_complete_generation(struct identity *id, const struct conf_vm *c)
{
	if (id->generation[0] || c->vmgenid == CONF_VMGENID_NO ||
		(c->vmgenid == CONF_VMGENID_AUTO && id->kept))
		return;
	identity_random_uuid(id->generation);
	id->dirty = true;
}

bool identity_renew_generation(struct identity *id)
{
	if (!id->generation[0])
		return false;
	identity_random_uuid(id->generation);
	return id->dirty = true;
}

/* Mixes the hash, so that similar ids differ in the 24 bits used. */
static uint32_t identity_hash24(const char *uuid, const char *nic, unsigned attempt)
{
	char text[128 + PATH_MAX];
	uint64_t h;

	snprintf(text, sizeof text, "%s|%s|%u", uuid, nic, attempt);
	h = text_hash64(text, strlen(text));
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	return (uint32_t)(h >> 40);
}

void identity_complete_cid(struct identity *id, bool (*taken)(void *data, uint32_t cid), void *data)
{
	for (unsigned i = 0; id->cid == 0; i++) {
		uint32_t cid =
			3 + identity_hash24(id->uuid, "vsock", i); /* 0 to 2 are reserved CIDs */

		if (i < MAC_TRIES && taken(data, cid))
			continue;
		id->cid = cid;
		id->dirty = true;
	}
}

static int identity_complete_nic(struct identity *id, const struct conf_nic *c,
	bool (*taken)(void *data, const uint8_t mac[ETH_ALEN]), void *data, struct err *e)
{
	uint8_t mac[ETH_ALEN] = { 0x52, 0x54, 0x00 };

	if (identity_nic(id, c->id))
		return 0;
	for (unsigned i = 0;; i++) {
		uint32_t h = identity_hash24(id->uuid, c->id, i);

		if (i == MAC_TRIES)
			return err_set(e, ERR_CONFLICT, "nic '%s': no free MAC address", c->id);
		mac[3] = (uint8_t)(h >> 16);
		mac[4] = (uint8_t)(h >> 8);
		mac[5] = (uint8_t)h;
		if (!taken || !taken(data, mac))
			break;
	}
	memcpy(identity_add_nic(id, c->id)->mac, mac, sizeof mac);
	id->dirty = true;
	return 0;
}

enum conf_format identity_format_of(const char *path)
{
	return conf_disk_format(&(struct conf_disk){ .path = path });
}

static int identity_complete_disk(
	struct identity *id, const struct conf_disk *c, const char *image_dir, struct err *e)
{
	struct identity_disk *d = identity_disk(id, c->id);
	enum conf_format format = c->format;
	char path[PATH_MAX];

	/* an empty CD drive has neither file nor format */
	if (!c->path || streq(c->id, IDENTITY_NOT_KEPT))
		return 0;
	device_disk_path(c, c->path, image_dir, path);
	if (format == CONF_FORMAT_AUTO && d && streq(d->path, path))
		format = d->format;
	if (format == CONF_FORMAT_AUTO)
		format = conf_disk_format(c);
	if (format == CONF_FORMAT_AUTO)
		return err_set(e, ERR_INVALID_CONFIG,
			"disk '%s': cannot tell the format from '%s', add Format=", c->id, c->path);
	if (!d) {
		d = identity_add_disk(id, c->id);
		id->dirty = true;
	}
	if (!streq(d->path, path)) /* another file: the old one's creation time no longer applies */
		d->created = 0;
	identity_set_text(id, &d->path, path);
	if (d->format != format) {
		d->format = format;
		id->dirty = true;
	}
	return 0;
}

int identity_complete(struct identity *id, const struct conf_vm *c, const char *image_dir,
	bool (*mac_taken)(void *data, const uint8_t mac[ETH_ALEN]), void *data, struct err *e)
{
	int r = 0;

	if (c->uuid && strlen(c->uuid) != sizeof id->uuid - 1)
		return err_set(e, ERR_INVALID_CONFIG, "'%s' is not a UUID", c->uuid);
	if (c->uuid && !id->kept && !streq(id->uuid, c->uuid)) {
		identity_drop_nics(id); /* only a draft: its MACs were derived from another UUID */
		memcpy(id->uuid, c->uuid, sizeof id->uuid);
		id->dirty = true;
	}
	identity_make_uuid(id);
	identity_complete_generation(id, c);
	for (size_t i = 0; r == 0 && i < c->nics; i++)
		r = identity_complete_nic(id, &c->nic[i], mac_taken, data, e);
	for (size_t i = 0; r == 0 && i < c->disks; i++)
		r = identity_complete_disk(id, &c->disk[i], image_dir, e);
	return r;
}

void identity_pin_machine(struct identity *id, const char *wish, const char *machine)
{
	enum device_board was, is;

	if (id->machine && streq(id->machine_wish, wish))
		return;
	if (id->machine && (!device_board_of(id->machine, &was) || !device_board_of(machine, &is) ||
				   was != is))
		identity_drop_slots(id);
	identity_set_text(id, &id->machine, machine);
	identity_set_text(id, &id->machine_wish, wish);
}

unsigned identity_slot(struct identity *id, const char *device, unsigned first, unsigned end)
{
	bool used[IDENTITY_SLOTS_MAX] = { false };

	for (size_t i = 0; i < id->slots; i++) {
		if (streq(id->slot[i].device, device))
			return id->slot[i].slot;
		if (id->slot[i].slot < IDENTITY_SLOTS_MAX)
			used[id->slot[i].slot] = true;
	}
	while (first < end && used[first])
		first++;
	if (first < end && !strstr(device, IDENTITY_NOT_KEPT)) {
		identity_add_slot(id, device, first);
		id->dirty = true;
	}
	return first;
}
