/* SPDX-License-Identifier: MIT */
/*
 * dnsmasq cannot see /etc, so it gets a copy of resolv.conf in its directory, which it re-reads
 * when it changes. We watch the directory of resolv.conf and, if that is a link, the target's
 * directory: writers usually rename a new file over it.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/inotify.h>

#include "base/file.h"
#include "base/log.h"
#include "supervisor/network/files.h"
#include "supervisor/network/private.h"

enum { RESOLV_MAX = 65536 };

static const char host_file[] = "/etc/resolv.conf";

char *resolv_path(const struct network *n)
{
	return xasprintf("%s/resolv.conf", n->dir);
}

int resolv_copy(const struct network *n, struct err *e)
{
	_cleanup_(free_ptr) char *path = resolv_path(n);
	_cleanup_(buf_release) struct buf host = BUF_MAX(RESOLV_MAX), copy = BUF_MAX(RESOLV_MAX);

	/* a missing file counts as empty: there is no server to ask */
	file_read(AT_FDCWD, host_file, &host, NULL);
	if (file_read(AT_FDCWD, path, &copy, NULL) == 0 && copy.len == host.len &&
		(!host.len || memcmp(copy.data, host.data, host.len) == 0))
		return 0;
	return network_put(path, 0644, host.len ? host.data : "", host.len, e);
}

static int resolv_watch_dir_of(const struct networks *ns, const char *file)
{
	_cleanup_(free_ptr) char *dir = xstrdup(file);

	*strrchr(dir, '/') = '\0';
	return inotify_add_watch(ns->inotify, dir,
		IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ONLYDIR);
}

/* Adding a watch again changes nothing; a directory that the link no longer points into is
 * dropped. */
void resolv_watch(struct networks *ns)
{
	char *real = realpath(host_file, NULL);
	const int before = ns->watching_resolv[1];

	ns->watching_resolv[0] = resolv_watch_dir_of(ns, host_file);
	ns->watching_resolv[1] = real ? resolv_watch_dir_of(ns, real) : 0;
	if (before > 0 && before != ns->watching_resolv[0] && before != ns->watching_resolv[1])
		inotify_rm_watch(ns->inotify, before);
	free(real);
}

bool resolv_is_meant(const struct networks *ns, int handle, const char *file)
{
	if (handle == ns->watching_resolv[0] && handle != ns->watching_resolv[1])
		return streq(file, "resolv.conf");
	/* the link's target may have any name, e.g. stub-resolv.conf */
	return handle == ns->watching_resolv[0] || handle == ns->watching_resolv[1];
}

void resolv_changed(struct networks *ns)
{
	struct err e = ERR_INIT;

	ns->resolv_changed = false;
	resolv_watch(ns);
	for (struct network *n = ns->list; n; n = n->next)
		if (n->state == NETWORK_UP && n->plan.step[NET_STEP_DNSMASQ] &&
			resolv_copy(n, &e) < 0)
			log_error(NULL, "network %s: resolv.conf: %s", n->name, e.text);
}
