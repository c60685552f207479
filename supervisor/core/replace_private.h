/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/replace_private.h - between the daemon and its child --replace
 */
#ifndef SUPERVISOR_CORE_REPLACE_PRIVATE_H
#define SUPERVISOR_CORE_REPLACE_PRIVATE_H

enum { REPLACE_FAILED = 64 }; /* exit status: this and the error's class */

/* Begins the names of temporary files, which end in .vmkeep. */
#define REPLACE_TEMPORARY ".~"

/* Precedes the lengths of a file that is new. */
#define REPLACE_NEW "+"
/* Precedes, in a line before the lengths, the path of the file that a new one is like. */
#define REPLACE_LIKE "<"
/* Of one that is removed. */
#define REPLACE_GONE "-"

#endif
