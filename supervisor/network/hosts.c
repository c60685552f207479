/* SPDX-License-Identifier: MIT */
/* Host lines: one file per NIC, VM:NIC, which dnsmasq reads as soon as it is moved into place. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "supervisor/network/files.h"
#include "supervisor/network/private.h"

static char *hosts_line_path(const struct network *n, const struct claim *c)
{
	return xasprintf("%s/hosts/%s:%s", n->dir, c->vm, c->nic);
}

/* The temporary file is outside the directory, because dnsmasq would read it there. It is closed
 * before it is renamed, because closing is another inotify event, and dnsmasq warns when it
 * re-reads an entry. */
static int hosts_line_put(
	const struct network *n, const char *path, const struct buf *line, struct err *e)
{
	_cleanup_(free_ptr) char *tmp = xasprintf("%s/host.tmp", n->dir);
	int r, fd;

	if (network_file_is(path, line->data))
		return 0;
	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	r = fd < 0 || fchmod(fd, 0644) < 0 ? -errno : file_write_all(fd, line->data, line->len);
	close_fd(&fd);
	if (r == 0 && rename(tmp, path) < 0)
		r = errno == EISDIR && file_remove_tree(AT_FDCWD, path, NULL) == 0 &&
				    rename(tmp, path) == 0
			    ? 0
			    : -errno;
	errno = -r;
	return r < 0 ? err_errno(e, "write '%s'", path) : 0;
}

/* World-readable, because dnsmasq is not root when it reads them. Nobody else can get that far. */
int host_dirs_make(const struct network *n, bool *created, struct err *e)
{
	_cleanup_(free_ptr) char *hosts = xasprintf("%s/hosts", n->dir);
	int dir = network_dir(n->dir, 0755, e), r = dir < 0 ? dir : network_dir(hosts, 0755, e);

	*created = dir > 0 || r > 0;
	network_watch_files(n);
	return r < 0 ? r : 0;
}

int host_line_write(const struct network *n, const struct claim *c, struct err *e)
{
	_cleanup_(free_ptr) char *path = hosts_line_path(n, c);
	_cleanup_(buf_release) struct buf b = BUF_INIT;
	bool created;
	int r;

	if (!c->address || !n->conf.dhcp || !n->plan.step[NET_STEP_DNSMASQ])
		return 0;
	dnsmasq_host(&b, c->mac, c->address, c->hostname);
	r = hosts_line_put(n, path, &b, e);
	/* lost with its directory, before dnsmasq is back: no reason to fail the guest */
	if (r == -ENOENT && host_dirs_make(n, &created, NULL) == 0) {
		err_clear(e);
		r = hosts_line_put(n, path, &b, e);
	}
	return r;
}

/* dnsmasq forgets a line only when it re-reads everything; until then it rejects another line with
 * the same address. */
void host_line_remove(struct network *n, const struct claim *c)
{
	_cleanup_(free_ptr) char *path = hosts_line_path(n, c);

	if (unlink(path) == 0)
		dnsmasq_reread(&n->dnsmasq);
}

int host_lines_write(const struct network *n, struct err *e)
{
	int r = 0;

	for (const struct claim *c = n->ns->claims; r == 0 && c; c = c->next)
		if (c->on == n)
			r = host_line_write(n, c, e);
	return r;
}
