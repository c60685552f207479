/* SPDX-License-Identifier: MIT */
/*
 * Checks whether the images that guests write could together outgrow their file systems.
 * vmkeep-jail inspects them, as it does all files named by an operator, and reports where each one
 * is and by how much it may grow; the sums are computed here. Images in the image directory come
 * first, and files that did not respond before are not tried again; a check of one VM ignores other
 * VMs' images elsewhere.
 */
#include <limits.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/host/uids.h"
#include "supervisor/jail/plan.h"
#include "supervisor/check/vm.h"
#include "supervisor/qemu/device.h"

enum { SPACE_FILES = 128, SPACE_BYTES = 64 << 10 /* per plan */ };

struct space_image {
	const char *vm, *id, *path, *what;
	struct conf_place place;
	enum conf_format format;
	const char *beneath; /* its store's directory, or NULL */
	bool outside;	     /* of the image directory, also in another store */
	bool mounted, known; /* mounted: its store must be */
	uint64_t create;
	uint64_t dev, grows, room; /* valid if known */
};

struct space_sum { /* per file system */
	uint64_t dev, total, own, room;
	size_t vms;
	const struct space_image *last, *place; /* place: the disk to report it for */
};

struct check_space {
	struct daemon *daemon;
	struct arena arena;
	struct space_image *image;
	size_t n, next, room;
	bool outside;			 /* now at images outside of the image directory */
	size_t at[SPACE_FILES], in_plan; /* images being inspected now */
	const char *only;		 /* NULL: all VMs are checked */
	struct check_jail *jail;
	struct conf_problems *rows;
	void (*done)(void *data);
	void *data;
};

static void space_next(struct check_space *s);

/* --- collecting images --- */

static void space_add(struct check_space *s, const struct vm *vm, const struct conf_disk *d)
{
	enum conf_format format = device_disk_format(d, &vm->identity);
	struct space_image *i;
	char path[PATH_MAX];

	device_disk_path(d, d->path, s->daemon->image_dir, path);
	GROW(s->image, s->n, s->room);
	i = &s->image[s->n++];
	*i = (struct space_image){ .vm = arena_strdup(&s->arena, vm->name),
		.id = arena_strdup(&s->arena, d->id),
		.path = arena_strdup(&s->arena, path),
		.what = arena_printf(&s->arena, "disk '%s' of VM '%s'", d->id, vm->name),
		.place = d->place,
		.format = format == CONF_FORMAT_AUTO ? conf_disk_format(d) : format,
		.beneath = d->path[0] == '/' ? NULL
					     : arena_strdup(&s->arena,
						       device_disk_dir(d, s->daemon->image_dir)),
		.mounted = d->dir_mounted && d->path[0] != '/',
		.outside = d->dir || d->path[0] == '/',
		.create = d->size };
	i->place.file = d->place.file ? arena_strdup(&s->arena, d->place.file) : NULL;
}

static void space_add_all(struct check_space *s, const struct vm *vm)
{
	for (size_t i = 0; vm->file.have_conf && i < vm->file.conf.disks; i++) {
		const struct conf_disk *d = &vm->file.conf.disk[i];

		if (d->path && !d->cdrom && !d->read_only && !d->volume &&
			!device_path_is_block(d->path))
			space_add(s, vm, d);
	}
}

struct check_space *check_space_new(
	struct daemon *d, struct vm *const *vm, size_t n, const char *only)
{
	struct check_space *s = xcalloc(1, sizeof *s);

	s->daemon = d;
	s->only = only ? arena_strdup(&s->arena, only) : NULL;
	for (size_t i = 0; i < n; i++)
		space_add_all(s, vm[i]);
	return s;
}

void check_space_skip(struct check_space *s, const char *vm)
{
	for (size_t i = 0; i < s->n; i++)
		if (streq(s->image[i].vm, vm))
			s->image[i].path = NULL;
}

void check_space_free(struct check_space *s)
{
	if (!s)
		return;
	check_jail_cancel(s->jail);
	arena_release(&s->arena);
	free(s->image);
	free(s);
}

/* --- evaluation --- */

static struct space_sum *space_sum_of(struct space_sum *sum, size_t *n, const struct space_image *i)
{
	for (size_t k = 0; k < *n; k++)
		if (sum[k].dev == i->dev)
			return &sum[k];
	sum[*n] = (struct space_sum){ .dev = i->dev, .room = i->room, .place = i };
	return &sum[(*n)++];
}

static void space_count(
	const struct check_space *s, struct space_sum *sum, const struct space_image *i)
{
	bool own = s->only && streq(i->vm, s->only);

	sum->vms += !sum->last || !streq(sum->last->vm, i->vm);
	sum->last = i;
	sum->total = sum->total + i->grows < sum->total ? UINT64_MAX : sum->total + i->grows;
	sum->own += own ? i->grows : 0;
	if (s->only ? own && !streq(sum->place->vm, s->only) : i->grows > sum->place->grows)
		sum->place = i;
	sum->room = i->room < sum->room ? i->room : sum->room;
}

static void space_tell(const struct check_space *s, const struct space_sum *sum, size_t unknown)
{
	char more[16], left[16], also[64] = "";
	struct err e = ERR_INIT;

	if (unknown)
		snprintf(also, sizeof also, "; %zu more could not be examined", unknown);
	err_set(&e, ERR_NO_RESOURCES,
		"disk '%s': the images of %zu VMs on the file system of %s may together still grow by %s, but it has %s left%s",
		sum->place->id, sum->vms, sum->place->path,
		text_size(more, sizeof more, sum->total), text_size(left, sizeof left, sum->room),
		also);
	err_hint(&e,
		"free space there, move an image, or give each directory a quota: a guest whose disk cannot grow is paused");
	check_row(s->rows, &sum->place->place, "Path", "warning", &e);
}

static void space_end(struct check_space *s)
{
	struct space_sum *sum = xcalloc(s->n + 1, sizeof *sum);
	size_t n = 0, unknown = 0;

	for (size_t i = 0; i < s->n; i++) {
		unknown += !s->image[i].known;
		if (s->image[i].known && s->image[i].grows)
			space_count(s, space_sum_of(sum, &n, &s->image[i]), &s->image[i]);
	}
	/* growth of one VM's own images is reported by that VM's own check */
	for (size_t i = 0; i < n; i++)
		if (sum[i].total > sum[i].room && sum[i].vms > 1 &&
			(!s->only || (sum[i].own && sum[i].own <= sum[i].room)))
			space_tell(s, &sum[i], unknown);
	free(sum);
	s->done(s->data);
}

/* --- inspection --- */

static uint64_t space_number_of(const json_t *growth, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(growth, key));

	return n > 0 ? (uint64_t)n : 0;
}

static void space_on_growth(void *data, const json_t *growth, const struct err *e)
{
	struct check_space *s = data;
	struct space_image *i;
	uint64_t index = space_number_of(growth, "file");

	if (!growth) {
		s->jail = NULL;
		if (e) { /* a timeout: others may hang, too */
			s->next = s->n;
			s->outside = true;
		}
		space_next(s);
		return;
	}
	if (index >= s->in_plan)
		return;
	i = &s->image[s->at[index]];
	i->known = true;
	i->dev = space_number_of(growth, "dev");
	i->grows = space_number_of(growth, "grows");
	i->room = space_number_of(growth, "room");
}

/* Does the VM that is checked write to this store? Others may hang. */
static bool space_shares_store(const struct check_space *s, const struct space_image *i)
{
	for (size_t k = 0; i->beneath && k < s->n; k++)
		if (streq(s->image[k].vm, s->only) && streq(s->image[k].beneath, i->beneath))
			return true;
	return false;
}

/* For a check of one VM, other VMs' images count only in the image directory and in its stores:
 * elsewhere they may be on any file system. */
static bool space_wanted(const struct check_space *s, const struct space_image *i)
{
	if (!i->path || i->outside != s->outside)
		return false;
	return !s->only || !i->outside || space_shares_store(s, i) || streq(i->vm, s->only);
}

static const struct space_image *space_take(struct check_space *s)
{
	while (s->next < s->n || !s->outside) {
		if (s->next == s->n) {
			s->outside = true;
			s->next = 0;
		} else if (space_wanted(s, &s->image[s->next])) {
			return &s->image[s->next++];
		} else {
			s->next++;
		}
	}
	return NULL;
}

static json_t *space_files(struct check_space *s)
{
	const struct space_image *i;
	json_t *files = json_array();
	size_t bytes = 0;

	s->in_plan = 0;
	while (s->in_plan < SPACE_FILES && bytes < SPACE_BYTES && (i = space_take(s))) {
		s->at[s->in_plan++] = (size_t)(i - s->image);
		bytes += strlen(i->path) + strlen(i->what);
		json_array_append_new(files,
			json_pack("{s:s, s:s, s:s, s:s, s:s*, s:b, s:b, s:s, s:I}", "kind", "disk",
				"what", i->what, "id", i->id, "path", i->path, "beneath",
				i->beneath, "mounted", i->mounted, "write", 1, "format",
				conf_format_name(i->format), "create", (json_int_t)i->create));
	}
	return files;
}

static void space_next(struct check_space *s)
{
	json_t *plan, *files = space_files(s);
	struct err e = ERR_INIT;

	if (s->in_plan == 0) {
		json_decref(files);
		space_end(s);
		return;
	}
	plan = json_pack("{s:i, s:s, s:i, s:[s], s:s, s:b, s:b, s:o}", "version", PLAN_VERSION,
		"name", "space", "uid", (int)s->daemon->uids->probe, "argv",
		"/usr/bin/qemu-system-x86_64", "root", "/run", "check", 1, "space", 1, "files",
		files);
	if (plan)
		s->jail = check_jail_run(s->daemon, "space", plan, space_on_growth, s, &e);
	if (!s->jail)
		space_end(s);
}

void check_space_run(
	struct check_space *s, struct conf_problems *rows, void (*done)(void *data), void *data)
{
	s->rows = rows;
	s->done = done;
	s->data = data;
	space_next(s);
}
