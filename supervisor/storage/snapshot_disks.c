/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <limits.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "supervisor/api/result.h"
#include "supervisor/storage/snapshot_private.h"

enum { NAME_MAX_BYTES = 63 };

struct snapshot_disk *snapshot_disks_add(
	struct snapshot_disks *s, const char *id, const char *node, const char *path, bool qcow2)
{
	struct snapshot_disk *d;

	s->disk = xrealloc(s->disk, s->n + 1, sizeof *s->disk);
	d = &s->disk[s->n++];
	*d = (struct snapshot_disk){ .id = xstrdup(id), .path = xstrdup(path), .qcow2 = qcow2 };
	snprintf(d->node, sizeof d->node, "%s", node);
	return d;
}

static bool disks_is_qcow2(const struct conf_disk *d, const struct identity *id)
{
	enum conf_format format = device_disk_format(d, id);

	return (format == CONF_FORMAT_AUTO ? conf_disk_format(d) : format) == CONF_FORMAT_QCOW2;
}

void snapshot_disks_init(struct snapshot_disks *s, const struct conf_vm *c,
	const struct identity *id, const char *image_dir)
{
	char path[PATH_MAX], node[DEVICE_NODE_MAX];

	*s = (struct snapshot_disks){ .disk = NULL };
	for (size_t i = 0; i < c->disks; i++) {
		const struct conf_disk *d = &c->disk[i];
		struct snapshot_disk *added;

		if (!d->path || d->cdrom || d->read_only)
			continue;
		added = snapshot_disks_add(s, d->id, device_node_name(d, node),
			device_disk_path(d, d->path, image_dir, path), disks_is_qcow2(d, id));
		added->beneath = d->path[0] == '/' || d->volume
					 ? NULL
					 : xstrdup(device_disk_dir(d, image_dir));
		added->store = d->volume ? xstrdup(d->store) : NULL;
		added->has_base = d->base.n > 0;
		added->size = d->size;
		identity_disk_day(id, d->id, added->created);
	}
}

void snapshot_disks_release(struct snapshot_disks *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->disk[i].id);
		free(s->disk[i].path);
		free(s->disk[i].beneath);
		free(s->disk[i].store);
		json_decref(s->disk[i].snapshots);
		json_decref(s->disk[i].bitmaps);
	}
	free(s->disk);
	*s = (struct snapshot_disks){ 0 };
}

static struct snapshot_disk *disks_by_node(struct snapshot_disks *s, const char *node)
{
	for (size_t i = 0; i < s->n; i++)
		if (streq(s->disk[i].node, node))
			return &s->disk[i];
	return NULL;
}

static void disks_take_bitmaps(struct snapshot_disk *d, json_t *list)
{
	json_decref(d->bitmaps);
	d->bitmaps = json_array_size(list) ? json_incref(list) : NULL;
}

int snapshot_disk_take(struct snapshot_disk *d, const json_t *image, struct err *e)
{
	json_t *list = json_object_get(image, "snapshots"),
	       *specific = json_object_get(json_object_get(image, "format-specific"), "data");

	json_decref(d->snapshots);
	d->snapshots = NULL;
	disks_take_bitmaps(d, json_object_get(specific, "bitmaps"));
	if (!json_is_object(image) || (list && !json_is_array(list)))
		return err_set(e, ERR_FAILED, "disk '%s': its contents could not be read", d->id);
	if (json_array_size(list) > SNAPSHOTS_MAX) {
		err_set(e, ERR_FAILED, "disk '%s': its header lists %zu snapshots, more than %d",
			d->id, json_array_size(list), SNAPSHOTS_MAX);
		return err_hint(e,
			"the header is hostile or damaged; qemu-img convert copies the disk's "
			"current contents");
	}
	d->snapshots = list ? json_incref(list) : json_array();
	return 0;
}

int snapshot_disks_take_nodes(struct snapshot_disks *s, const json_t *nodes, struct err *e)
{
	struct snapshot_disk *d;
	json_t *node;
	size_t i;
	int r = 0;

	for (i = 0; i < s->n; i++) {
		json_decref(s->disk[i].snapshots);
		s->disk[i].snapshots = NULL;
	}
	json_array_foreach (nodes, i, node) {
		d = disks_by_node(s, json_string_value(json_object_get(node, "node-name")));
		if (r == 0 && d && !d->snapshots)
			r = snapshot_disk_take(d, json_object_get(node, "image"), e);
		/* of a running guest those that QEMU has count, also if they are in no file */
		if (r == 0 && d)
			disks_take_bitmaps(d, json_object_get(node, "dirty-bitmaps"));
	}
	for (i = 0; r == 0 && i < s->n; i++)
		if (!s->disk[i].snapshots)
			r = err_set(e, ERR_FAILED, "QEMU reports nothing about disk '%s'",
				s->disk[i].id);
	return r;
}

static const char *disks_name_of(const json_t *snapshot)
{
	return json_string_value(json_object_get(snapshot, "name"));
}

static json_int_t disks_number(const json_t *snapshot, const char *key)
{
	return json_integer_value(json_object_get(snapshot, key));
}

json_int_t snapshot_memory(const struct snapshot_disks *s, const char *name)
{
	json_int_t most = 0;

	for (size_t i = 0; i < s->n; i++) {
		json_int_t size = disks_number(snapshot_find(&s->disk[i], name), "vm-state-size");

		most = size > most ? size : most;
	}
	return most;
}

const char *snapshot_memory_node(const struct snapshot_disks *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (disks_number(snapshot_find(&s->disk[i], name), "vm-state-size") > 0)
			return s->disk[i].node;
	return NULL;
}

json_int_t snapshot_created(const struct snapshot_disks *s, const char *name)
{
	json_int_t first = 0;

	for (size_t i = 0; i < s->n; i++) {
		json_int_t t = disks_number(snapshot_find(&s->disk[i], name), "date-sec");

		first = t && (!first || t < first) ? t : first;
	}
	return first;
}

/* --- the table: merged by name, sorted by time --- */

enum { ROW_NAME, ROW_CREATED, ROW_MEMORY, ROW_DISKS, ROW_ID };

static int disks_row_by_time(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	json_int_t at = json_integer_value(json_array_get(x, ROW_CREATED)),
		   other = json_integer_value(json_array_get(y, ROW_CREATED));

	if (at != other)
		return at > other ? 1 : -1;
	return strcmp(json_string_value(json_array_get(x, ROW_NAME)),
		json_string_value(json_array_get(y, ROW_NAME)));
}

/* The names that a disk has twice. */
static json_t *disks_doubled_names(const struct snapshot_disks *s)
{
	json_t *doubled = json_object(), *snapshot;
	size_t k;

	for (size_t i = 0; i < s->n; i++) {
		json_t *seen = json_object();

		json_array_foreach (s->disk[i].snapshots, k, snapshot) {
			const char *name = disks_name_of(snapshot);

			if (name)
				json_object_set_new(json_object_get(seen, name) ? doubled : seen,
					name, json_true());
		}
		json_decref(seen);
	}
	return doubled;
}

/* Snapshots with the same name on one disk get separate rows, with ids to distinguish them. */
static void disks_add_to_row(
	json_t *rows, const struct snapshot_disk *d, const json_t *snapshot, const char *id)
{
	const char *name = disks_name_of(snapshot);
	_cleanup_(free_ptr) char *key = xasprintf("%s/%s", id ? id : "", name);
	json_int_t created = disks_number(snapshot, "date-sec"),
		   memory = disks_number(snapshot, "vm-state-size"), before;
	json_t *row = json_object_get(rows, key);

	if (!row) {
		row = json_pack("[s, i, i, [], s?]", name, 0, 0, id);
		json_object_set_new(rows, key, row);
	}
	json_array_append_new(json_array_get(row, ROW_DISKS), json_string(d->id));
	before = json_integer_value(json_array_get(row, ROW_CREATED));
	if (created && (!before || created < before))
		json_array_set_new(row, ROW_CREATED, json_integer(created));
	if (memory > json_integer_value(json_array_get(row, ROW_MEMORY)))
		json_array_set_new(row, ROW_MEMORY, json_integer(memory));
}

json_t *snapshot_table(const struct snapshot_disks *s)
{
	json_t *by_name = json_object(), *rows = json_array(), *doubled = disks_doubled_names(s),
	       *snapshot, *r, **row;
	const char *name;
	size_t n = 0, k;

	for (size_t i = 0; i < s->n; i++)
		json_array_foreach (s->disk[i].snapshots, k, snapshot)
			if ((name = disks_name_of(snapshot)))
				disks_add_to_row(by_name, &s->disk[i], snapshot,
					json_object_get(doubled, name) ? snapshot_id(snapshot)
								       : NULL);
	row = xcalloc(json_object_size(by_name) + 1, sizeof(json_t *));
	json_object_foreach (by_name, name, r)
		row[n++] = r;
	qsort(row, n, sizeof(json_t *), disks_row_by_time);
	for (size_t i = 0; i < n; i++)
		json_array_append(rows, row[i]);
	free(row);
	json_decref(by_name);
	json_decref(doubled);
	return api_table(api_snapshot_row, rows);
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

static int disks_refuse_volume(const struct snapshot_disk *d, struct err *e)
{
	_cleanup_(free_ptr) char *quoted = text_shell_quote(d->path);

	err_set(e, ERR_INVALID_CONFIG,
		"disk '%s' is a volume of store '%s': there are no snapshots of volumes", d->id,
		d->store);
	return err_hint(e,
		"stop it, and take one with the store's own tools; or qemu-img convert -f raw -O qcow2 "
		"%s NEW.qcow2, and name that in Path=, without Store=",
		quoted);
}

int snapshot_check_disks(const struct snapshot_disks *s, struct err *e)
{
	if (s->n == 0)
		return err_set(e, ERR_INVALID_CONFIG,
			"it has no writable disk, so there is nothing to hold a snapshot");
	for (size_t i = 0; i < s->n; i++)
		if (s->disk[i].store) {
			return disks_refuse_volume(&s->disk[i], e);
		} else if (!s->disk[i].qcow2) {
			err_set(e, ERR_INVALID_CONFIG,
				"disk '%s' is raw: only qcow2 can hold snapshots", s->disk[i].id);
			return err_hint(e,
				"stop it, qemu-img convert -f raw -O qcow2 OLD NEW.qcow2, and name that "
				"in Path=; or ReadOnly=yes");
		}
	return 0;
}

static int disks_refuse_bitmaps(const struct snapshot_disk *d, struct err *e)
{
	const char *name = disks_name_of(json_array_get(d->bitmaps, 0));
	_cleanup_(free_ptr) char *safe =
		text_escape(name ? name : "", name ? strlen(name) : 0, false);
	_cleanup_(free_ptr) char *path = text_shell_quote(d->path), *word = text_shell_quote(safe);
	size_t others = json_array_size(d->bitmaps) - 1;

	err_set(e, ERR_CONFLICT,
		"disk '%s' has the dirty bitmap '%s'%s: QEMU does not revert a disk that has "
		"one",
		d->id, safe, others ? ", and others" : "");
	return err_hint(e,
		"backup tools create them; with the VM off, qemu-img bitmap --remove %s %s removes it, and "
		"the next backup is a full one",
		path, word);
}

int snapshot_check_bitmaps(const struct snapshot_disks *s, struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->disk[i].bitmaps)
			return disks_refuse_bitmaps(&s->disk[i], e);
	return 0;
}

int snapshot_check_free(const struct snapshot_disks *s, const char *name, struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (snapshot_find(&s->disk[i], name))
			return err_set(e, ERR_CONFLICT, "snapshot '%s' already exists on disk '%s'",
				name, s->disk[i].id);
	return 0;
}

int snapshot_check_there(
	const struct snapshot_disks *s, const char *vm, const char *name, bool all, struct err *e)
{
	const char *with = NULL, *without = NULL;

	for (size_t i = 0; i < s->n; i++)
		*(snapshot_find(&s->disk[i], name) ? &with : &without) = s->disk[i].id;
	if (!with) {
		err_set(e, ERR_NOT_FOUND, "there is no snapshot '%s'", name);
		return err_hint(e, "vmkeep snapshot list %s lists them", vm);
	}
	if (!all || !without)
		return 0;
	err_set(e, ERR_CONFLICT,
		"snapshot '%s' is on disk '%s' but not on '%s': the disks would not match", name,
		with, without);
	return err_hint(e,
		"if disk '%s' is newer, take it out of the VM's file for the revert; vmkeep snapshot "
		"delete %s %s removes what is left of the snapshot",
		without, vm, name);
}
