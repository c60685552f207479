/* SPDX-License-Identifier: MIT */
#include "supervisor/check/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/child.h"
#include "base/loop.h"
#include "base/mem.h"
#include "supervisor/core/daemon.h"
#include "supervisor/core/volume.h"

/* Prints mode and owner, "m" if something is mounted there, "w" if it can be written, size and free
 * space, and stops at the first that is not to be had; then the blocks of each file in the trash. */
static const char store_script[] = "stat -L -c '%a %u' -- \"$1/.\" || exit\n"
				   "if mountpoint -q -- \"$1\"; then echo m; else echo -; fi\n"
				   "if [ -w \"$1/.\" ]; then echo w; else echo -; fi\n"
				   "df -B1 --output=size,avail -- \"$1\" || exit\n"
				   "exec find \"$1/.trash\" -maxdepth 1 -type f -printf '%b\\n'\n";

enum { STORE_SECONDS = 5, BLOCK = 512 };

struct stores_looking {
	struct ev_loop *ev;
	struct store_seen *store;
	struct store_asked { /* of each store */
		struct stores_looking *all;
		struct store_seen *seen;
		struct child *child;
		struct volume_call *call; /* of a store with a program */
	} *asked;
	size_t n;
	struct loop_task later; /* done is not called before stores_look() has returned */
	unsigned open;
	void (*done)(void *data, const struct store_seen *s, size_t n);
	void *data;
};

const char *store_state_name(enum store_state s)
{
	static const char *const names[] = {
		[STORE_OK] = "ok",
		[STORE_READ_ONLY] = "read-only",
		[STORE_MISSING] = "missing",
		[STORE_NOT_MOUNTED] = "not mounted",
		[STORE_NO_ANSWER] = "not answering",
		[STORE_FAILING] = "failing",
	};
	_Static_assert(ARRAY_SIZE(names) == STORE_STATES, "a state of a store has no name");

	return names[s];
}

unsigned store_used(const struct store_seen *s)
{
	double used = s->room < s->size ? (double)(s->size - s->room) : 0;

	return s->size ? (unsigned)(100 * used / (double)s->size) : 0;
}

/* One number a line; the last one may be cut off. */
static uint64_t store_trash(const char *printed)
{
	uint64_t sum = 0;

	for (const char *nl; (nl = strchr(printed, '\n')); printed = nl + 1)
		sum += strtoull(printed, NULL, 10) * BLOCK;
	return sum;
}

void store_judge(struct store_seen *s, const char *printed, bool killed)
{
	uint64_t size = 0, room = 0;
	char mounted = '-', writable = '-';
	unsigned mode = 0, owner = 0;
	int rest = 0;
	int n = sscanf(printed, "%o %u %c %c %*[^\n] %" SCNu64 " %" SCNu64 "%n", &mode, &owner,
		&mounted, &writable, &size, &room, &rest);

	s->mode = n > 1 ? mode : 0;
	s->owner = owner;
	if (killed || (n > 0 && n < 6))
		s->state = STORE_NO_ANSWER;
	else if (n <= 0)
		s->state = STORE_MISSING;
	else if (s->require_mount && mounted != 'm')
		s->state = STORE_NOT_MOUNTED;
	else
		s->state = s->read_only || writable != 'w' ? STORE_READ_ONLY : STORE_OK;
	/* else those of another file system, or unknown */
	if (s->state == STORE_OK || s->state == STORE_READ_ONLY) {
		s->size = size;
		s->room = room;
		s->trash = store_trash(printed + rest + (printed[rest] == '\n'));
	}
}

void stores_look_free(struct stores_looking *l)
{
	if (!l)
		return;
	loop_cancel(l->ev, &l->later);
	for (size_t i = 0; i < l->n; i++) {
		child_cancel(l->asked[i].child);
		volume_cancel(l->asked[i].call);
		free(l->store[i].why);
		free(l->store[i].name);
		free(l->store[i].path);
	}
	free(l->store);
	free(l->asked);
	free(l);
}

static void store_one_less(struct stores_looking *l)
{
	if (--l->open == 0)
		l->done(l->data, l->store, l->n);
}

static void store_on_later(struct loop_task *t)
{
	store_one_less(container_of(t, struct stores_looking, later));
}

static void store_on_printed(void *data, const struct child_result *r)
{
	struct store_asked *a = data;

	a->child = NULL;
	store_judge(a->seen, r->out, r->status == -ETIMEDOUT);
	store_one_less(a->all);
}

static void store_on_usage(
	void *data, enum volume_answer answer, const char *said, const struct err *e)
{
	struct store_asked *a = data;
	struct store_seen *s = a->seen;

	a->call = NULL;
	if (answer == VOLUME_DONE && volume_usage(said, &s->size, &s->room, &s->metadata))
		s->state = s->read_only ? STORE_READ_ONLY : STORE_OK;
	else if (!e || e->class != ERR_TIMEOUT)
		s->state = STORE_FAILING;
	if (s->state == STORE_FAILING)
		s->why = xstrdup(e ? e->text : "its program's 'usage' printed no sizes");
	store_one_less(a->all);
}

static void store_ask_program(struct daemon *d, struct store_asked *a, const struct conf_store *s)
{
	const struct volume_request r = { .store = s, .verb = "usage" };
	struct err e = ERR_INIT;

	a->call = volume_ask(d, &r, store_on_usage, a, &e);
	a->all->open += a->call != NULL;
	a->seen->program = true;
	if (!a->call) {
		a->seen->state = STORE_FAILING;
		a->seen->why = xstrdup(e.text);
	}
}

static void store_ask(struct stores_looking *l, size_t i)
{
	struct store_asked *a = &l->asked[i];
	const char *argv[] = { "/bin/sh", "-c", store_script, "store", l->store[i].path, NULL };
	struct child_options o = {
		.argv = argv, .timeout = STORE_SECONDS, .done = store_on_printed, .data = a
	};

	a->child = child_run(l->ev, &o, NULL);
	l->open += a->child != NULL;
}

struct stores_looking *stores_look(struct daemon *d,
	void (*done)(void *data, const struct store_seen *s, size_t n), void *data)
{
	struct stores_looking *l = xcalloc(1, sizeof *l);

	*l = (struct stores_looking){
		.ev = d->loop.ev, .n = 1 + d->conf.stores, .open = 1, .done = done, .data = data
	};
	l->store = xcalloc(l->n, sizeof *l->store);
	l->asked = xcalloc(l->n, sizeof *l->asked);
	l->store[0].name = xstrdup(CONF_STORE_DEFAULT);
	l->store[0].path = xstrdup(d->image_dir);
	for (size_t i = 0; i < d->conf.stores; i++) {
		const struct conf_store *s = &d->conf.store[i];

		l->store[i + 1] = (struct store_seen){ .name = xstrdup(s->id),
			.path = xstrdup(s->path ? s->path : ""),
			.require_mount = s->require_mount,
			.read_only = s->read_only };
	}
	loop_later(l->ev, &l->later, store_on_later);
	for (size_t i = 0; i < l->n; i++) {
		const struct conf_store *s = i ? &d->conf.store[i - 1] : NULL;

		l->asked[i] = (struct store_asked){ .all = l, .seen = &l->store[i] };
		l->store[i].state = STORE_NO_ANSWER;
		l->store[i].metadata = -1;
		if (s && s->type == CONF_STORE_PROGRAM && s->program && s->path)
			store_ask_program(d, &l->asked[i], s);
		else
			store_ask(l, i);
	}
	return l;
}
