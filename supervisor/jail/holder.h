/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/holder.h - who has a file or a block device in use
 */
#ifndef SUPERVISOR_JAIL_HOLDER_H
#define SUPERVISOR_JAIL_HOLDER_H

#include <stdbool.h>
#include <sys/stat.h>

enum { HOLDER_TEXT = 512 };

/* writers: who only reads it is no holder, whatever it locked.
 * "VM 'web1' (pid 4711)", "busybox (pid 4712)", "a file system mounted on /mnt", "loop0", or a guess; in that order. */
void holder_find(const struct stat *st, bool writers, char who[HOLDER_TEXT]);
/* A process of this host has it open for writing, or a loop device has it. */
bool holder_writes(const struct stat *st);

#endif
