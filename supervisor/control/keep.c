/* SPDX-License-Identifier: MIT */
#include "supervisor/control/keep.h"

#include <ev.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/control/server.h"
#include "supervisor/core/daemon.h"
#include "supervisor/core/watch.h"

#define LOOK_EVERY 0.5 /* seconds between checks at least; also the retry interval */

/* Only removals and replacements, not new files. inotify does not report the removal of a
 * directory that we hold open; but it is empty by then, and the removal of its contents was
 * reported. */
enum { LOSSES = IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF };

enum keep_place { KEEP_RUN, KEEP_VMS, KEEP_STATE, KEEP_LOG, KEEP_PLACES };

struct keep {
	struct daemon *d;
	const struct keep_calls *calls;
	int watch[KEEP_PLACES];
	struct loop_timer timer;
	double looked; /* daemon_now() of the last check */
	char *trouble; /* the last error logged */
};

static void keep_lost(void *data);

static void keep_watch(struct keep *k, enum keep_place place, int fd)
{
	watch_remove(k->d->watches, k->watch[place]);
	k->watch[place] = fd < 0 ? 0 : watch_add(k->d->watches, fd, LOSSES, keep_lost, k, NULL);
	if (k->watch[place] < 0)
		k->watch[place] = 0;
}

static void keep_watch_run(struct keep *k)
{
	_cleanup_(close_fd) int vms =
		openat(k->d->dirs.run_fd, "vms", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	keep_watch(k, KEEP_RUN, k->d->dirs.run_fd);
	keep_watch(k, KEEP_VMS, vms);
}

static void keep_watch_kept(struct keep *k)
{
	keep_watch(k, KEEP_STATE, k->d->dirs.state_fd);
	keep_watch(k, KEEP_LOG, k->d->dirs.log_fd);
}

static int keep_check_run(struct keep *k, struct err *e)
{
	struct daemon *d = k->d;
	int lost = dirs_run_again(&d->dirs, e), parts;

	if (lost < 0)
		return lost;
	parts = dirs_run_parts(&d->dirs, e);
	if (lost || parts > 0) {
		log_warning(NULL, "'%s%s' was lost: recreated", d->dirs.run, lost ? "" : "/vms");
		keep_watch_run(k);
	}
	k->calls->run(
		d, lost || faccessat(d->dirs.run_fd, "networks", F_OK, AT_SYMLINK_NOFOLLOW) < 0);
	return parts < 0 ? parts : 0;
}

static int keep_check_socket(struct keep *k, struct err *e)
{
	int r = server_look(k->d->server, e);

	if (r == 1)
		log_warning(NULL, "'%s/control.sock' was lost: bound again", k->d->dirs.run);
	return r < 0 ? r : 0;
}

static int keep_check_kept(struct keep *k, struct err *e)
{
	int r = dirs_kept_again(&k->d->dirs, e);

	if (r > 0) {
		log_warning(NULL,
			"'%s' or '%s' was replaced: VMs' files there are written again at their next start",
			k->d->dirs.state, k->d->dirs.log);
		keep_watch_kept(k);
		k->calls->kept(k->d);
	}
	return r < 0 ? r : 0;
}

static void keep_check(struct keep *k)
{
	int (*const parts[])(struct keep *k, struct err *e) = { keep_check_run, keep_check_socket,
		keep_check_kept };
	struct err e = ERR_INIT, one;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		one = (struct err)ERR_INIT;
		if (parts[i](k, &one) < 0 && !e.number)
			err_copy(&e, &one);
	}
	if (e.number && !streq(k->trouble, e.text))
		log_error(NULL, "%s", e.text);
	free(k->trouble);
	k->trouble = e.number ? xstrdup(e.text) : NULL;
	k->looked = daemon_now();
	if (e.number)
		loop_timer_start(&k->timer, LOOK_EVERY);
}

static void keep_again(void *data)
{
	keep_check(data);
}

static void keep_lost(void *data)
{
	struct keep *k = data;

	if (!loop_timer_is_active(&k->timer))
		loop_timer_start(&k->timer, k->looked + LOOK_EVERY - daemon_now());
}

struct keep *keep_new(struct daemon *d, const struct keep_calls *calls)
{
	struct keep *k = xcalloc(1, sizeof *k);

	k->d = d;
	loop_timer_init(&k->timer, d->loop.ev, keep_again, k);
	k->calls = calls;
	keep_watch_run(k);
	keep_watch_kept(k);
	keep_check(k);
	return k;
}

void keep_free(struct keep *k)
{
	if (!k)
		return;
	loop_timer_stop(&k->timer);
	for (enum keep_place p = 0; p < KEEP_PLACES; p++)
		watch_remove(k->d->watches, k->watch[p]);
	free(k->trouble);
	free(k);
}
