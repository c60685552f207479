/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/foreign.h - commands of virsh, qm, pct and incus that vmkeep does not have
 *
 * Each gets a sentence with vmkeep's way to the same end. Spellings that mean exactly one of our
 * verbs are aliases in the verb table instead.
 */
#ifndef SUPERVISOR_CLIENT_FOREIGN_H
#define SUPERVISOR_CLIENT_FOREIGN_H

#include <stdbool.h>

#include "base/buf.h"

/* Somebody types them first, with a command after them. */
#define FOREIGN_PROGRAMS "virsh qm pct incus lxc vmkeep"

struct foreign {
	const char *words; /* patterns of fnmatch(3); two words of a command are joined by '-' */
	const char *way;   /* %f: the VM's file; %d: its directory; %n: the VM's name */
};

/* The row for "config show" or "edit web1" (second may be NULL), or NULL. *used is the number of
 * words that make up the command. */
const struct foreign *foreign_find(const char *first, const char *second, unsigned *used);
bool foreign_is_program(const char *word);
/* dir is the configuration directory; vm may be NULL or anything, and is ignored if it is no name. */
void foreign_way(const struct foreign *f, const char *dir, const char *vm, struct buf *b);

#endif
