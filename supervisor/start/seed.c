/* SPDX-License-Identifier: MIT */
/* The steps of seed.h in a start, and what a check does of them. */
#include "supervisor/start/seed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/start/check.h"
#include "supervisor/vm/dirs.h"

#define SEED_TEXTS "seed.d"
#define SEED_IMAGE "seed.iso"

/* The child reads the files; dir "": only for a check. */
static struct child *seed_run(struct vm *vm, const char *dir,
	void (*done)(void *data, const struct child_result *r), void *data, struct err *e)
{
	json_auto_t *document = seed_document(&vm->proc.conf, &vm->identity);
	char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
	const char *argv[] = { "/proc/self/exe", "--seed", dir, NULL };
	const struct child_options o = { .argv = argv, .input = text, .done = done, .data = data };
	struct child *child = NULL;

	if (!text)
		err_set(e, ERR_INVALID_CONFIG, "a value is not valid UTF-8");
	else
		child = child_run(vm->daemon->loop.ev, &o, e);
	free(text);
	return child;
}

/* key: which of [CloudInit] is wrong, "": none. */
static int seed_result(const struct child_result *r, char key[32], struct err *e)
{
	json_auto_t *said = r->status == 1 ? json_loads(r->out, 0, NULL) : NULL;
	const char *name = json_string_value(json_object_get(said, "key"));
	char late[CHILD_LATE];

	snprintf(key, 32, "%s", name ? name : "");
	if (r->status == -ETIMEDOUT)
		err_set(e, ERR_TIMEOUT,
			"a file system does not respond: the child that reads the files %s",
			child_late(r, late));
	else if (said)
		confine_error(said, e);
	else if (r->status)
		err_set(e, ERR_FAILED, "the child that reads the files was killed");
	if (r->status)
		err_wrap(e, e->number, "cloud-init: %s", key[0] ? key : "seed");
	return e->number;
}

/* It looks at the free space first; what it says when it runs out of it does not tell. */
static bool seed_is_out_of_space(const struct vm *vm, const struct child_result *r)
{
	const int run = vm->daemon->dirs.run_fd;

	return strstr(r->err, "exceeds free space") || file_room(run) == -ENOSPC;
}

/* xorriso's first complaint, after its name and version. */
static int seed_image_result(
	const struct vm *vm, const struct child_result *r, const struct err *jail, struct err *e)
{
	const char *line = jail ? NULL : strstr(r->err, "xorriso : ");
	_cleanup_(free_ptr) char *said =
		line ? text_escape(line, strcspn(line, "\n"), false) : NULL;
	char late[CHILD_LATE];

	if (jail)
		err_copy(e, jail);
	else if (r->status == -ETIMEDOUT)
		err_set(e, ERR_TIMEOUT, "xorriso %s", child_late(r, late));
	else if (r->status != 0 && seed_is_out_of_space(vm, r))
		err_set(e, ERR_NO_RESOURCES, "no space is left in '%s'", vm->daemon->dirs.run);
	else if (r->status != 0)
		err_set(e, ERR_FAILED, "%s", said ? said : "xorriso failed");
	return e->number ? err_wrap(e, e->number, "cloud-init: make the seed") : 0;
}

static int seed_program(struct err *e)
{
	return confine_program("xorriso", NULL, 0, e) < 0 ? err_wrap(e, e->number, "cloud-init")
							  : 0;
}

/* --- a start --- */

static void seed_on_image(void *data, const struct child_result *r, const struct err *jail)
{
	struct vm_start *s = data;
	const int run = s->vm->proc.run_fd;
	struct err e = ERR_INIT;
	int fd;

	s->tool = NULL;
	seed_image_result(s->vm, r, jail, &e);
	file_remove_tree(run, SEED_TEXTS, NULL);
	if (e.number) {
		start_failed(s, &e);
		return;
	}
	fd = openat(run, SEED_IMAGE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		err_errno(&e, "cloud-init: open " SEED_IMAGE);
		start_failed(s, &e);
		return;
	}
	fd_list_add(&s->fds, fd, ARGV_FD_SEED);
	start_next(s);
}

static int seed_make_image(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;
	const struct daemon *d = vm->daemon;
	_cleanup_(free_ptr) char *texts = vm_run_path(vm, SEED_TEXTS);
	_cleanup_(close_fd) int fd = openat(vm->proc.run_fd, SEED_IMAGE,
		O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	/* without -o: to standard output; -as must come first for that */
	const char *argv[] = { "xorriso", "-as", "mkisofs", "-quiet", "-V", "cidata", "-J", "-r",
		"-no-pad", texts, NULL };
	const struct child_options o = { .out_max = 4096 };
	json_t *plan;

	if (fd < 0)
		return err_errno(e, "create " SEED_IMAGE);
	plan = confine_plan("seed", vm->name, vm->identity.uid, d->dirs.run, argv, e);
	if (!plan)
		return e->number;
	json_object_set_new(plan, "fds", json_pack("[i]", STDOUT_FILENO));
	json_object_set_new(plan, "paths", json_pack("[{s:s}]", "path", texts));
	s->tool = confine_run(d->loop.ev, d->jail, plan, &fd, 1, &o, seed_on_image, s, e);
	return s->tool ? 0 : e->number;
}

static void seed_on_texts(void *data, const struct child_result *r)
{
	struct vm_start *s = data;
	struct err e = ERR_INIT;
	char key[32];

	s->child = NULL;
	if (seed_result(r, key, &e) < 0)
		start_failed(s, &e);
	else if (seed_make_image(s, &e) < 0) {
		err_wrap(&e, e.number, "cloud-init");
		start_failed(s, &e);
	}
}

int start_seed(struct vm_start *s, struct err *e)
{
	_cleanup_(free_ptr) char *dir = vm_run_path(s->vm, SEED_TEXTS);

	if (!conf_vm_wants_seed(&s->vm->proc.conf))
		return STEP_DONE;
	if (seed_program(e) < 0) {
		s->fault = VM_END_START_FAILED; /* it must be installed */
		return e->number;
	}
	s->child = seed_run(s->vm, dir, seed_on_texts, s, e);
	return s->child ? STEP_WAITS : err_wrap(e, e->number, "cloud-init");
}

/* --- a check --- */

static void seed_on_tried(void *data, const struct child_result *r, const struct err *jail)
{
	struct start_check *c = data;
	struct err e = ERR_INIT;

	c->trial = NULL;
	if (seed_image_result(c->vm, r, jail, &e) < 0)
		start_check_error(c, NULL, &e);
	start_check_next(c);
}

/* Does xorriso run at all? */
static struct confined *seed_try(struct start_check *c, struct err *e)
{
	const struct vm *vm = c->vm;
	const struct daemon *d = vm->daemon;
	const char *argv[] = { "xorriso", "-version", NULL };
	const struct child_options o = { .out_max = 4096 };
	json_t *plan = confine_plan("seed", vm->name, vm->identity.uid, d->dirs.run, argv, e);

	return plan ? confine_run(d->loop.ev, d->jail, plan, NULL, 0, &o, seed_on_tried, c, e)
		    : NULL;
}

static void seed_on_checked(void *data, const struct child_result *r)
{
	struct start_check *c = data;
	struct err e = ERR_INIT;
	char key[32];

	c->child = NULL;
	if (seed_result(r, key, &e) < 0) {
		start_check_error(c, key[0] ? key : NULL, &e);
	} else {
		c->trial = seed_try(c, &e);
		if (c->trial)
			return;
		err_wrap(&e, e.number, "cloud-init");
		start_check_error(c, NULL, &e);
	}
	start_check_next(c);
}

int start_check_seed(struct start_check *c)
{
	struct err e = ERR_INIT;

	if (!conf_vm_wants_seed(&c->vm->file.conf) || c->nameless)
		return STEP_DONE;
	if (seed_program(&e) == 0) {
		c->child = seed_run(c->vm, "", seed_on_checked, c, &e);
		if (c->child)
			return STEP_WAITS;
		err_wrap(&e, e.number, "cloud-init");
	}
	start_check_error(c, NULL, &e);
	return STEP_DONE;
}
