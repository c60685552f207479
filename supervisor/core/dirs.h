/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/dirs.h - the daemon's own directories, locked against other daemons
 *
 * The directory STATE itself is locked (flock), so that the lock does not depend on any file in it,
 * and another path to the same directory leads to the same lock. (RUN is not: anyone who may read a
 * directory may lock it.) The files "lock" in both identify the owning daemon. They are locked as
 * well: RUN's against another daemon there, STATE's for file systems that cannot lock directories.
 * LOG is locked too, but another daemon there only causes a warning. Locks end with the process; no
 * child inherits them across exec, except a successor that replaces us.
 */
#ifndef SUPERVISOR_CORE_DIRS_H
#define SUPERVISOR_CORE_DIRS_H

#include <stdbool.h>

#include "base/err.h"

struct daemon_dirs { /* absolute paths, and fds of our directories */
	char *config, *state, *run, *log;
	char *throwaways; /* RUN/run: files of VMs that `run` made */
	int state_fd, run_fd, log_fd;
	int state_lock, run_lock; /* the lock files */
};

struct daemon_options {
	const char *config, *state, *run, *log;
};

#define DIRS_INIT { .state_fd = -1, .run_fd = -1, .log_fd = -1, .state_lock = -1, .run_lock = -1 }

/* Creates what is missing. ERR_CONFLICT names the daemon that uses one of them. */
int dirs_open(struct daemon_dirs *d, const struct daemon_options *o, struct err *e);
/* Recreates RUN and its lock file if they are lost; anything else in their place is set aside. The
 * fd number does not change. 1: RUN was lost; 0: it was not. */
int dirs_run_again(struct daemon_dirs *d, struct err *e);
/* The same for STATE and LOG, but only if they were deleted, or the path leads to a different
 * directory now: a directory that was moved away may be on its way elsewhere, and still works. The
 * result is the number of lost directories. */
int dirs_kept_again(struct daemon_dirs *d, struct err *e);
/* Creates RUN/vms, RUN/gone and RUN/run if they are missing. 1: one was. */
int dirs_run_parts(struct daemon_dirs *d, struct err *e);
/* Before exec of a successor: passes the locks on in the environment, without releasing them.
 * dirs_open() picks them up. */
void dirs_hand_over(const struct daemon_dirs *d);
void dirs_release(struct daemon_dirs *d);

#endif
