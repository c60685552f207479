/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/complete.h - possible next words of a command line, for
 * scripts/completion.bash
 *
 * `vmkeep __complete WORD...` prints one candidate per line for the last word, which may be
 * empty. Commands and options come from the verb table, names from the daemon; without it there
 * are none.
 */
#ifndef SUPERVISOR_CLIENT_COMPLETE_H
#define SUPERVISOR_CLIENT_COMPLETE_H

#include <stddef.h>

#include "base/buf.h"

#define COMPLETE_WORD "__complete"

/* Queries names from the daemon: one line per row, from this column of the list that execute
 * returns. */
typedef void complete_names_fn(
	void *data, const char *execute, const char *target, const char *column, struct buf *b);

/* Candidates that start with the last word, one per line. */
void complete_words(
	struct buf *b, const char *const *words, size_t n, complete_names_fn *names, void *data);
int complete_run(const char *const *words, size_t n);

#endif
