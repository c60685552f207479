/* SPDX-License-Identifier: MIT */
/*
 * supervisor/make/throwaway.h - VMs that end with the command in them, and leave nothing
 *
 * The file of such a VM is RUN/run/NAME.vm, its disk an overlay STORE/.run/NAME.qcow2. Before either is
 * made, STATE/vms/NAME/throwaway.json says so, on disk: whatever ends the daemon, or the host, the next
 * daemon finds it, ends the VM and removes all of it. That file goes last.
 */
#ifndef SUPERVISOR_MAKE_THROWAWAY_H
#define SUPERVISOR_MAKE_THROWAWAY_H

#include "base/err.h"

struct daemon;

/* Of a UUID, so that nothing else has or had the name; the caller frees it. */
char *throwaway_name(const char *uuid);

/* The text is in the daemon's language, as NAME.vm. */
struct throwaway {
	const char *name;  /* no VM has it */
	const char *store; /* of its overlay */
	const char *text;
};

/* e NULL: done. Called once, from the loop; when the daemon is ending, perhaps never. */
typedef void throwaway_fn(void *data, const struct err *e);

/* Makes it known to the daemon; borrowed for the call. After an error in done, throwaway_remove() removes
 * what there is. -errno: done is not called, and there is nothing. */
int throwaway_make(
	struct daemon *d, const struct throwaway *t, throwaway_fn *done, void *data, struct err *e);

/* The VM is down. What cannot be removed is left for the next daemon, which e says. */
void throwaway_remove(struct daemon *d, const char *name, throwaway_fn *done, void *data);

/* A new daemon, after it has adopted its guests: ends and removes those of the previous one. */
void throwaways_end(struct daemon *d);

/* The path of its overlay in the store; the caller frees it. */
char *throwaway_overlay(const char *name);

#endif
