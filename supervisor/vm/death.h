/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/death.h - how a process ended, or why it does not, as far as the kernel tells
 */
#ifndef SUPERVISOR_VM_DEATH_H
#define SUPERVISOR_VM_DEATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Who ran out of memory before: counters of OOM kills, of its cgroup and of the host. */
struct oom_watch {
	char *file; /* the cgroup's counters, NULL: not known */
	uint64_t cgroup, host;
	bool host_known;
};

void oom_watch_begin(struct oom_watch *w, pid_t pid);
void oom_watch_release(struct oom_watch *w);

enum oom { OOM_NO, OOM_MAYBE /* somebody on this host was killed for memory */, OOM_YES };

struct death {
	bool known; /* of a process that was our child */
	int code;   /* CLD_EXITED, CLD_KILLED, CLD_DUMPED */
	int status; /* exit status or signal */
	enum oom
		oom; /* has the kernel killed for memory since the watch began? OOM_NO where it never did */
};

/* Reaps it when it is our child. by_us: we sent SIGKILL. */
void death_read(struct death *d, int pidfd, const struct oom_watch *w, bool by_us);
/* "crashed: signal 6 (SIGABRT), core dumped", "killed: out of memory". */
void death_text(const struct death *d, char *buf, size_t len);
/* The same without the verdict: "signal 9 (SIGKILL)", "exit status 1". */
void death_how(const struct death *d, char *buf, size_t len);

/* Of a process that SIGKILL does not end: "process 4711 does not end after SIGKILL: in state D
 * (disk wait), in nfs_wait_bit_killable". */
void death_refused(pid_t pid, char *buf, size_t len);

#endif
