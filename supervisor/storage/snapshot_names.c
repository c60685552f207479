/* SPDX-License-Identifier: MIT */
/* Which snapshot a name means, to us and to QEMU. Pure. */
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/storage/snapshot_private.h"

static const char *names_text(const json_t *snapshot, const char *key)
{
	const char *s = json_string_value(json_object_get(snapshot, key));

	return s ? s : "";
}

const char *snapshot_id(const json_t *snapshot)
{
	return names_text(snapshot, "id");
}

static bool names_match(const json_t *snapshot, const char *name)
{
	const char *real = json_string_value(json_object_get(snapshot, "name"));
	_cleanup_(free_ptr) char *printed = NULL;

	if (real && !*real && streq(name, "-")) /* an empty name in a list */
		return true;
	/* what is printed differently has a backslash in print */
	if (!real || streq(real, name) || !strchr(name, '\\'))
		return real && streq(real, name);
	printed = text_escape(real, strlen(real), false);
	return streq(printed, name);
}

static bool names_is(const struct snapshot_disk *d, const json_t *snapshot, const char *name)
{
	return names_match(snapshot, name) &&
	       (!d->id_wanted || streq(snapshot_id(snapshot), d->id_wanted));
}

const json_t *snapshot_find(const struct snapshot_disk *d, const char *name)
{
	json_t *snapshot;
	size_t i;

	json_array_foreach (d->snapshots, i, snapshot)
		if (names_is(d, snapshot, name))
			return snapshot;
	return NULL;
}

static size_t names_count(const struct snapshot_disk *d, const char *name)
{
	json_t *snapshot;
	size_t i, n = 0;

	json_array_foreach (d->snapshots, i, snapshot)
		n += names_is(d, snapshot, name);
	return n;
}

const char *snapshot_word(const struct snapshot_disk *d, const char *name, bool id)
{
	const json_t *found = snapshot_find(d, name);

	return found ? names_text(found, id ? "id" : "name") : name;
}

static int names_refuse_doubled(const struct snapshot_disk *d, const char *name, struct err *e)
{
	_cleanup_(buf_release) struct buf ids = BUF_MAX(256);
	json_t *snapshot;
	size_t i;

	json_array_foreach (d->snapshots, i, snapshot)
		if (names_is(d, snapshot, name))
			buf_printf(&ids, "%s%s", ids.len ? ", " : "", snapshot_id(snapshot));
	err_set(e, ERR_CONFLICT, "disk '%s' has %zu snapshots called '%s'", d->id,
		names_count(d, name), name);
	return err_hint(e, "say which one with --id: %s", ids.data ? ids.data : "");
}

/* The first snapshot whose key has this value. */
static const json_t *names_first(const struct snapshot_disk *d, const char *key, const char *value)
{
	json_t *snapshot;
	size_t i;

	json_array_foreach (d->snapshots, i, snapshot)
		if (streq(names_text(snapshot, key), value))
			return snapshot;
	return NULL;
}

/* QEMU prints U+FFFD for what is not UTF-8 in a name, so we do not know the name. */
static bool names_is_known(const char *name)
{
	return !strstr(name, "\xef\xbf\xbd");
}

static int names_check_disk(const struct snapshot_disk *d, const char *name, enum snapshot_way way,
	const char **same, struct err *e)
{
	const json_t *meant = snapshot_find(d, name), *by_id;
	const char *real, *id;

	if (!meant)
		return 0;
	real = names_text(meant, "name");
	id = snapshot_id(meant);
	by_id = names_first(d, "id", way == SNAPSHOT_BY_ID ? id : real);
	if (names_count(d, name) > 1)
		return names_refuse_doubled(d, name, e);
	if (*same && !streq(*same, real))
		return err_set(e, ERR_CONFLICT,
			"the disks have different snapshots that are listed as '%s'", name);
	*same = real;
	if (way == SNAPSHOT_BY_ID && (!*id || by_id != meant))
		return err_set(e, ERR_CONFLICT,
			"disk '%s' has several snapshots with the id '%s': its header is damaged",
			d->id, id);
	if (way != SNAPSHOT_BY_ID && !names_is_known(real)) {
		err_set(e, ERR_CONFLICT, "the name of '%s' on disk '%s' is not UTF-8", name, d->id);
		return err_hint(e,
			"qemu-img convert copies the disk's current contents, without snapshots");
	}
	if (way != SNAPSHOT_BY_ID && names_first(d, "name", real) != meant) {
		err_set(e, ERR_CONFLICT,
			"QEMU finds only the first of the snapshots called '%s' on disk '%s'", name,
			d->id);
		return err_hint(e, "delete the first one first: --id %s",
			snapshot_id(names_first(d, "name", real)));
	}
	if (way == SNAPSHOT_BY_TAG && by_id && by_id != meant) {
		err_set(e, ERR_CONFLICT,
			"QEMU would load another snapshot, whose id on disk '%s' is '%s'", d->id,
			name);
		return err_hint(e, "with the VM off, --disks-only reverts its disks to this one");
	}
	return 0;
}

int snapshot_check_exact(
	const struct snapshot_disks *s, const char *name, enum snapshot_way way, struct err *e)
{
	const char *same = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = names_check_disk(&s->disk[i], name, way, &same, e);
	return r;
}

/* A new name that is an id already would be loaded as that one. */
int snapshot_check_no_id(const struct snapshot_disks *s, const char *name, struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (names_first(&s->disk[i], "id", name))
			return err_set(e, ERR_CONFLICT, "a snapshot on disk '%s' has the id '%s'",
				s->disk[i].id, name);
	return 0;
}
