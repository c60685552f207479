/* SPDX-License-Identifier: MIT */
/* Reading and writing STATE/vms/NAME/identity.json. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "conf/word.h"
#include "net/facts.h"
#include "supervisor/core/aside.h"
#include "supervisor/qemu/identity.h"

enum { IDENTITY_VERSION = 1, IDENTITY_FILE_MAX = 1 << 20 };

static const char file_name[] = "identity.json";

static json_t *file_images_json(const struct identity *id)
{
	json_t *images = json_array();

	for (size_t i = 0; i < id->images; i++)
		json_array_append_new(images, json_pack("{s:s, s:I}", "path", id->image[i].path,
						      "seen", (json_int_t)id->image[i].seen));
	return images;
}

json_t *identity_json(const struct identity *id)
{
	json_t *nics = json_array(), *disks = json_array(), *slots = json_object();

	for (size_t i = 0; i < id->nics; i++) {
		const struct identity_nic *n = &id->nic[i];
		char mac[TEXT_MAC], address[NET_IP_TEXT];

		json_array_append_new(
			nics, json_pack("{s:s, s:s, s:s*, s:s*, s:s*}", "id", n->id, "mac",
				      text_mac(mac, n->mac), "network", n->network, "address",
				      n->address ? net_ip(address, n->address, 0) : NULL,
				      "hostname", n->hostname));
	}
	for (size_t i = 0; i < id->disks; i++) {
		const struct identity_disk *d = &id->disk[i];

		json_array_append_new(disks,
			json_pack("{s:s, s:s*, s:s, s:I}", "id", d->id, "path", d->path, "format",
				conf_format_name(d->format), "created", (json_int_t)d->created));
	}
	for (size_t i = 0; i < id->slots; i++)
		json_object_set_new(slots, id->slot[i].device, json_integer(id->slot[i].slot));
	return json_pack("{s:i, s:s, s:I, s:s*, s:o*, s:s*, s:s*, s:o, s:o, s:o, s:o, s:o*}",
		"version", IDENTITY_VERSION, "uuid", id->uuid, "uid", (json_int_t)id->uid,
		"generation", id->generation[0] ? id->generation : NULL, "cid",
		id->cid ? json_integer(id->cid) : NULL, "machine", id->machine, "machine_wish",
		id->machine_wish, "nics", nics, "disks", disks, "slots", slots, "images",
		file_images_json(id), "bases", id->bases ? identity_bases_json(id) : NULL);
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
		r = err_set(
			e, ERR_INVALID_CONFIG, "save the identity: a name or path is not UTF-8");
	free(text);
	return r;
}

static bool file_read_nic(struct identity *id, json_t *row)
{
	const char *name, *mac, *network = NULL, *address = NULL, *hostname = NULL;
	struct identity_nic *n;
	uint32_t ip = 0;

	if (json_unpack(row, "{s:s, s:s, s?s, s?s, s?s}", "id", &name, "mac", &mac, "network",
		    &network, "address", &address, "hostname", &hostname) < 0 ||
		identity_nic(id, name) || (address && !net_ip_parse(address, &ip)))
		return false;
	n = identity_add_nic(id, name);
	n->network = xstrdup(network);
	n->hostname = xstrdup(hostname);
	n->address = ip;
	return text_mac_parse(mac, n->mac);
}

static bool file_read_disk(struct identity *id, json_t *row)
{
	const char *name, *format, *path = NULL;
	struct identity_disk *d;
	json_int_t created;

	if (json_unpack(row, "{s:s, s?s, s:s, s:I}", "id", &name, "path", &path, "format", &format,
		    "created", &created) < 0 ||
		identity_disk(id, name))
		return false;
	d = identity_add_disk(id, name);
	d->path = xstrdup(path);
	d->created = created;
	for (enum conf_format f = 0; f < CONF_FORMATS; f++)
		if (streq(conf_format_name(f), format)) {
			d->format = f;
			return true;
		}
	return false;
}

static bool file_read_slots(struct identity *id, json_t *slots)
{
	bool used[IDENTITY_SLOTS_MAX] = { false };
	const char *device;
	json_t *value;

	json_object_foreach (slots, device, value) {
		json_int_t n = json_is_integer(value) ? json_integer_value(value) : -1;

		if (n < 0 || n >= IDENTITY_SLOTS_MAX || used[n])
			return false;
		used[n] = true;
		identity_add_slot(id, device, (unsigned)n);
	}
	return true;
}

/* images NULL: written by an earlier version. */
static bool file_read_images(struct identity *id, const json_t *images)
{
	const char *path;
	json_int_t seen;
	json_t *row;
	size_t i;

	json_array_foreach (images, i, row) {
		if (json_unpack(row, "{s:s, s:I}", "path", &path, "seen", &seen) < 0)
			return false;
		identity_saw(id, path, seen);
	}
	return !images || json_is_array(images);
}

static bool file_from_json(struct identity *id, json_t *doc)
{
	const char *uuid, *machine = NULL, *wish = NULL, *generation = "";
	json_t *nics, *disks, *slots, *row;
	json_int_t uid, cid = 0;
	size_t i;

	if (json_unpack(doc, "{s:s, s:I, s?s, s?I, s?s, s?s, s:o, s:o, s:o}", "uuid", &uuid, "uid",
		    &uid, "generation", &generation, "cid", &cid, "machine", &machine,
		    "machine_wish", &wish, "nics", &nics, "disks", &disks, "slots", &slots) < 0 ||
		strlen(uuid) != sizeof id->uuid - 1 || uid < 0 || uid > UINT32_MAX || cid < 0 ||
		cid > UINT32_MAX ||
		(*generation && strlen(generation) != sizeof id->generation - 1) ||
		!json_is_array(nics) || !json_is_array(disks) || !json_is_object(slots))
		return false;
	memcpy(id->uuid, uuid, sizeof id->uuid);
	id->uid = (uid_t)uid;
	memcpy(id->generation, generation, strlen(generation) + 1);
	id->cid = (uint32_t)cid;
	id->machine = xstrdup(machine);
	id->machine_wish = xstrdup(wish);
	json_array_foreach (nics, i, row)
		if (!file_read_nic(id, row))
			return false;
	json_array_foreach (disks, i, row)
		if (!file_read_disk(id, row))
			return false;
	id->dirty = json_is_true(json_object_get(doc, "draft"));
	id->kept = !id->dirty || json_is_true(json_object_get(doc, "ran"));
	return file_read_slots(id, slots) && file_read_images(id, json_object_get(doc, "images")) &&
	       identity_read_bases(id, json_object_get(doc, "bases"));
}

bool identity_parse(struct identity *id, json_t *doc)
{
	identity_release(id);
	return json_integer_value(json_object_get(doc, "version")) == IDENTITY_VERSION &&
	       file_from_json(id, doc);
}

static int file_set_aside(int dirfd, const char *why, struct err *e)
{
	char aside[PATH_MAX];

	if (aside_move(dirfd, file_name, aside, e) < 0)
		return err_wrap(e, e->number, "damaged");
	log_error(NULL, "%s is damaged (%s): kept as '%s'", file_name, why, aside);
	return 0;
}

static bool file_is_none(int dirfd)
{
	struct stat st;

	return fstatat(dirfd, file_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode) &&
	       !S_ISLNK(st.st_mode);
}

/* Calls damaged for a file that is no identity: sets it aside, or lets it be. */
static int file_load(struct identity *id, int dirfd,
	int (*damaged)(int dirfd, const char *why, struct err *e), struct err *e)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(IDENTITY_FILE_MAX);
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
			good = version == IDENTITY_VERSION && file_from_json(id, doc);
	}
	json_decref(doc);
	if (r == -ENOENT) {
		err_clear(e);
		return 0;
	}
	if (r < 0 && file_is_none(dirfd)) {
		err_clear(e);
		return damaged(dirfd, "not a regular file", e);
	}
	if (r < 0 || good)
		return r;
	identity_release(id);
	if (version > IDENTITY_VERSION)
		return err_set(e, ERR_FAILED,
			"'%s' has version %" JSON_INTEGER_FORMAT ", this vmkeep knows %d",
			file_name, version, IDENTITY_VERSION);
	return damaged(dirfd, why.text, e);
}

/* --- damaged files: a VM whose identity was lost must not be treated as new --- */

/* Finds the UUID by its key: even a truncated or corrupted file may still contain that line. */
static void file_damaged_uuid(struct identity *id, int dirfd)
{
	static const char key[] = "\"uuid\"";
	_cleanup_(buf_release) struct buf text = BUF_MAX(IDENTITY_FILE_MAX);
	const char *at = NULL;

	if (file_read(dirfd, id->damaged, &text, NULL) == 0 && text.data)
		at = memmem(text.data, text.len, key, sizeof key - 1);
	if (at) {
		at += sizeof key - 1;
		at += strspn(at, " :\"");
		memcpy(id->damaged_uuid, at, strnlen(at, sizeof id->damaged_uuid - 1));
		if (!conf_word_uuid(id->damaged_uuid))
			id->damaged_uuid[0] = '\0';
	}
}

static void file_look_damaged(struct identity *id, int dirfd)
{
	_cleanup_(close_dir) DIR *dir = file_open_dir(dirfd, ".", 0);

	for (struct dirent *d; dir && (d = readdir(dir));) {
		if (strncmp(d->d_name, "identity.json.damaged-", 22) != 0 ||
			strlen(d->d_name) >= sizeof id->damaged ||
			strcmp(d->d_name, id->damaged) <= 0)
			continue;
		strcpy(id->damaged, d->d_name);
	}
	if (id->damaged[0])
		file_damaged_uuid(id, dirfd);
}

int identity_load(struct identity *id, int dirfd, struct err *e)
{
	int r = file_load(id, dirfd, file_set_aside, e);

	if (r == 0 && !id->kept)
		file_look_damaged(id, dirfd);
	return r;
}

static int file_leave(int dirfd, const char *why, struct err *e)
{
	return 0;
}

int identity_look(struct identity *id, int dirfd, struct err *e)
{
	int r = file_load(id, dirfd, file_leave, e);

	if (r < 0 || id->kept)
		return r;
	file_look_damaged(id, dirfd);
	if (!id->uuid[0] && faccessat(dirfd, file_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		strcpy(id->damaged, file_name);
		file_damaged_uuid(id, dirfd);
	}
	return 0;
}

bool identity_copy(struct identity *to, const struct identity *from)
{
	json_auto_t *doc = identity_json(from);

	return identity_parse(to, doc);
}
