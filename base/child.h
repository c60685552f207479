/* SPDX-License-Identifier: MIT */
/*
 * base/child.h - runs a helper program: argv, text on stdin, bounded output, a timeout, one
 * completion
 *
 * For nft, dnsmasq --test, qemu-img and hooks. One loop iteration reads at most one pipe's
 * capacity per stream.
 *
 * The child gets its own session, default signal actions, no protection from the OOM killer and
 * no descriptors but 0, 1 and 2. It dies with this process (PR_SET_PDEATHSIG), so a helper whose
 * result nobody awaits changes nothing more. Executing a set-uid program and setuid() clear that
 * setting: a program that drops privileges must set it again. What it started and left behind is
 * killed when it ends, unless that has a process group of its own.
 *
 * Long-lived children (QEMU, dnsmasq) are spawned with child_spawn() and watched by their owner
 * through the pidfd.
 */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct ev_loop;

struct child_fd {
	int from; /* stays open in this process */
	int to;	  /* number in the child */
};

struct child_result {
	int status;	 /* exit code (CHILD_NOT_RUN), or -signal; -ETIMEDOUT: timed out, killed */
	const char *out; /* stdout, NUL terminated, truncated at out_max */
	size_t out_len;
	const char *err; /* likewise for stderr */
	size_t err_len;
	double seconds; /* its timeout */
	bool while_idle;
};

struct child_options {
	const char *const *argv; /* argv[0] is looked up in PATH */
	const char *input;	 /* text for stdin, NULL: /dev/null */
	size_t out_max;	 /* bytes kept of stdout and of stderr; 0: 64 KiB; the rest is discarded */
	double timeout;	 /* seconds, 0: 30; then it is killed */
	bool while_idle; /* the timeout counts only while it uses no CPU time and does no I/O */
	void (*done)(void *data, const struct child_result *r);
	void *data;
	const struct child_fd *more; /* one descriptor besides 0, 1 and 2; NULL: none */
};

struct child;

enum { CHILD_LATE = 64 };
/* For status -ETIMEDOUT, what follows its name: "did not end within 30 s and was killed". */
const char *child_late(const struct child_result *r, char text[CHILD_LATE]);
/* Starts it. done is called exactly once, from the loop, never from here. NULL on failure; done
 * is not called then. */
struct child *child_run(struct ev_loop *ev, const struct child_options *o, struct err *e);
/* Kills it and what it started, at any point; done is no longer called. NULL is fine. */
void child_cancel(struct child *c);
/* The same, but done is still called when it exits: status -SIGKILL, unless it had already
 * exited. */
void child_kill(struct child *c);

/* The pids of children not reaped yet, so that the program that exec puts in our place can reap
 * them with child_inherit(). Otherwise they would stay zombies. */
void child_bequeath(char *text, size_t max);
void child_inherit(struct ev_loop *ev, const char *text);

/* The path of a program, looked up in PATH if it has no slash; false if there is none. */
bool child_find(const char *name, char *path, size_t len);

/* Spawns with exactly these descriptors (all of ours are CLOEXEC), its own session, an empty
 * signal mask and default actions. Returns the pid and a pidfd at once. A bare name that is not
 * in PATH is an error here. If exec fails, the child writes the reason to its stderr and exits
 * with CHILD_NOT_RUN. */
enum { CHILD_NOT_RUN = 127 };
/* ends_with_us: SIGKILL when this process exits */
int child_spawn(const char *const *argv, const struct child_fd *fds, size_t n_fds,
	bool ends_with_us, pid_t *pid, int *pidfd, struct err *e);

#endif
