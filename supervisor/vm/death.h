/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/death.h - exit status, OOM kill, or what an unkillable process is blocked on
 */
#ifndef SUPERVISOR_VM_DEATH_H
#define SUPERVISOR_VM_DEATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* OOM kill counters at the time the process started: those of its cgroup and of the host. */
struct oom_watch {
	char *file; /* the cgroup's counters, NULL: unknown */
	uint64_t cgroup, host;
	bool host_known;
};

void oom_watch_begin(struct oom_watch *w, pid_t pid);
void oom_watch_release(struct oom_watch *w);

enum oom { OOM_NO, OOM_MAYBE /* some process on this host was OOM-killed */, OOM_YES };

struct death {
	bool known; /* it was our child */
	int code;   /* CLD_EXITED, CLD_KILLED, CLD_DUMPED */
	int status; /* exit status or signal */
	enum oom
		oom; /* OOM kill since the watch began? OOM_NO if the kernel does not count them. */
};

/* Reaps the process if it is our child. by_us: we sent SIGKILL. */
void death_read(struct death *d, int pidfd, const struct oom_watch *w, bool by_us);
/* "crashed: signal 6 (SIGABRT), core dumped to core", "killed: out of memory". */
void death_text(const struct death *d, char *buf, size_t len);
/* The cause alone: "signal 9 (SIGKILL)", "exit status 1". */
void death_how(const struct death *d, char *buf, size_t len);

/* For a process that survives SIGKILL: "process 4711 does not end after SIGKILL: waits for a
 * disk or another part of the kernel (state D, in nfs_wait_bit_killable)". */
void death_refused(pid_t pid, char *buf, size_t len);

#endif
