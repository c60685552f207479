/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/sweeper.h - removes directories of ours in the background
 *
 * They are moved to RUN/gone, which is fast and atomic. A child removes them there, together with
 * anything mounted in them, one child per batch: `vmkeepd --sweep DIR...`. What a killed daemon
 * left there is removed by the next one.
 */
#ifndef SUPERVISOR_CORE_SWEEPER_H
#define SUPERVISOR_CORE_SWEEPER_H

#include "base/err.h"

struct daemon;
struct sweeper;

struct sweeper *sweeper_new(struct daemon *d, struct err *e);
/* Call after loop_finish(), during which the last sweep ends; NULL is fine. */
void sweeper_free(struct sweeper *s);
/* path: below the run directory; no-op if it does not exist. */
int sweeper_take(struct sweeper *s, const char *path, struct err *e);

/* The same below the state directory, by way of STATE/gone. */
int sweeper_take_state(struct sweeper *s, const char *path, struct err *e);

/* Closes an fd in that child, for fds whose close is slow in the kernel. -1 is fine. */
void sweeper_close(struct sweeper *s, int fd /* stolen */);

/* sweep.c: runs in the child; returns its exit status. */
int sweep(const char *dir);

#endif
