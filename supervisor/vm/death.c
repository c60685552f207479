/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/death.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"

enum { CORE_PLACE = 48 };

/* Reads "KEY NUMBER" from a file of such lines; false: no such line. */
static bool death_counter(const char *path, const char *key, uint64_t *value)
{
	_cleanup_(buf_release) struct buf b = BUF_MAX(64 << 10);
	size_t len = strlen(key);
	bool found = false;

	if (file_read(AT_FDCWD, path, &b, NULL) == 0)
		for (const char *line = b.data; line && *line; line += *line == '\n') {
			if (strncmp(line, key, len) == 0 && line[len] == ' ') {
				*value = strtoull(line + len, NULL, 10);
				found = true;
			}
			line = strchrnul(line, '\n');
		}
	return found;
}

/* The file with the OOM kill counter of the process's memory cgroup, version 1 or 2. */
static char *death_counters_of(pid_t pid)
{
	_cleanup_(buf_release) struct buf b = BUF_MAX(16 << 10);
	char path[64], *file = NULL;

	snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
	file_read(AT_FDCWD, path, &b, NULL);
	for (char *line = b.data; line && *line;) {
		char *end = strchrnul(line, '\n'), *dir;
		bool more = *end;

		*end = '\0';
		if ((dir = strstr(line, ":memory:"))) {
			free(file);
			file = xasprintf("/sys/fs/cgroup/memory%s/memory.oom_control", dir + 8);
			break;
		}
		if (strncmp(line, "0::", 3) == 0 && !file)
			file = xasprintf("/sys/fs/cgroup%s/memory.events", line + 3);
		line = more ? end + 1 : end;
	}
	return file;
}

void oom_watch_begin(struct oom_watch *w, pid_t pid)
{
	oom_watch_release(w);
	w->file = death_counters_of(pid);
	if (w->file && !death_counter(w->file, "oom_kill", &w->cgroup))
		oom_watch_release(w);
	w->host_known = death_counter("/proc/vmstat", "oom_kill", &w->host);
}

void oom_watch_release(struct oom_watch *w)
{
	free(w->file);
	*w = (struct oom_watch){ 0 };
}

static enum oom death_watch_oom(const struct oom_watch *w)
{
	uint64_t now;

	/* a scope disappears with its last process; then only the counter of the host is left */
	if (w->file && death_counter(w->file, "oom_kill", &now))
		return now > w->cgroup ? OOM_YES : OOM_NO;
	return w->host_known && death_counter("/proc/vmstat", "oom_kill", &now) && now > w->host
		       ? OOM_MAYBE
		       : OOM_NO;
}

void death_read(struct death *d, int pidfd, const struct oom_watch *w, bool by_us)
{
	siginfo_t info = { 0 };

	*d = (struct death){ 0 };
	if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid) {
		d->known = true;
		d->code = info.si_code;
		d->status = info.si_status;
	}
	if (!by_us && (!d->known || (d->code == CLD_KILLED && d->status == SIGKILL)))
		d->oom = death_watch_oom(w);
}

/* The pattern in core(5): a file name, or the program that received the dump. */
static const char *death_core_place(char place[CORE_PLACE])
{
	_cleanup_(buf_release) struct buf b = BUF_MAX(4096);

	file_read(AT_FDCWD, "/proc/sys/kernel/core_pattern", &b, NULL);
	/* the name of a program, or the whole file name */
	snprintf(place, CORE_PLACE, "%.*s",
		b.data ? (int)strcspn(b.data, *b.data == '|' ? " \n" : "\n") : 1,
		b.data ? b.data : "?");
	return place;
}

void death_how(const struct death *d, char *buf, size_t len)
{
	char place[CORE_PLACE];
	const char *name;

	if (!d->known) {
		snprintf(buf, len, "exit status unknown (started by a previous daemon)");
	} else if (d->code == CLD_EXITED) {
		snprintf(buf, len, "exit status %d", d->status);
	} else {
		name = sigabbrev_np(d->status);
		snprintf(buf, len, "signal %d (SIG%s)%s%s", d->status, name ? name : "?",
			d->code == CLD_DUMPED ? ", core dumped to " : "",
			d->code == CLD_DUMPED ? death_core_place(place) : "");
	}
}

void death_text(const struct death *d, char *buf, size_t len)
{
	char how[96];

	death_how(d, how, sizeof how);
	if (d->oom == OOM_YES)
		snprintf(buf, len, "killed: out of memory");
	else if (d->oom == OOM_MAYBE)
		snprintf(buf, len, "killed: apparently out of memory (%s)", how);
	else
		snprintf(buf, len, "crashed: %s", how);
}

/* --- unkillable processes --- */

static char death_read_state(pid_t thread)
{
	struct proc_stat s;

	return proc_stat(thread, &s) ? s.state : '?';
}

/* The thread that blocks the exit: the first in state D, t or T. */
static char death_find_blocked_thread(pid_t pid, char *task, size_t len)
{
	char dir[48], state = '?', first = '?';
	_cleanup_(close_dir) DIR *d = NULL;

	snprintf(dir, sizeof dir, "/proc/%d/task", (int)pid);
	d = opendir(dir);
	for (struct dirent *e;
		d && state != 'D' && state != 't' && state != 'T' && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(task, len, "%s/%.16s", dir, e->d_name);
		state = death_read_state(atoi(e->d_name));
		first = first == '?' ? state : first;
	}
	return state != '?' ? state : first;
}

void death_refused(pid_t pid, char *buf, size_t len)
{
	static const struct {
		char state;
		const char *meaning;
	} meanings[] = {
		{ 'D', "blocked on a disk or elsewhere in the kernel" },
		{ 't', "held by a debugger" },
		{ 'T', "stopped" },
		{ 'R', "busy" },
		{ 'S', "asleep" },
		{ 'Z', "its main thread is dead, others are not" },
	};
	_cleanup_(buf_release) struct buf where = BUF_MAX(128);
	char task[80] = "", path[96], state = death_find_blocked_thread(pid, task, sizeof task);
	const char *meaning = "state unknown";

	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
		if (meanings[i].state == state)
			meaning = meanings[i].meaning;
	snprintf(path, sizeof path, "%s/wchan", task);
	file_read(AT_FDCWD, path, &where, NULL);
	snprintf(buf, len, "process %d does not end after SIGKILL: %s (state %c%s%s)", (int)pid,
		meaning, state, where.len && !streq(where.data, "0") ? ", in " : "",
		where.len && !streq(where.data, "0") ? where.data : "");
}
