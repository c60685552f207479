/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/sweeper.h - removes directories of ours without waiting for it
 *
 * They are moved to RUN/gone, which takes no time and cannot be half done, and removed there, with
 * whatever is mounted in them, by one child for all that came together: `vmkeepd --sweep DIR`. What a
 * daemon that was killed left there goes with the next one.
 */
#ifndef SUPERVISOR_CORE_SWEEPER_H
#define SUPERVISOR_CORE_SWEEPER_H

#include "base/err.h"

struct daemon;
struct sweeper;

struct sweeper *sweeper_new(struct daemon *d, struct err *e);
/* After loop_finish(), in which the last sweep ends; NULL is fine. */
void sweeper_free(struct sweeper *s);
/* path: below the run directory; nothing happens when nothing is there. */
int sweeper_take(struct sweeper *s, const char *path, struct err *e);

/* The same below the state directory. */
int sweeper_take_state(struct sweeper *s, const char *path, struct err *e);

/* Closes what the kernel takes its time for, in that child: it need not be quick about it. -1 is fine. */
void sweeper_close(struct sweeper *s, int fd /* stolen */);

/* sweep.c: what that child does; its exit status. */
int sweep(const char *dir);

#endif
