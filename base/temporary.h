/* SPDX-License-Identifier: MIT */
/*
 * base/temporary.h - files that get their name when they are complete
 *
 * Until then their name begins with TEMPORARY_PREFIX, and their maker holds a lock on them: those that are
 * not locked were left by a process that was killed. Where a file system has no locks, they stay.
 */
#ifndef BASE_TEMPORARY_H
#define BASE_TEMPORARY_H

#define TEMPORARY_PREFIX ".vmkeep-"

enum { TEMPORARY_NAME_MAX = 40 };

/* Creates a file of mode 0600 and opens it for reading and writing; the lock ends with the last copy of
 * the descriptor. First removes what others left in that directory. -errno */
int temporary_make(int dir, char name[TEMPORARY_NAME_MAX]);
/* Removes what was left there. */
void temporary_sweep(int dir);

#endif
