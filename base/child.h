/* SPDX-License-Identifier: MIT */
/*
 * base/child.h - a helper program: argv, text on stdin, bounded output, a deadline, one completion
 *
 * For nft, dnsmasq --test, qemu-img, hooks. A turn of the loop reads a pipe full of each stream at most.
 * The child gets its own session, default signals, no
 * protection from the OOM killer and no descriptor but 0, 1 and 2, and ends with this process: what nobody
 * waits for any more changes nothing any more. (exec of a set-uid program and setuid() undo that: a program
 * that drops privileges asks for it again.) Long-lived children (QEMU, dnsmasq) are spawned with child_spawn()
 * and watched by their owner through the pidfd.
 */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct ev_loop;

struct child_fd {
	int from; /* of ours, stays open here */
	int to;	  /* number in the child */
};

struct child_result {
	int status;	 /* exit code (CHILD_NOT_RUN), or -signal; -ETIMEDOUT when killed by us */
	const char *out; /* stdout, NUL terminated, cut at out_max */
	size_t out_len;
	const char *err; /* stderr likewise */
	size_t err_len;
};

struct child_options {
	const char *const *argv; /* argv[0] is looked up in PATH */
	const char *input;	 /* text for stdin, NULL: /dev/null */
	size_t out_max;	 /* bytes kept of stdout and stderr each; 0: 64 KiB; the rest is drained */
	double timeout;	 /* seconds, 0: 30; then it is killed */
	bool while_idle; /* only those count in which it neither computes nor reads nor writes */
	void (*done)(void *data, const struct child_result *r);
	void *data;
	const struct child_fd *more; /* descriptor beside 0, 1 and 2; NULL: none */
};

struct child;

/* Starts it; done is called exactly once, from the loop, never from here. NULL on failure (then
 * done is not called). */
struct child *child_run(struct ev_loop *ev, const struct child_options *o, struct err *e);
/* Kills it and what it started, at whatever step it is; done is not called any more. NULL is fine. */
void child_cancel(struct child *c);
/* The same, but done is still called, when it has ended: status -SIGKILL, unless it was done before. */
void child_kill(struct child *c);

/* Children that were cancelled and have not ended yet, for child_inherit() in a program that exec puts in our
 * place: else they would stay zombies. */
void child_bequeath(char *text, size_t max);
void child_inherit(struct ev_loop *ev, const char *text);

/* The path of a program, by PATH where it has no slash; false: there is none. */
bool child_find(const char *name, char *path, size_t len);

/* Spawns with exactly these descriptors (all of ours are CLOEXEC), its own session, an empty signal
 * mask and default actions. Returns the pid and a pidfd at once. A bare name
 * that is not in PATH is an error here; that a path could not be run is seen from the exit status
 * CHILD_NOT_RUN, and said on the child's stderr. */
enum { CHILD_NOT_RUN = 127 };
/* ends_with_us: SIGKILL when this process goes. */
int child_spawn(const char *const *argv, const struct child_fd *fds, size_t n_fds,
	bool ends_with_us, pid_t *pid, int *pidfd, struct err *e);

#endif
