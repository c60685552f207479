/* SPDX-License-Identifier: MIT */
#include "supervisor/qemu/identity.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "supervisor/core/aside.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "conf/conf.h"
#include "supervisor/qemu/device.h"

enum { IDENTITY_VERSION = 1, IDENTITY_FILE_MAX = 1 << 20, MAC_TRIES = 1000 };

static const char file_name[] = "identity.json";

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

static struct identity_nic *add_nic(struct identity *id, const char *nic)
{
	id->nic = xrealloc(id->nic, id->nics + 1, sizeof *id->nic);
	id->nic[id->nics] = (struct identity_nic){ .id = xstrdup(nic) };
	return &id->nic[id->nics++];
}

static struct identity_disk *add_disk(struct identity *id, const char *disk)
{
	id->disk = xrealloc(id->disk, id->disks + 1, sizeof *id->disk);
	id->disk[id->disks] = (struct identity_disk){ .id = xstrdup(disk) };
	return &id->disk[id->disks++];
}

static void add_slot(struct identity *id, const char *device, unsigned slot)
{
	id->slot = xrealloc(id->slot, id->slots + 1, sizeof *id->slot);
	id->slot[id->slots++] = (struct identity_slot){ xstrdup(device), slot };
}

static void drop_slots(struct identity *id)
{
	for (size_t i = 0; i < id->slots; i++)
		free(id->slot[i].device);
	free(id->slot);
	id->slot = NULL;
	id->slots = 0;
}

static void drop_nics(struct identity *id)
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

void identity_release(struct identity *id)
{
	for (size_t i = 0; i < id->disks; i++) {
		free(id->disk[i].id);
		free(id->disk[i].path);
	}
	drop_slots(id);
	identity_images_release(id);
	drop_nics(id);
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

/* File */

json_t *identity_json(const struct identity *id)
{
	json_t *nics = json_array(), *disks = json_array(), *slots = json_object();

	for (size_t i = 0; i < id->nics; i++) {
		const struct identity_nic *n = &id->nic[i];
		struct in_addr a = { htonl(n->address) };
		char mac[TEXT_MAC], address[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &a, address, sizeof address);
		json_array_append_new(nics,
			json_pack("{s:s, s:s, s:s*, s:s*, s:s*}", "id", n->id, "mac", text_mac(mac, n->mac), "network",
				n->network, "address", n->address ? address : NULL, "hostname", n->hostname));
	}
	for (size_t i = 0; i < id->disks; i++) {
		const struct identity_disk *d = &id->disk[i];

		json_array_append_new(disks,
			json_pack("{s:s, s:s*, s:s, s:I}", "id", d->id, "path", d->path, "format",
				conf_format_name(d->format), "created", (json_int_t)d->created));
	}
	for (size_t i = 0; i < id->slots; i++)
		json_object_set_new(slots, id->slot[i].device, json_integer(id->slot[i].slot));
	return json_pack("{s:i, s:s, s:I, s:s*, s:s*, s:o, s:o, s:o, s:o}", "version", IDENTITY_VERSION,
		"uuid", id->uuid, "uid", (json_int_t)id->uid, "machine", id->machine,
		"machine_wish", id->machine_wish, "nics", nics, "disks", disks, "slots", slots,
		"images", identity_images_json(id));
}

int identity_draft(const struct identity *id, int dirfd, struct err *e)
{
	char *text = NULL;
	json_t *doc;
	int r = 0;

	if (!id->dirty || faccessat(dirfd, file_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	doc = identity_json(id);
	if (doc && json_object_set_new(doc, "draft", json_true()) == 0 &&
		json_object_set_new(doc, "ran", json_boolean(id->kept)) == 0)
		text = json_dumps(doc, JSON_INDENT(1));
	json_decref(doc);
	if (text)
		r = file_replace(dirfd, file_name, 0600, text, strlen(text), false, e);
	else
		r = err_set(e, ERR_INVALID_CONFIG, "keep the identity: a name or path is not UTF-8");
	free(text);
	return r;
}

static bool read_nic(struct identity *id, json_t *row)
{
	const char *name, *mac, *network = NULL, *address = NULL, *hostname = NULL;
	struct in_addr a = { 0 };
	struct identity_nic *n;

	if (json_unpack(row, "{s:s, s:s, s?s, s?s, s?s}", "id", &name, "mac", &mac, "network", &network,
		    "address", &address, "hostname", &hostname) < 0 ||
		identity_nic(id, name) || (address && inet_pton(AF_INET, address, &a) != 1))
		return false;
	n = add_nic(id, name);
	n->network = xstrdup(network);
	n->hostname = xstrdup(hostname);
	n->address = ntohl(a.s_addr);
	return sscanf(mac, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &n->mac[0], &n->mac[1],
		       &n->mac[2], &n->mac[3], &n->mac[4], &n->mac[5]) == ETH_ALEN;
}

static bool read_disk(struct identity *id, json_t *row)
{
	const char *name, *format, *path = NULL;
	struct identity_disk *d;
	json_int_t created;

	if (json_unpack(row, "{s:s, s?s, s:s, s:I}", "id", &name, "path", &path, "format", &format,
		    "created", &created) < 0 ||
		identity_disk(id, name))
		return false;
	d = add_disk(id, name);
	d->path = xstrdup(path);
	d->created = created;
	for (enum conf_format f = 0; f < CONF_FORMATS; f++)
		if (streq(conf_format_name(f), format)) {
			d->format = f;
			return true;
		}
	return false;
}

static bool read_slots(struct identity *id, json_t *slots)
{
	bool used[IDENTITY_SLOTS_MAX] = { false };
	const char *device;
	json_t *value;

	json_object_foreach (slots, device, value) {
		json_int_t n = json_is_integer(value) ? json_integer_value(value) : -1;

		if (n < 0 || n >= IDENTITY_SLOTS_MAX || used[n])
			return false;
		used[n] = true;
		add_slot(id, device, (unsigned)n);
	}
	return true;
}

static bool from_json(struct identity *id, json_t *doc)
{
	const char *uuid, *machine = NULL, *wish = NULL;
	json_t *nics, *disks, *slots, *row;
	json_int_t uid;
	size_t i;

	if (json_unpack(doc, "{s:s, s:I, s?s, s?s, s:o, s:o, s:o}", "uuid", &uuid, "uid", &uid,
		    "machine", &machine, "machine_wish", &wish, "nics", &nics, "disks", &disks,
		    "slots", &slots) < 0 ||
		strlen(uuid) != sizeof id->uuid - 1 || uid < 0 || uid > UINT32_MAX ||
		!json_is_array(nics) || !json_is_array(disks) || !json_is_object(slots))
		return false;
	memcpy(id->uuid, uuid, sizeof id->uuid);
	id->uid = (uid_t)uid;
	id->machine = xstrdup(machine);
	id->machine_wish = xstrdup(wish);
	json_array_foreach (nics, i, row)
		if (!read_nic(id, row))
			return false;
	json_array_foreach (disks, i, row)
		if (!read_disk(id, row))
			return false;
	id->dirty = json_is_true(json_object_get(doc, "draft"));
	id->kept = !id->dirty || json_is_true(json_object_get(doc, "ran"));
	return read_slots(id, slots) && identity_images_read(id, json_object_get(doc, "images"));
}

bool identity_parse(struct identity *id, json_t *doc)
{
	identity_release(id);
	return json_integer_value(json_object_get(doc, "version")) == IDENTITY_VERSION && from_json(id, doc);
}

void identity_set_mac(struct identity *id, const char *nic, const char *mac)
{
	uint8_t byte[ETH_ALEN];
	struct identity_nic *n;

	if (sscanf(mac, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4],
		    &byte[5]) != ETH_ALEN)
		return;
	n = identity_nic(id, nic);
	if (!n)
		n = add_nic(id, nic);
	memcpy(n->mac, byte, ETH_ALEN);
}

static int set_aside(int dirfd, const char *why, struct err *e)
{
	char aside[PATH_MAX];

	if (aside_move(dirfd, file_name, aside, e) < 0)
		return err_wrap(e, e->number, "damaged");
	log_error(NULL, "%s is damaged (%s): kept as '%s'", file_name, why,
		aside);
	return 0;
}

static bool is_no_file(int dirfd)
{
	struct stat st;

	return fstatat(dirfd, file_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode);
}

static int load(struct identity *id, int dirfd, struct err *e)
{
	struct buf text = BUF_MAX(IDENTITY_FILE_MAX);
	json_error_t why = { .text = "unexpected content" };
	json_int_t version = 0;
	json_t *doc = NULL;
	bool good = false;
	int r;

	identity_release(id);
	r = file_read(dirfd, file_name, &text, e);
	if (r == 0) {
		doc = json_loadb(
			text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, &why);
		if (doc && json_unpack(doc, "{s:I}", "version", &version) == 0)
			good = version == IDENTITY_VERSION && from_json(id, doc);
	}
	buf_release(&text);
	json_decref(doc);
	if (r == -ENOENT) {
		err_clear(e);
		return 0;
	}
	if (r < 0 && is_no_file(dirfd)) {
		err_clear(e);
		return set_aside(dirfd, "not a regular file", e);
	}
	if (r < 0 || good)
		return r;
	identity_release(id);
	if (version > IDENTITY_VERSION)
		return err_set(e, ERR_FAILED,
			"'%s' has version %" JSON_INTEGER_FORMAT ", this vmkeep knows %d",
			file_name, version, IDENTITY_VERSION);
	return set_aside(dirfd, why.text, e);
}

int identity_load(struct identity *id, int dirfd, struct err *e)
{
	int r = load(id, dirfd, e);

	if (r == 0 && !id->kept)
		identity_look_damaged(id, dirfd);
	return r;
}

/* What is missing */

void identity_make_uuid(struct identity *id)
{
	uint8_t b[16];
	char *p = id->uuid;

	if (id->uuid[0])
		return;
	if (getrandom(b, sizeof b, 0) != sizeof b) /* cannot fail for so few, says getrandom(2) */
		abort();
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 4122, 4.4: version 4 */
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof b; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += sprintf(p, "%02x", b[i]);
	}
	id->dirty = true;
}

/* A hash, mixed: neighbouring ids must differ in the 24 bits that are taken. */
static uint32_t hash24(const char *uuid, const char *nic, unsigned attempt)
{
	char text[128 + PATH_MAX];
	uint64_t h;

	snprintf(text, sizeof text, "%s|%s|%u", uuid, nic, attempt);
	h = text_hash64(text, strlen(text));
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	return (uint32_t)(h >> 40);
}

static int complete_nic(struct identity *id, const struct conf_nic *c,
	bool (*taken)(void *data, const uint8_t mac[ETH_ALEN]), void *data, struct err *e)
{
	uint8_t mac[ETH_ALEN] = { 0x52, 0x54, 0x00 };

	if (identity_nic(id, c->id))
		return 0;
	for (unsigned i = 0;; i++) {
		uint32_t h = hash24(id->uuid, c->id, i);

		if (i == MAC_TRIES)
			return err_set(e, ERR_CONFLICT, "nic '%s': no free MAC address", c->id);
		mac[3] = (uint8_t)(h >> 16);
		mac[4] = (uint8_t)(h >> 8);
		mac[5] = (uint8_t)h;
		if (!taken || !taken(data, mac))
			break;
	}
	memcpy(add_nic(id, c->id)->mac, mac, sizeof mac);
	id->dirty = true;
	return 0;
}

enum conf_format identity_format_of(const char *path)
{
	return conf_disk_format(&(struct conf_disk){ .path = path });
}

static int complete_disk(
	struct identity *id, const struct conf_disk *c, const char *image_dir, struct err *e)
{
	struct identity_disk *d = identity_disk(id, c->id);
	enum conf_format format = c->format;
	char path[PATH_MAX];

	if (!c->path) /* an empty CD drive has neither file nor format */
		return 0;
	device_disk_path(c, image_dir, path);
	if (format == CONF_FORMAT_AUTO && d && streq(d->path, path))
		format = d->format;
	if (format == CONF_FORMAT_AUTO)
		format = conf_disk_format(c);
	if (format == CONF_FORMAT_AUTO)
		return err_set(e, ERR_INVALID_CONFIG,
			"disk '%s': cannot tell the format from '%s', add Format=", c->id, c->path);
	if (!d) {
		d = add_disk(id, c->id);
		id->dirty = true;
	}
	if (!streq(d->path, path)) /* another file: when we made the old one no longer matters */
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
		drop_nics(id); /* of a draft: their MACs were made from another UUID */
		memcpy(id->uuid, c->uuid, sizeof id->uuid);
		id->dirty = true;
	}
	identity_make_uuid(id);
	for (size_t i = 0; r == 0 && i < c->nics; i++)
		r = complete_nic(id, &c->nic[i], mac_taken, data, e);
	for (size_t i = 0; r == 0 && i < c->disks; i++)
		r = complete_disk(id, &c->disk[i], image_dir, e);
	return r;
}

void identity_pin_machine(struct identity *id, const char *wish, const char *machine)
{
	enum device_board was, is;

	if (id->machine && streq(id->machine_wish, wish))
		return;
	if (id->machine && (!device_board_of(id->machine, &was) || !device_board_of(machine, &is) ||
				   was != is))
		drop_slots(id);
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
	if (first < end) {
		add_slot(id, device, first);
		id->dirty = true;
	}
	return first;
}
