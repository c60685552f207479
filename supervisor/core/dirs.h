/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/dirs.h - the daemon's own directories, and that it is alone in them
 *
 * STATE is locked by its descriptor (flock), so that no file in it must be there or be what it was, and
 * another path to the same directory leads to the same lock. (RUN is not: who may read a directory may
 * lock it.) The files "lock" in both tell whose they are; they are locked as well: RUN's against another
 * there, STATE's where a file system cannot lock directories. LOG is locked too, but another daemon there is only told of.
 * Locks end with the process; no child inherits them past its exec, but the daemon that takes our place does.
 */
#ifndef SUPERVISOR_CORE_DIRS_H
#define SUPERVISOR_CORE_DIRS_H

#include <stdbool.h>

#include "base/err.h"

struct daemon_dirs { /* absolute paths, and descriptors of directories of ours */
	char *config, *state, *run, *log;
	int state_fd, run_fd, log_fd;
	int state_lock, run_lock; /* the files */
};

struct daemon_options {
	const char *config, *state, *run, *log;
};

#define DIRS_INIT { .state_fd = -1, .run_fd = -1, .log_fd = -1, .state_lock = -1, .run_lock = -1 }

/* Makes what is missing. ERR_CONFLICT names the daemon that has one of them. */
int dirs_open(struct daemon_dirs *d, const struct daemon_options *o, struct err *e);
/* RUN is made anew where it is lost, and what must be in it; what else stands in its place is set aside.
 * The number of its descriptor stays. 1: it was lost; 0: it was not. */
int dirs_run_again(struct daemon_dirs *d, struct err *e);
/* The same for STATE and LOG, but only where they are removed, or the path leads to another directory by
 * now: one that was moved may be on its way to elsewhere, and still serves. */
int dirs_kept_again(struct daemon_dirs *d, struct err *e);
/* Makes RUN/vms and RUN/gone where they are missing. 1: one was. */
int dirs_run_parts(struct daemon_dirs *d, struct err *e);
/* Before exec of a successor, in the environment: locks that are held all the time. dirs_open() takes them. */
void dirs_hand_over(const struct daemon_dirs *d);
void dirs_release(struct daemon_dirs *d);

#endif
