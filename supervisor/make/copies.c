/* SPDX-License-Identifier: MIT */
#include "supervisor/make/copies_private.h"

#include <errno.h>
#include <ev.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/jail/plan.h"
#include "supervisor/vm/dirs.h"

static const double IDLE_SECONDS = 600, PLACE_SECONDS = 120;

struct copy {
	struct copies *all;
	char *what, *path;
	json_t *argv, *files;
	struct confined *tool; /* running qemu-img */
	int sock;	       /* to the keeper of the new image; -1: it is gone */
	ev_io said;
	struct buf line;
	bool disk, asked, placed;
	bool may_lack, lacks; /* the original: its Size= is made by a first start */
};

struct copies {
	struct daemon *daemon;
	struct job *job;
	char *vm;
	struct identity identity;
	uid_t uid;
	struct copy *copy;
	size_t n, at;
	struct loop_timer timer; /* placing takes no longer than this */
	struct err error;
	copies_fn *done;
	void *data;
	bool never_ran, begun, told;
};

static void copies_next(struct copies *c);

void copies_add(
	struct copies *c, const struct conf_disk *disk, const char *path, const char *beneath)
{
	struct copy *one;
	json_t *new;

	c->copy = xrealloc(c->copy, c->n + 1, sizeof *c->copy);
	one = &c->copy[c->n++];
	*one = (struct copy){
		.path = xstrdup(path), .files = json_array(), .sock = -1, .line = BUF_MAX(PLAN_MAX)
	};
	if (disk) {
		one->disk = true;
		one->may_lack = disk->size && c->never_ran;
		one->what = xasprintf("disk '%s'", disk->id);
		one->argv = copies_plan_disk(one->files, &c->identity, disk, c->daemon->image_dir,
			one->what, path, beneath);
	} else {
		_cleanup_(free_ptr) char *own = vm_path(c->vm, VM_NVRAM),
					 *from = xasprintf("%s/%s", c->daemon->dirs.state, own);

		one->what = xstrdup("UEFI variables");
		one->argv = copies_plan_nvram(one->files, from, one->what, path, beneath);
	}
	new = json_array_get(one->files, json_array_size(one->files) - 1);
	json_object_set_new(new, "write", json_true());
	json_object_set_new(new, "copy", json_true());
}

/* --- one image --- */

static void copies_close(struct copy *one)
{
	if (one->sock < 0)
		return;
	ev_io_stop(one->all->daemon->loop.ev, &one->said);
	close_fd(&one->sock);
}

static void copies_fail(struct copies *c, const struct err *e)
{
	if (!c->error.number)
		err_copy(&c->error, e);
}

static void copies_refused(struct copy *one, const struct err *e)
{
	one->lacks |= one->may_lack && e->class == ERR_NOT_FOUND;
	if (!one->lacks)
		copies_fail(one->all, e);
}

static void copies_on_line(void *data, const json_t *doc)
{
	struct copy *one = data;
	struct copies *c = one->all;
	const json_t *error = json_object_get(doc, "error"),
		     *progress = json_object_get(doc, "progress");
	struct err e = ERR_INIT;

	if (error) {
		confine_error(error, &e);
		copies_refused(one, &e);
	} else if (json_object_get(doc, "placed")) {
		one->placed = true;
	} else if (progress) {
		job_progress(c->job, c->at * 100 + (uint64_t)json_integer_value(progress),
			c->n * 100, one->what);
	}
}

/* Its end, once it has nothing more to do: the keeper has removed what is not to stay. */
static void copies_on_said(struct ev_loop *ev, ev_io *w, int revents)
{
	struct copy *one = w->data;
	struct copies *c = one->all;
	const bool placed = one->placed;

	if (!confine_read(one->sock, &one->line, NULL, copies_on_line, one)) {
		copies_close(one);
		if (!one->tool)
			copies_next(c);
	} else if (one->placed && !placed) {
		copies_next(c);
	}
}

static void copies_explain(const struct copy *one, const struct child_result *r, struct err *e)
{
	const char *last = strstr(r->err, "': "), *from = last ? last + 3 : r->err;
	_cleanup_(free_ptr) char *said = text_escape(from, strcspn(from, "\n"), false);
	char late[CHILD_LATE];

	if (r->status == -ETIMEDOUT)
		err_set(e, ERR_TIMEOUT, "%s: qemu-img %s: is the storage hanging?", one->what,
			child_late(r, late));
	else if (r->status < 0)
		err_set(e, ERR_FAILED, "%s: qemu-img was killed: %s", one->what,
			strsignal(-r->status));
	else if (strstr(r->err, strerror(ENOSPC)))
		err_set(e, ERR_NO_RESOURCES, "%s: no space is left for %s", one->what, one->path);
	else
		err_set(e, ERR_FAILED, "%s: %s", one->what, *said ? said : "qemu-img failed");
}

static void copies_on_done(void *data, const struct child_result *r, const struct err *jail)
{
	struct copy *one = data;
	struct copies *c = one->all;
	struct err e = ERR_INIT;

	one->tool = NULL;
	if (one->sock >= 0 && !confine_read(one->sock, &one->line, NULL, copies_on_line, one))
		copies_close(one);
	if (jail)
		copies_refused(one, jail);
	if (r->status != 0 && !one->lacks) {
		copies_explain(one, r, &e);
		copies_fail(c, &e);
	}
	c->at++;
	copies_next(c);
}

static void copies_begin(struct copies *c, struct copy *one)
{
	const struct child_options o = { .timeout = IDLE_SECONDS, .while_idle = true };
	const char *argv[16] = { NULL };
	struct err e = ERR_INIT;
	json_t *plan;

	for (size_t i = 0; i < json_array_size(one->argv); i++)
		argv[i] = json_string_value(json_array_get(one->argv, i));
	job_progress(c->job, c->at * 100, c->n * 100, one->what);
	plan = confine_plan("copy", c->vm, c->uid, c->daemon->dirs.run, argv, &e);
	if (plan) {
		json_object_set(plan, "files", one->files);
		one->tool = confine_run(c->daemon->loop.ev, c->daemon->jail, plan, NULL, 0, &o,
			copies_on_done, one, &e);
	}
	if (!one->tool) {
		copies_fail(c, &e);
		copies_next(c);
		return;
	}
	one->sock = confine_socket(one->tool);
	ev_io_init(&one->said, copies_on_said, one->sock, EV_READ);
	one->said.data = one;
	ev_io_start(c->daemon->loop.ev, &one->said);
}

static void copies_say(struct copy *one, char byte)
{
	send(one->sock, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* --- all of them --- */

static void copies_tell(struct copies *c)
{
	if (c->told)
		return;
	c->told = true;
	loop_timer_stop(&c->timer);
	c->job->cancel = NULL;
	c->done(c->data, c->error.number ? &c->error : NULL);
}

/* Every keeper removes its image, and then ends. */
static void copies_undo(struct copies *c)
{
	bool waits = false;

	for (size_t i = 0; i < c->n; i++) {
		struct copy *one = &c->copy[i];

		if (one->sock < 0)
			continue;
		waits = true;
		if (one->placed)
			copies_say(one, PLAN_COPY_DROP);
		shutdown(one->sock, SHUT_WR);
	}
	if (!waits)
		copies_tell(c);
	else if (!loop_timer_is_active(&c->timer))
		loop_timer_start(&c->timer, PLACE_SECONDS);
}

static void copies_place(struct copies *c)
{
	for (size_t i = 0; i < c->n; i++) {
		struct copy *one = &c->copy[i];

		if (one->placed || one->lacks)
			continue;
		if (one->sock < 0) {
			err_set(&c->error, ERR_FAILED, "%s: the process that keeps %s was killed",
				one->what, one->path);
			copies_undo(c);
			return;
		}
		if (!one->asked) {
			one->asked = true;
			c->job->cancel = NULL;
			loop_timer_start(&c->timer, PLACE_SECONDS);
			copies_say(one, PLAN_COPY_PLACE);
		}
		return;
	}
	copies_tell(c);
}

static void copies_next(struct copies *c)
{
	if (c->told)
		return;
	if (c->at < c->n && c->copy[c->at].tool)
		return; /* until it has ended */
	if (c->error.number)
		copies_undo(c);
	else if (c->at < c->n)
		copies_begin(c, &c->copy[c->at]);
	else
		copies_place(c);
}

static void copies_on_timer(void *data)
{
	struct copies *c = data;
	struct err e = ERR_INIT;

	if (c->begun) {
		err_set(&e, ERR_TIMEOUT, "the file system of the new images does not respond");
		copies_fail(c, &e);
		for (size_t i = 0; i < c->n; i++)
			copies_close(&c->copy[i]);
		copies_tell(c);
	} else {
		c->begun = true;
		copies_next(c);
	}
}

static int copies_cancel(void *data, struct err *e)
{
	struct copies *c = data;
	struct err own = ERR_INIT;

	err_set(&own, ERR_FAILED, "cancelled, and what had been copied was removed");
	copies_fail(c, &own);
	if (c->at < c->n && c->copy[c->at].tool)
		confine_kill(c->copy[c->at].tool);
	return 0;
}

struct copies *copies_new(struct vm *vm, struct job *j, copies_fn *done, void *data)
{
	struct copies *c = xcalloc(1, sizeof *c);

	*c = (struct copies){ .daemon = vm->daemon,
		.job = j,
		.vm = xstrdup(vm->name),
		.uid = vm->identity.uid,
		.never_ran = !vm->identity.kept,
		.done = done,
		.data = data };
	identity_copy(&c->identity, &vm->identity);
	loop_timer_init(&c->timer, vm->daemon->loop.ev, copies_on_timer, c);
	return c;
}

void copies_run(struct copies *c)
{
	for (size_t i = 0; i < c->n; i++)
		c->copy[i].all = c;
	c->job->cancel = copies_cancel;
	c->job->cancel_data = c;
	loop_timer_start(&c->timer, 0);
}

json_t *copies_made(const struct copies *c)
{
	json_t *paths = json_array();

	for (size_t i = 0; i < c->n; i++)
		if (c->copy[i].disk && c->copy[i].placed)
			json_array_append_new(paths, json_string(c->copy[i].path));
	return paths;
}

void copies_drop(struct copies *c, const struct err *e)
{
	c->told = false;
	copies_fail(c, e);
	copies_undo(c);
}

void copies_free(struct copies *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++) {
		struct copy *one = &c->copy[i];

		copies_close(one);
		confine_cancel(one->tool);
		buf_release(&one->line);
		json_decref(one->argv);
		json_decref(one->files);
		free(one->what);
		free(one->path);
	}
	loop_timer_stop(&c->timer);
	identity_release(&c->identity);
	free(c->copy);
	free(c->vm);
	free(c);
}
