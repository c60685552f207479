/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/holder.h - who has a file or a block device in use
 */
#ifndef SUPERVISOR_JAIL_HOLDER_H
#define SUPERVISOR_JAIL_HOLDER_H

#include <sys/stat.h>

enum { HOLDER_TEXT = 512 };

/* "VM 'web1' (pid 4711)", "busybox (pid 4712)", "a file system mounted on /mnt", "loop0", or a guess; in that order. */
void holder_find(const struct stat *st, char who[HOLDER_TEXT]);

#endif
