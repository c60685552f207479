/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <limits.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "supervisor/storage/snapshot_private.h"

enum { NAME_MAX_BYTES = 63 };

static const char nvram_id[] = "uefi", nvram_node[] = "pflash1";

static struct snapshot_disk *add(
	struct snapshot_disks *s, const char *id, const char *node, const char *path, bool qcow2)
{
	struct snapshot_disk *d = &s->disk[s->n++];

	*d = (struct snapshot_disk){ .id = xstrdup(id), .path = xstrdup(path), .qcow2 = qcow2 };
	snprintf(d->node, sizeof d->node, "%s", node);
	return d;
}

static bool is_qcow2(const struct conf_disk *d, const struct identity *id)
{
	enum conf_format format = device_disk_format(d, id);

	return (format == CONF_FORMAT_AUTO ? conf_disk_format(d) : format) == CONF_FORMAT_QCOW2;
}

void snapshot_disks_init(struct snapshot_disks *s, const struct conf_vm *c,
	const struct identity *id, const char *image_dir, const char *nvram)
{
	char path[PATH_MAX], node[DEVICE_NODE_MAX];

	*s = (struct snapshot_disks){ .disk = xcalloc(c->disks + 1, sizeof *s->disk) };
	for (size_t i = 0; i < c->disks; i++) {
		const struct conf_disk *d = &c->disk[i];
		struct snapshot_disk *added;

		if (!d->path || d->cdrom || d->read_only)
			continue;
		added = add(s, d->id, device_node_name(d, node), device_disk_path(d, image_dir, path),
			is_qcow2(d, id));
		added->beneath = d->path[0] != '/';
		added->has_base = d->base.n > 0;
		identity_disk_day(id, d->id, added->created);
	}
	/* last: the first one gets the memory */
	if (nvram)
		add(s, nvram_id, nvram_node, nvram, true)->nvram = true;
}

void snapshot_disks_release(struct snapshot_disks *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->disk[i].id);
		free(s->disk[i].path);
		json_decref(s->disk[i].snapshots);
	}
	free(s->disk);
	*s = (struct snapshot_disks){ 0 };
}

static struct snapshot_disk *by_node(struct snapshot_disks *s, const char *node)
{
	for (size_t i = 0; i < s->n; i++)
		if (streq(s->disk[i].node, node))
			return &s->disk[i];
	return NULL;
}

void snapshot_disks_take_nodes(struct snapshot_disks *s, const json_t *nodes)
{
	struct snapshot_disk *d;
	json_t *node;
	size_t i;

	for (i = 0; i < s->n; i++) {
		json_decref(s->disk[i].snapshots);
		s->disk[i].snapshots = NULL;
	}
	json_array_foreach (nodes, i, node) {
		d = by_node(s, json_string_value(json_object_get(node, "node-name")));
		if (d && !d->snapshots)
			d->snapshots = json_incref(
				json_object_get(json_object_get(node, "image"), "snapshots"));
	}
}

static const char *name_of(const json_t *snapshot)
{
	return json_string_value(json_object_get(snapshot, "name"));
}

static json_int_t number(const json_t *snapshot, const char *key)
{
	return json_integer_value(json_object_get(snapshot, key));
}

const json_t *snapshot_find(const struct snapshot_disk *d, const char *name)
{
	json_t *snapshot;
	size_t i;

	json_array_foreach (d->snapshots, i, snapshot)
		if (streq(name_of(snapshot), name))
			return snapshot;
	return NULL;
}

json_int_t snapshot_memory(const struct snapshot_disks *s, const char *name)
{
	json_int_t most = 0;

	for (size_t i = 0; i < s->n; i++) {
		json_int_t size = number(snapshot_find(&s->disk[i], name), "vm-state-size");

		most = size > most ? size : most;
	}
	return most;
}

json_int_t snapshot_created(const struct snapshot_disks *s, const char *name)
{
	json_int_t first = 0;

	for (size_t i = 0; i < s->n; i++) {
		json_int_t t = number(snapshot_find(&s->disk[i], name), "date-sec");

		first = t && (!first || t < first) ? t : first;
	}
	return first;
}

/* Oldest first, then by name. */
static size_t place_of(const json_t *rows, const json_t *row)
{
	json_int_t created = json_integer_value(json_array_get(row, 1));
	const char *name = json_string_value(json_array_get(row, 0));
	json_t *other;
	size_t i;

	json_array_foreach (rows, i, other) {
		json_int_t t = json_integer_value(json_array_get(other, 1));

		if (t > created ||
			(t == created &&
				strcmp(json_string_value(json_array_get(other, 0)), name) > 0))
			return i;
	}
	return json_array_size(rows);
}

static json_t *row_of(const struct snapshot_disks *s, const char *name)
{
	json_t *disks = json_array();

	for (size_t i = 0; i < s->n; i++)
		if (snapshot_find(&s->disk[i], name))
			json_array_append_new(disks, json_string(s->disk[i].id));
	return json_pack(
		"[s, I, I, o]", name, snapshot_created(s, name), snapshot_memory(s, name), disks);
}

/* Was it on an earlier disk already? */
static bool is_told(const struct snapshot_disks *s, size_t disk, const char *name)
{
	for (size_t i = 0; i < disk; i++)
		if (snapshot_find(&s->disk[i], name))
			return true;
	return false;
}

json_t *snapshot_table(const struct snapshot_disks *s)
{
	json_t *rows = json_array(), *snapshot, *row;
	size_t k;

	for (size_t i = 0; i < s->n; i++)
		json_array_foreach (s->disk[i].snapshots, k, snapshot) {
			const char *name = name_of(snapshot);

			if (!name || is_told(s, i, name) ||
				snapshot_find(&s->disk[i], name) != snapshot)
				continue;
			row = row_of(s, name);
			json_array_insert_new(rows, place_of(rows, row), row);
		}
	return json_pack("{s:[s,s,s,s], s:o}", "columns", "snapshot", "created", "memory", "disks",
		"rows", rows);
}

/* --- checks --- */

int snapshot_check_name(const char *name, struct err *e)
{
	size_t len = strlen(name);
	bool ok = len > 0 && len <= NAME_MAX_BYTES &&
		  (isalpha((unsigned char)name[0]) || name[0] == '_');

	for (size_t i = 0; ok && i < len; i++)
		ok = isalnum((unsigned char)name[i]) || strchr("_.-", name[i]);
	if (ok)
		return 0;
	err_set(e, ERR_USAGE, "'%.80s' cannot be the name of a snapshot", name);
	return err_hint(
		e, "a letter or _ first, then at most 62 letters, digits, '_', '.' and '-'");
}

int snapshot_check_disks(const struct snapshot_disks *s, struct err *e)
{
	if (s->n == 0)
		return err_set(e, ERR_INVALID_CONFIG,
			"it has no disk that is written, so nothing can hold a snapshot");
	for (size_t i = 0; i < s->n; i++)
		if (!s->disk[i].qcow2) {
			err_set(e, ERR_INVALID_CONFIG,
				"disk '%s' is raw: only qcow2 can hold snapshots", s->disk[i].id);
			return err_hint(e,
				"stop it, qemu-img convert -f raw -O qcow2 OLD NEW.qcow2, and name that "
				"in Path=; or ReadOnly=yes");
		}
	return 0;
}

int snapshot_check_free(const struct snapshot_disks *s, const char *name, struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (snapshot_find(&s->disk[i], name))
			return err_set(e, ERR_CONFLICT,
				"there is a snapshot '%s' already, on disk '%s'", name,
				s->disk[i].id);
	return 0;
}

int snapshot_check_there(const struct snapshot_disks *s, const char *name, bool all, struct err *e)
{
	const char *with = NULL, *without = NULL;

	for (size_t i = 0; i < s->n; i++)
		*(snapshot_find(&s->disk[i], name) ? &with : &without) = s->disk[i].id;
	if (!with) {
		err_set(e, ERR_NOT_FOUND, "there is no snapshot '%s'", name);
		return err_hint(e, "vmkeep snapshot list tells which there are");
	}
	if (!all || !without)
		return 0;
	return err_set(e, ERR_CONFLICT,
		"snapshot '%s' is on disk '%s' but not on '%s': they would not fit together", name,
		with, without);
}
