/* SPDX-License-Identifier: MIT */
/*
 * Watches our files and the host's resolv.conf. dnsmasq rewrites the lease file in place on each
 * change, so a reader may see half of it: `settled` is called 50 ms after the first of a burst of
 * changes.
 */
#include <sys/inotify.h>

#include "supervisor/network/private.h"

enum {
	LOSSES = IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_CLOSE_WRITE,
	READS = 16, /* per call */
};

static const double SETTLE = 0.05;

static void watch_settle(struct networks *ns)
{
	if (!loop_timer_is_active(&ns->settle))
		loop_timer_start(&ns->settle, SETTLE);
}

static void watch_file_changed(struct networks *ns, const char *file)
{
	for (struct network *n = ns->list; n; n = n->next) {
		if (!streq(strrchr(n->leases_state, '/') + 1, file))
			continue;
		n->leases_changed = true;
		watch_settle(ns);
	}
}

static void watch_all_changed(struct networks *ns)
{
	ns->resolv_changed = ns->files_lost = true;
	for (struct network *n = ns->list; n; n = n->next)
		n->leases_changed = true;
	watch_settle(ns);
}

/* Files that we replace end in .tmp; files that dnsmasq writes stay open. */
static bool watch_is_loss(const struct networks *ns, const struct inotify_event *i)
{
	const size_t len = i->len ? strlen(i->name) : 0;

	if (i->mask & IN_IGNORED || (len > 4 && streq(i->name + len - 4, ".tmp")))
		return false;
	if (i->wd == ns->watching_state)
		return i->mask & (IN_DELETE | IN_MOVED_FROM);
	return i->mask & LOSSES;
}

static void watch_on_changes(struct ev_loop *ev, ev_io *w, int revents)
{
	char data[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct networks *ns = w->data;
	ssize_t n;

	for (int turn = 0; turn < READS && (n = read(ns->inotify, data, sizeof data)) > 0; turn++)
		for (char *p = data; p < data + n;) {
			const struct inotify_event *i = (const struct inotify_event *)(void *)p;

			if (i->mask & IN_Q_OVERFLOW) { /* nobody knows which events were dropped */
				watch_all_changed(ns);
			} else if (i->len && resolv_is_meant(ns, i->wd, i->name)) {
				ns->resolv_changed = true;
				watch_settle(ns);
			} else {
				if (watch_is_loss(ns, i)) {
					ns->files_lost = true;
					watch_settle(ns);
				}
				if (i->len)
					watch_file_changed(ns, i->name);
			}
			p += sizeof *i + i->len;
		}
}

void networks_watch_files(struct networks *ns)
{
	ns->watching_state = inotify_add_watch(ns->inotify, ns->state,
		IN_MODIFY | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR);
	inotify_add_watch(ns->inotify, ns->run, IN_MODIFY | LOSSES | IN_ONLYDIR);
}

void network_watch_files(const struct network *n)
{
	_cleanup_(free_ptr) char *hosts = xasprintf("%s/hosts", n->dir);

	inotify_add_watch(n->ns->inotify, n->dir, LOSSES | IN_ONLYDIR);
	inotify_add_watch(n->ns->inotify, hosts, IN_DELETE_SELF | IN_ONLYDIR);
}

int watch_start(struct networks *ns, void (*settled)(void *ns), struct err *e)
{
	ev_init(&ns->changes, watch_on_changes);
	loop_timer_init(&ns->settle, ns->ev, settled, ns);
	ns->changes.data = ns;
	ns->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (ns->inotify < 0)
		return err_errno(e, "watch '%s'", ns->state);
	networks_watch_files(ns);
	if (ns->watching_state < 0)
		return err_errno(e, "watch '%s'", ns->state);
	ev_io_set(&ns->changes, ns->inotify, EV_READ);
	ev_io_start(ns->ev, &ns->changes);
	resolv_watch(ns);
	return 0;
}

void watch_stop(struct networks *ns)
{
	ev_io_stop(ns->ev, &ns->changes);
	loop_timer_stop(&ns->settle);
	close_fd(&ns->inotify);
}
