/* SPDX-License-Identifier: MIT */
/*
 * Disks in stores of Type=program: the program is asked for each volume, and makes it on a user's
 * request, if it has Size= and was never there. Killed in between, the next start finds it by its
 * name.
 */
#include <inttypes.h>
#include <limits.h>

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/qemu/device.h"
#include "supervisor/start/check.h"

/* NULL: no volume is left. */
static struct conf_disk *volumes_next(struct vm *vm, size_t *at)
{
	struct conf_vm *c = &vm->proc.conf;

	while (*at < c->disks && !c->disk[*at].volume)
		++*at;
	return *at < c->disks ? &c->disk[*at] : NULL;
}

static struct volume_call *volumes_ask(struct vm *vm, const struct conf_disk *d, const char *verb,
	const char *size, volume_fn *done, void *data, struct err *e)
{
	const struct volume_request r = { .store = conf_daemon_store(&vm->daemon->conf, d->store),
		.verb = verb,
		.name = d->path,
		.more = size };
	struct volume_call *call = NULL;

	if (!r.store || !r.store->program) /* vmkeep.conf has changed */
		err_set(e, ERR_INVALID_CONFIG, "vmkeep.conf has no program for store '%s'",
			d->store);
	else
		call = volume_ask(vm->daemon, &r, done, data, e);
	if (!call)
		err_wrap(e, e->number, "disk '%s'", d->id);
	return call;
}

/* The volume is not there: may it be made? */
static int volumes_may_make(const struct vm *vm, const struct conf_disk *d, struct err *e)
{
	char path[PATH_MAX], created[16], seen[16];

	device_disk_path(d, d->path, vm->daemon->image_dir, path);
	identity_disk_day(&vm->identity, d->id, created);
	identity_image_day(&vm->identity, d->id, path, path, seen);
	if (*created || *seen) {
		err_set(e, ERR_NOT_FOUND, "disk '%s' %s on %s is missing: store '%s' has no '%s'",
			d->id, *created ? "created" : "that was there", *created ? created : seen,
			d->store, d->path);
		return err_hint(
			e, "restore it from a backup, or write another Path= for a new volume");
	}
	if (d->size)
		return 0;
	err_set(e, ERR_NOT_FOUND, "disk '%s': store '%s' has no volume '%s'", d->id, d->store,
		d->path);
	return err_hint(e, "correct Path=, or write Size= to have it created");
}

static int volumes_uncreated(const struct vm *vm, const struct conf_disk *d, struct err *e)
{
	err_set(e, ERR_NOT_FOUND, "disk '%s' does not exist yet: 'vmkeep start %s' creates it",
		d->id, vm->name);
	return err_hint(e,
		"only a start or reboot that a user requests creates %s, not the host's boot or Restart=",
		d->path);
}

/* --- start --- */

static void volumes_on_made(
	void *data, enum volume_answer answer, const char *said, const struct err *e)
{
	struct vm_start *s = data;
	struct conf_disk *d = &s->vm->proc.conf.disk[s->disk];
	struct err own;

	s->volume = NULL;
	if (answer == VOLUME_DONE) {
		d->volume = CONF_VOLUME_MADE;
		log_info(s->vm->name, "disk '%s': store '%s' created '%s'", d->id, d->store,
			d->path);
		start_at(s, s->step);
		return;
	}
	err_copy(&own, e);
	err_wrap(&own, 0, "disk '%s'", d->id);
	start_failed(s, &own);
}

static int volumes_make(struct vm_start *s, const struct conf_disk *d, struct err *e)
{
	char size[24];

	if (volumes_may_make(s->vm, d, e) < 0 ||
		(s->vm->st.by_policy && volumes_uncreated(s->vm, d, e) < 0)) {
		s->fault = VM_END_START_FAILED; /* somebody must make it */
		return e->number;
	}
	snprintf(size, sizeof size, "%" PRIu64, d->size);
	s->volume = volumes_ask(s->vm, d, "create", size, volumes_on_made, s, e);
	return s->volume ? 0 : e->number;
}

static void volumes_on_path(
	void *data, enum volume_answer answer, const char *said, const struct err *e)
{
	struct vm_start *s = data;
	const struct conf_disk *d = &s->vm->proc.conf.disk[s->disk];
	struct err own = ERR_INIT;

	s->volume = NULL;
	if (answer == VOLUME_DONE) {
		s->disk++;
		start_at(s, s->step);
		return;
	}
	if (answer == VOLUME_NONE && d->volume != CONF_VOLUME_MADE) {
		if (volumes_make(s, d, &own) == 0)
			return;
	} else {
		err_copy(&own, e);
		err_wrap(&own, 0, "disk '%s'", d->id);
	}
	start_failed(s, &own);
}

/* One after the other. */
int start_volumes(struct vm_start *s, struct err *e)
{
	const struct conf_disk *d = volumes_next(s->vm, &s->disk);

	if (!d)
		return STEP_DONE;
	s->volume = volumes_ask(s->vm, d, "path", NULL, volumes_on_path, s, e);
	return s->volume ? STEP_WAITS : e->number;
}

/* --- check --- */

static void volumes_tell(const struct start_check *c, const struct conf_disk *d, const char *key,
	const char *severity, const struct err *e)
{
	const struct conf_vm *file = &c->vm->file.conf;
	const struct conf_place *place = &file->place;

	for (size_t i = 0; i < file->disks; i++)
		if (streq(file->disk[i].id, d->id))
			place = &file->disk[i].place;
	c->tell(c->data, place, key, severity, e);
}

static void volumes_on_seen(
	void *data, enum volume_answer answer, const char *said, const struct err *e)
{
	struct start_check *c = data;
	struct conf_disk *d = &c->vm->proc.conf.disk[c->disk++];
	struct err own = ERR_INIT;

	c->volume = NULL;
	if (answer != VOLUME_DONE)
		d->volume = CONF_VOLUME_ABSENT;
	if (answer == VOLUME_NONE && volumes_may_make(c->vm, d, &own) < 0) {
		volumes_tell(c, d, "Path", "error", &own);
	} else if (answer == VOLUME_NONE && c->vm->file.conf.enable == CONF_ENABLE_YES) {
		volumes_uncreated(c->vm, d, &own);
		volumes_tell(c, d, "Path", "warning", &own);
	} else if (answer != VOLUME_DONE && answer != VOLUME_NONE) {
		err_copy(&own, e);
		err_wrap(&own, 0, "disk '%s'", d->id);
		volumes_tell(c, d, "Store", "error", &own);
	}
	start_check_at(c, c->step);
}

/* Creates nothing. */
int start_check_volumes(struct start_check *c)
{
	struct conf_disk *d;
	struct err e = ERR_INIT;

	for (; (d = volumes_next(c->vm, &c->disk)); c->disk++) {
		daemon_look_conf(c->vm->daemon); /* as a start does */
		c->volume = volumes_ask(c->vm, d, "path", NULL, volumes_on_seen, c, &e);
		if (c->volume)
			return STEP_WAITS;
		d->volume = CONF_VOLUME_ABSENT;
		volumes_tell(c, d, "Store", "error", &e);
		err_clear(&e);
	}
	c->disk = 0; /* of the next VM */
	return STEP_DONE;
}
