/* SPDX-License-Identifier: MIT */
#include "supervisor/core/hooks.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/daemon.h"

enum { SECONDS = 30, OUTPUT_MAX = 2048, NAME_MAX_LEN = 64 };

/*
 * The shell executes the program, because spawning waits for exec: a path on a dead file server
 * then blocks the shell, not the daemon. The script also tells vmkeep which daemon to talk to.
 */
static const char script[] =
	"VMKEEP_RUN=$1; export VMKEEP_RUN; unset NOTIFY_SOCKET; shift; exec \"$@\"";

struct hook { /* one program, waiting or running */
	struct hooks *all;
	struct hook *next;
	char *program, *vm, *event, *reason, *input;
	struct child *child;
};

struct hooks {
	struct daemon *daemon;
	struct hook *first; /* oldest first, running or waiting */
	unsigned n, running;
};

static void hooks_run_waiting(struct hooks *h);

struct hooks *hooks_new(struct daemon *d)
{
	struct hooks *h = xcalloc(1, sizeof *h);

	h->daemon = d;
	return h;
}

static void hooks_drop(struct hook *k)
{
	struct hook **p = &k->all->first;

	while (*p != k)
		p = &(*p)->next;
	*p = k->next;
	k->all->n--;
	free(k->program);
	free(k->vm);
	free(k->event);
	free(k->reason);
	free(k->input);
	free(k);
}

void hooks_free(struct hooks *h)
{
	while (h && h->first) {
		child_cancel(h->first->child);
		hooks_drop(h->first);
	}
	free(h);
}

bool hooks_idle(const struct hooks *h)
{
	return !h->first;
}

static void hooks_tell(
	const struct hook *k, enum log_level level, const char *how, const char *said, size_t len)
{
	_cleanup_(free_ptr) char *safe = text_escape(said, len, false);

	log_write(level, k->vm, "hook '%s' for %s %s%s%s", k->program, k->event, how,
		*safe ? ": " : "", safe);
}

static void hooks_on_done(void *data, const struct child_result *r)
{
	struct hook *k = data;
	struct hooks *h = k->all;
	const char *said = r->err_len ? r->err : r->out;
	size_t len = r->err_len ? r->err_len : r->out_len;
	char how[64];

	if (r->status == -ETIMEDOUT)
		snprintf(how, sizeof how, "was killed after %d s", SECONDS);
	else if (r->status < 0)
		snprintf(how, sizeof how, "was killed by signal %d", -r->status);
	else if (r->status > 0)
		snprintf(how, sizeof how, "failed with status %d", r->status);
	else
		snprintf(how, sizeof how, "is done");
	hooks_tell(k, r->status ? LOG_WARNING_ : LOG_INFO_, how, said, len);
	hooks_drop(k);
	h->running--;
	hooks_run_waiting(h);
}

static int hooks_start(struct hook *k, struct err *e)
{
	const char *argv[] = { "/bin/sh", "-c", script, "hook", k->all->daemon->dirs.run,
		k->program, k->vm, k->event, k->reason, NULL };
	struct child_options o = { .argv = argv,
		.input = k->input,
		.out_max = OUTPUT_MAX,
		.timeout = SECONDS,
		.done = hooks_on_done,
		.data = k };

	k->child = child_run(k->all->daemon->loop.ev, &o, e);
	return k->child ? 0 : e->number;
}

static void hooks_run_waiting(struct hooks *h)
{
	struct hook *next;
	struct err e = ERR_INIT;

	for (struct hook *k = h->first; k && h->running < HOOKS_AT_ONCE; k = next) {
		next = k->next;
		if (k->child)
			continue;
		if (hooks_start(k, &e) == 0) {
			h->running++;
		} else {
			hooks_tell(k, LOG_WARNING_, "did not start", e.text, strlen(e.text));
			hooks_drop(k);
		}
	}
}

/* If the same hook already waits, updates it, so that no VM can fill the queue. */
static bool hooks_renew(
	struct hooks *h, const char *program, const struct hooks_event *event, const char *input)
{
	for (struct hook *k = h->first; k; k = k->next)
		if (!k->child && streq(k->program, program) && streq(k->vm, event->vm) &&
			streq(k->event, event->event)) {
			free(k->reason);
			free(k->input);
			k->reason = xstrdup(event->reason);
			k->input = xstrdup(input);
			return true;
		}
	return false;
}

static void hooks_add(
	struct hooks *h, const char *program, const struct hooks_event *event, const char *input)
{
	struct hook *k, **end = &h->first;

	if (hooks_renew(h, program, event, input))
		return;
	if (h->n == HOOKS_WAITING_MAX) {
		log_warning(event->vm, "hook '%s' for %s dropped: %u are already waiting", program,
			event->event, h->n);
		return;
	}
	k = xcalloc(1, sizeof *k);
	*k = (struct hook){ .all = h,
		.program = xstrdup(program),
		.vm = xstrdup(event->vm),
		.event = xstrdup(event->event),
		.reason = xstrdup(event->reason),
		.input = xstrdup(input) };
	while (*end)
		end = &(*end)->next;
	*end = k;
	h->n++;
}

/* Skips leftovers of editors and package managers. */
static int hooks_is_hook_name(const struct dirent *d)
{
	static const char *const ends[] = { "~", ".bak", ".swp" };
	size_t len = strlen(d->d_name);

	if (d->d_name[0] == '.' || strstr(d->d_name, ".dpkg-"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t end = strlen(ends[i]);

		if (len > end && streq(d->d_name + len - end, ends[i]))
			return 0;
	}
	return len < NAME_MAX_LEN;
}

/* NULL: trusted. A file that others than root may write would run their code as root. */
static const char *hooks_objection(const char *path, mode_t type)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return strerror(errno);
	if ((st.st_mode & S_IFMT) != type)
		return type == S_IFDIR ? "is not a directory" : "is not a regular file";
	if (st.st_uid != 0)
		return "is not owned by root";
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return "is writable by users other than root";
	return st.st_mode & S_IXUSR ? NULL : "is not executable";
}

static void hooks_add_directory(struct hooks *h, const struct hooks_event *event, const char *input)
{
	_cleanup_(free_ptr) char *dir = xasprintf("%s/hooks.d", h->daemon->dirs.config);
	struct dirent **name = NULL;
	int n = scandir(dir, &name, hooks_is_hook_name, alphasort);
	const char *why = n > 0 ? hooks_objection(dir, S_IFDIR) : NULL;

	if (why)
		log_warning(event->vm, "hooks skipped: '%s' %s", dir, why);
	for (int i = 0; i < n && !why; i++) {
		_cleanup_(free_ptr) char *path = xasprintf("%s/%s", dir, name[i]->d_name);
		const char *bad = hooks_objection(path, S_IFREG);

		if (bad)
			log_warning(event->vm, "hook skipped: '%s' %s", path, bad);
		else
			hooks_add(h, path, event, input);
	}
	while (n-- > 0)
		free(name[n]);
	free(name);
}

void hooks_run(struct hooks *h, const struct hooks_event *event)
{
	json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:o, s:f}", "name", event->vm, "event",
		event->event, "state", event->state, "reason", event->reason, "pid",
		event->pid ? json_integer(event->pid) : json_null(), "time", clock_wall());
	char *input = json_dumps(doc, 0);

	json_decref(doc);
	if (!input) /* a reason that is not UTF-8 */
		input = xstrdup("{}");
	if (event->program)
		hooks_add(h, event->program, event, input);
	hooks_add_directory(h, event, input);
	free(input);
	hooks_run_waiting(h);
}
