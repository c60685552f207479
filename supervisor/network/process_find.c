/* SPDX-License-Identifier: MIT */
/*
 * Finds a running dnsmasq: by its record, by its pid file, or among the host's processes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "supervisor/host/uids.h"
#include "supervisor/network/process.h"

enum { CMDLINE_MAX = 16384 };

/* The network whose configuration file is an argument on its command line. */
static bool find_works_for(pid_t pid, const char *run, char network[64])
{
	_cleanup_(free_ptr) char *path = xasprintf("/proc/%d/cmdline", (int)pid);
	_cleanup_(free_ptr) char *head = xasprintf("--conf-file=%s/", run);
	static const char tail[] = ".d/dnsmasq.conf";
	_cleanup_(buf_release) struct buf b = BUF_MAX(CMDLINE_MAX);
	bool found = false;

	if (file_read(AT_FDCWD, path, &b, NULL) == 0)
		for (size_t i = 0; i < b.len && !found; i += strlen(b.data + i) + 1) {
			const char *name = b.data + i + strlen(head), *end;

			if (strncmp(b.data + i, head, strlen(head)) != 0)
				continue;
			end = strstr(name, tail);
			found = end && streq(end, tail) && end > name && end - name < 64 &&
				!memchr(name, '/', (size_t)(end - name));
			if (found)
				snprintf(network, 64, "%.*s", (int)(end - name), name);
		}
	return found;
}

static bool find_works_for_us(const struct dnsmasq *d, pid_t pid)
{
	_cleanup_(free_ptr) char *run = xstrdup(d->dir);
	char network[64];

	*strrchr(run, '/') = '\0';
	return find_works_for(pid, run, network) && streq(network, d->network);
}

static pid_t find_pid_in_file(const struct dnsmasq *d)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/dnsmasq.pid", d->dir);
	_cleanup_(buf_release) struct buf b = BUF_MAX(32);
	pid_t pid = 0;

	if (file_read(AT_FDCWD, path, &b, NULL) == 0 && b.data)
		pid = (pid_t)strtol(b.data, NULL, 10);
	return pid > 1 ? pid : 0;
}

/* Opens the pidfd first, then checks the process: so the pid cannot be reused in between. */
static bool find_adopt(struct dnsmasq *d, pid_t pid, uint64_t start)
{
	uint64_t found;

	if (pid <= 1)
		return false;
	d->pidfd = pidfd_open(pid, PIDFD_NONBLOCK);
	if (d->pidfd < 0)
		return false;
	found = proc_starttime(pid);
	if (found && (!start || found == start) && find_works_for_us(d, pid)) {
		dnsmasq_took(d, pid, found);
		return true;
	}
	close_fd(&d->pidfd);
	return false;
}

bool dnsmasq_adopt(struct dnsmasq *d, pid_t pid, uint64_t start, const struct dnsmasq_seen *seen)
{
	if ((start && find_adopt(d, pid, start)) || find_adopt(d, find_pid_in_file(d), 0))
		return true;
	for (; seen; seen = seen->next)
		if (streq(seen->network, d->network) && find_adopt(d, seen->pid, 0))
			return true;
	return false;
}

static bool find_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && file_same(&x, &y);
}

bool dnsmasq_sees(const struct dnsmasq *d, const char *path)
{
	_cleanup_(free_ptr) char *theirs = xasprintf("/proc/%d/root%s", (int)d->pid, path);

	return d->pid && find_same_file(theirs, path);
}

/* ---- among the host's processes ---- */

/* If it is dnsmasq already, it has a uid of ours; if not yet, it is vmkeep-jail. */
static bool find_is_ours(pid_t pid, const char *jail)
{
	char path[64], exe[4096];
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d", (int)pid);
	if (stat(path, &st) < 0 || (st.st_uid != 0 && !uids_is_network(st.st_uid)))
		return false;
	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
	if (!find_same_file(path, "/proc/self/ns/net"))
		return false;
	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	n = readlink(path, exe, sizeof exe - 1);
	if (n <= 0)
		return false;
	exe[n] = '\0';
	return st.st_uid != 0 ? strncmp(strrchr(exe, '/') + 1, "dnsmasq", 7) == 0
			      : strncmp(exe, jail, strlen(jail)) == 0;
}

struct dnsmasq_seen *dnsmasq_look(const char *run, const char *jail)
{
	struct dnsmasq_seen *seen = NULL, *one;
	_cleanup_(close_dir) DIR *dir = opendir("/proc");
	char network[64];

	for (struct dirent *d; dir && (d = readdir(dir));) {
		const pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);

		/* cheapest check first */
		if (pid <= 1 || !find_is_ours(pid, jail) || !find_works_for(pid, run, network))
			continue;
		one = xcalloc(1, sizeof *one);
		one->pid = pid;
		one->next = seen;
		memcpy(one->network, network, sizeof network);
		seen = one;
	}
	return seen;
}

void dnsmasq_seen_free(struct dnsmasq_seen *seen)
{
	while (seen) {
		struct dnsmasq_seen *next = seen->next;

		free(seen);
		seen = next;
	}
}

void dnsmasq_end_stray(const struct dnsmasq_seen *one, const char *run, const char *jail)
{
	_cleanup_(close_fd) int pidfd = pidfd_open(one->pid, PIDFD_NONBLOCK);
	char network[64];

	if (pidfd < 0 || !find_is_ours(one->pid, jail) || !find_works_for(one->pid, run, network))
		return;
	log_warning(NULL, "network %s: ended an unknown dnsmasq (pid %d)", network, (int)one->pid);
	pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
}
