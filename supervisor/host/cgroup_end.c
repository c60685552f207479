/* SPDX-License-Identifier: MIT */
/*
 * A guest's process has ended: kill whatever else is in its cgroup and remove the cgroup. With
 * cgroup.kill (v2, Linux 5.14) one write kills everything; otherwise kill process by process until
 * none is left. Processes take a moment to die, so a timer checks again; the next start calls this
 * off.
 *
 * Only touches cgroups named after the VM, see cgroups_find(), and never the daemon's own.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "supervisor/host/cgroup.h"

enum { END_PIDS_MAX = 256, END_TRIES = 250 };
#define END_PAUSE 0.02

struct cgroup_end {
	struct cgroup_end *next;
	struct cgroups *groups;
	char *vm;
	unsigned tries;
	struct loop_timer timer;
};

struct end_pids {
	pid_t pid[END_PIDS_MAX];
	size_t n;
};

/* A pid of 0 is a process outside our pid namespace. */
static void end_read_pids(int dir, struct end_pids *p)
{
	const int fd = openat(dir, "cgroup.procs", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	int pid;

	p->n = 0;
	while (f && p->n < END_PIDS_MAX && fscanf(f, "%d", &pid) == 1)
		p->pid[p->n++] = (pid_t)pid;
	if (f)
		fclose(f);
	else if (fd >= 0)
		close(fd);
}

static bool end_has(const struct end_pids *p, pid_t pid)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->pid[i] == pid)
			return true;
	return false;
}

/* A pid that was listed both before and after its pidfd was opened has not been reused in
 * between. */
static void end_kill_each(int dir, const struct end_pids *p)
{
	int pidfd[END_PIDS_MAX];
	struct end_pids again;

	for (size_t i = 0; i < p->n; i++)
		pidfd[i] = p->pid[i] > 1 ? pidfd_open(p->pid[i], 0) : -1;
	end_read_pids(dir, &again);
	for (size_t i = 0; i < p->n; i++) {
		if (pidfd[i] < 0)
			continue;
		if (end_has(&again, p->pid[i]))
			pidfd_send_signal(pidfd[i], SIGKILL, NULL, 0);
		close(pidfd[i]);
	}
}

static bool end_kill_group(int dir)
{
	_cleanup_(close_fd) int fd = openat(dir, "cgroup.kill", O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0 && write(fd, "1", 1) == 1;
}

/* True if no process that we can see is in it. */
static bool end_kill(const char *vm, const char *path, bool first)
{
	_cleanup_(close_fd) int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct end_pids p;

	if (dir < 0)
		return true;
	end_read_pids(dir, &p);
	if (!p.n)
		return true;
	if (end_has(&p, getpid())) {
		log_error(vm, "control group %s is the daemon's own: left alone", path);
		return true;
	}
	if (first)
		log_warning(vm, "%zu processes outlived QEMU in %s: killed", p.n, path);
	if (!end_kill_group(dir))
		end_kill_each(dir, &p);
	return false;
}

/* Also removes the parent, if this was the last child. */
static bool end_remove(const char *parent, const char *path)
{
	if (rmdir(path) < 0)
		return errno != EBUSY;
	rmdir(parent);
	return true;
}

/* True if everything is gone. */
static bool end_try(const struct cgroups *c, const char *vm, bool first)
{
	bool done = true;

	for (size_t i = 0; i < c->n; i++) {
		_cleanup_(free_ptr) char *path = xasprintf("%s/%s", c->dir[i], vm);

		done &= end_kill(vm, path, first);
		done &= end_remove(c->dir[i], path);
	}
	/* systemd removes these directories */
	for (size_t i = 0; i < c->scopes; i++) {
		_cleanup_(free_ptr) char *path =
			xasprintf("%s/%s-%s.scope", c->scope[i], c->prefix, vm);

		done &= end_kill(vm, path, first);
	}
	return done;
}

static void end_free(struct cgroup_end *end)
{
	struct cgroup_end **at = &end->groups->ends;

	while (*at != end)
		at = &(*at)->next;
	*at = end->next;
	loop_timer_stop(&end->timer);
	free(end->vm);
	free(end);
}

static void end_on_timer(void *data)
{
	struct cgroup_end *end = data;

	if (!end_try(end->groups, end->vm, false) && ++end->tries < END_TRIES) {
		loop_timer_start(&end->timer, END_PAUSE);
		return;
	}
	if (end->tries == END_TRIES)
		log_error(end->vm,
			"its control group could not be emptied within %g s: left as it is",
			END_TRIES * END_PAUSE);
	end_free(end);
}

void cgroups_forget(struct cgroups *c, const char *vm)
{
	for (struct cgroup_end *end = c->ends, *next; end; end = next) {
		next = end->next;
		if (!vm || streq(end->vm, vm))
			end_free(end);
	}
}

void cgroups_end(struct cgroups *c, const char *vm)
{
	struct cgroup_end *end;

	cgroups_forget(c, vm);
	if (end_try(c, vm, true))
		return;
	end = xcalloc(1, sizeof *end);
	*end = (struct cgroup_end){ .next = c->ends, .groups = c, .vm = xstrdup(vm) };
	c->ends = end;
	loop_timer_init(&end->timer, c->ev, end_on_timer, end);
	loop_timer_start(&end->timer, END_PAUSE);
}
