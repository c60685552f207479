/* SPDX-License-Identifier: MIT */
#include "supervisor/core/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "conf/load.h"

enum { LOCK_TRIES = 15, LOCK_WAIT_US = 20000 };

static int open_dir(const char *path, mode_t mode, char **absolute, int *fd, struct err *e)
{
	int r = file_mkdirs(path, mode, e);

	if (r < 0)
		return r;
	*absolute = realpath(path, NULL);
	if (!*absolute)
		return err_errno(e, "directory '%s'", path);
	if (!fd)
		return 0;
	*fd = open(*absolute, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return err_errno(e, "open directory '%s'", path);
	return 0;
}

/* The lock lives as long as this process: the descriptor is never closed before. */
static int take_lock(struct daemon *d, struct err *e)
{
	struct buf text = BUF_MAX(32);
	char pid[32];
	int fd = openat(d->dirs.run_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(e, "open '%s/lock'", d->dirs.run);
	/* one that was just killed may still be on its way out */
	for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
		if (tries < LOCK_TRIES) {
			usleep(LOCK_WAIT_US);
			continue;
		}
		close(fd);
		file_read(d->dirs.run_fd, "lock", &text, NULL);
		err_set(e, ERR_CONFLICT, "another vmkeepd (pid %d) uses '%s'",
			text.data ? atoi(text.data) : 0, d->dirs.run);
		buf_release(&text);
		return err_hint(e, "systemctl status vmkeepd, or start this one with another --run");
	}
	snprintf(pid, sizeof pid, "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || file_write_all(fd, pid, strlen(pid)) < 0)
		return err_errno(e, "write '%s/lock'", d->dirs.run);
	return 0;
}

int daemon_init(struct daemon *d, const struct daemon_options *o, struct err *e)
{
	const struct {
		const char *path;
		mode_t mode;
		char **absolute;
		int *fd;
	} dirs[] = {
		{ o->config, 0755, &d->dirs.config, NULL },
		{ o->state, 0700, &d->dirs.state, &d->dirs.state_fd },
		{ o->run, 0755, &d->dirs.run, &d->dirs.run_fd },
		{ o->log, 0750, &d->dirs.log, &d->dirs.log_fd },
	};
	int r;

	*d = (struct daemon){ .dirs = { .state_fd = -1, .run_fd = -1, .log_fd = -1 } };
	d->started = ev_time();
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		r = open_dir(dirs[i].path, dirs[i].mode, dirs[i].absolute, dirs[i].fd, e);
		if (r < 0)
			return r;
	}
	r = take_lock(d, e);
	if (r < 0)
		return r;
	/* an earlier version let everybody pass through */
	if (fchmod(d->dirs.state_fd, 0700) < 0)
		log_warning(NULL, "change the mode of '%s': %s", d->dirs.state, strerror(errno));
	if (mkdirat(d->dirs.state_fd, "vms", 0700) < 0 && errno != EEXIST)
		return err_errno(e, "make directory '%s/vms'", d->dirs.state);
	if (mkdirat(d->dirs.run_fd, "vms", 0700) < 0 && errno != EEXIST)
		return err_errno(e, "make directory '%s/vms'", d->dirs.run);
	proc_boot_id(d->boot_id);
	if (loop_init(&d->loop) < 0)
		return err_set(e, ERR_NO_RESOURCES, "no event loop: out of memory or descriptors");
	return 0;
}

int daemon_load_conf(struct daemon *d, struct conf_problems *p)
{
	struct conf_daemon fresh = CONF_DAEMON_INIT;
	enum log_level level;
	size_t before = p->count;

	d->conf_stamp = conf_daemon_stamp(d->dirs.config);
	conf_load_daemon(&fresh, d->dirs.config, p);
	if (p->count > before) {
		log_error(NULL, "vmkeep.conf %s: %s", d->conf.arena.head ? "kept as it was" : "has problems",
			p->text.data);
		if (d->conf.arena.head) {
			conf_daemon_release(&fresh);
			return -EINVAL;
		}
	}
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
	jobs_release(&d->jobs);
	loop_release(&d->loop);
	conf_daemon_release(&d->conf);
	free(d->image_dir);
	free(d->jail);
	free(d->program);
	free(d->dirs.config);
	free(d->dirs.state);
	free(d->dirs.run);
	free(d->dirs.log);
	close_fd(&d->dirs.state_fd);
	close_fd(&d->dirs.run_fd);
	close_fd(&d->dirs.log_fd);
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
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
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
