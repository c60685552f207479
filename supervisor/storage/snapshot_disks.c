/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <limits.h>

#include "base/mem.h"
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
			device_disk_path(d, image_dir, path), disks_is_qcow2(d, id));
		added->beneath = d->path[0] != '/';
		added->has_base = d->base.n > 0;
		identity_disk_day(id, d->id, added->created);
	}
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

static struct snapshot_disk *disks_by_node(struct snapshot_disks *s, const char *node)
{
	for (size_t i = 0; i < s->n; i++)
		if (streq(s->disk[i].node, node))
			return &s->disk[i];
	return NULL;
}

int snapshot_disk_take(struct snapshot_disk *d, const json_t *image, struct err *e)
{
	json_t *list = json_object_get(image, "snapshots");

	json_decref(d->snapshots);
	d->snapshots = NULL;
	if (!json_is_object(image) || (list && !json_is_array(list)))
		return err_set(e, ERR_FAILED, "disk '%s': what it holds could not be read", d->id);
	if (json_array_size(list) > SNAPSHOTS_MAX) {
		err_set(e, ERR_FAILED, "disk '%s': its header tells of %zu snapshots, more than %d",
			d->id, json_array_size(list), SNAPSHOTS_MAX);
		return err_hint(e, "the header is hostile or damaged; qemu-img convert copies what "
				   "the disk holds now");
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
	}
	for (i = 0; r == 0 && i < s->n; i++)
		if (!s->disk[i].snapshots)
			r = err_set(
				e, ERR_FAILED, "QEMU tells nothing of disk '%s'", s->disk[i].id);
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

const json_t *snapshot_find(const struct snapshot_disk *d, const char *name)
{
	json_t *snapshot;
	size_t i;

	json_array_foreach (d->snapshots, i, snapshot)
		if (streq(disks_name_of(snapshot), name))
			return snapshot;
	return NULL;
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

/* --- the table: sorted by name and disk, put together, sorted by time --- */

struct entry {
	const char *name;
	size_t disk, at; /* at: index on the disk; the first of a name counts */
	json_int_t created, memory;
};

static int disks_entry_by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order == 0)
		order = (x->disk > y->disk) - (x->disk < y->disk);
	return order ? order : (x->at > y->at) - (x->at < y->at);
}

static int disks_row_by_time(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	json_int_t at = json_integer_value(json_array_get(x, 1)),
		   other = json_integer_value(json_array_get(y, 1));

	if (at != other)
		return at > other ? 1 : -1;
	return strcmp(
		json_string_value(json_array_get(x, 0)), json_string_value(json_array_get(y, 0)));
}

static size_t disks_entries_of(const struct snapshot_disks *s, struct entry *all)
{
	json_t *snapshot;
	size_t n = 0, k;

	for (size_t i = 0; i < s->n; i++)
		json_array_foreach (s->disk[i].snapshots, k, snapshot)
			if (disks_name_of(snapshot))
				all[n++] = (struct entry){ disks_name_of(snapshot), i, k,
					disks_number(snapshot, "date-sec"),
					disks_number(snapshot, "vm-state-size") };
	qsort(all, n, sizeof *all, disks_entry_by_name);
	return n;
}

/* From the entries of one name, at first; *next: behind them. */
static json_t *disks_row_of(const struct snapshot_disks *s, const struct entry *first,
	const struct entry *end, const struct entry **next)
{
	json_t *disks = json_array();
	json_int_t created = 0, memory = 0;
	const struct entry *e = first;

	for (; e < end && streq(e->name, first->name); e++) {
		if (e > first && e->disk == e[-1].disk)
			continue;
		if (e->created && (!created || e->created < created))
			created = e->created;
		memory = e->memory > memory ? e->memory : memory;
		json_array_append_new(disks, json_string(s->disk[e->disk].id));
	}
	*next = e;
	return json_pack("[s, I, I, o]", first->name, created, memory, disks);
}

json_t *snapshot_table(const struct snapshot_disks *s)
{
	json_t *rows = json_array(), **row;
	const struct entry *e, *end;
	struct entry *all;
	size_t n = 0, most = 0;

	for (size_t i = 0; i < s->n; i++)
		most += json_array_size(s->disk[i].snapshots);
	all = xcalloc(most + 1, sizeof *all);
	row = xcalloc(most + 1, sizeof(json_t *));
	for (e = all, end = all + disks_entries_of(s, all); e < end;)
		row[n++] = disks_row_of(s, e, end, &e);
	qsort(row, n, sizeof(json_t *), disks_row_by_time);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(rows, row[i]);
	free(row);
	free(all);
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
