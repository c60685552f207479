/* SPDX-License-Identifier: MIT */
#include "supervisor/core/daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "conf/load.h"

int daemon_init(struct daemon *d, const struct daemon_options *o, struct err *e)
{
	int r;

	*d = (struct daemon){ .dirs = DIRS_INIT };
	d->started = clock_boot();
	r = dirs_open(&d->dirs, o, e);
	if (r < 0)
		return r;
	/* an earlier version gave everybody search permission */
	if (fchmod(d->dirs.state_fd, 0700) < 0)
		log_warning(NULL, "change the mode of '%s': %s", d->dirs.state, strerror(errno));
	if (mkdirat(d->dirs.state_fd, "vms", 0700) < 0 && errno != EEXIST)
		return err_errno(e, "create directory '%s/vms'", d->dirs.state);
	r = dirs_run_parts(&d->dirs, e);
	if (r < 0)
		return r;
	proc_boot_id(d->boot_id);
	if (loop_init(&d->loop) < 0)
		return err_set(e, ERR_NO_RESOURCES, "no event loop: out of memory or descriptors");
	return 0;
}

int daemon_load_conf(struct daemon *d, struct conf_problems *p)
{
	struct conf_daemon fresh = CONF_DAEMON_INIT;
	struct conf_problems own = { 0 };
	_cleanup_(free_ptr) char *text = NULL;
	enum log_level level;

	d->conf_stamp = conf_daemon_stamp(d->dirs.config);
	conf_load_daemon(&fresh, d->dirs.config, &own);
	text = own.count ? conf_problems_text(&own) : NULL;
	conf_problems_add(p, &own);
	conf_problems_release(&own);
	if (text) {
		bool kept = d->conf.arena.head && !d->conf_problem;

		log_error(NULL, "vmkeep.conf %s: %s",
			kept ? "has problems, keeping the previous one"
			     : "has problems, no VM is started",
			text);
		if (kept) {
			conf_daemon_release(&fresh);
			return -EINVAL;
		}
	}
	free(d->conf_problem);
	d->conf_problem = text;
	text = NULL;
	conf_daemon_release(&d->conf);
	d->conf = fresh;
	if (!d->log_level_given && fresh.log_level && log_level_parse(fresh.log_level, &level) == 0)
		log_open(level);
	return 0;
}

void daemon_look_conf(struct daemon *d)
{
	struct conf_problems problems = { 0 };

	if (conf_daemon_stamp(d->dirs.config) != d->conf_stamp)
		daemon_load_conf(d, &problems);
	conf_problems_release(&problems);
}

void daemon_release(struct daemon *d)
{
	loop_release(&d->loop);
	conf_daemon_release(&d->conf);
	free(d->conf_problem);
	free(d->newer_keys);
	free(d->image_dir);
	free(d->jail);
	free(d->program);
	dirs_release(&d->dirs);
}

void daemon_event(struct daemon *d, const char *name, json_t *data)
{
	if (d->emit)
		d->emit(d, name, data);
	else
		json_decref(data);
}

double daemon_now(void)
{
	return clock_now();
}

void daemon_notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	_cleanup_(close_fd) int fd = -1;
	size_t len;

	if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof to.sun_path)
		return;
	len = strlen(path);
	memcpy(to.sun_path, path, len);
	if (*path == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
		sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		log_warning(NULL, "tell the service manager '%s': %s", text, strerror(errno));
}
