/* SPDX-License-Identifier: MIT */
/*
 * supervisor/make/trash.h - moves a VM's images to the trash of their stores
 *
 * An image DIR/a.qcow2 of a store becomes DIR/.trash/a.qcow2.TIME, in a directory for root only.
 * TRASH_DAYS later it is removed, by a daemon that runs for an hour, or moves another one. A child
 * does it, `vmkeepd --trash`, because the daemon opens nothing in a store. A volume is removed at
 * once, by its store's program.
 *
 * Only what nobody else needs is moved: an image that another VM's files or identity name, one that
 * is marked as another VM's, one with a second name, one that a VM that is being made will use
 * (used.h), and one that an overlay in any store is based on stay where they are. Whatever cannot be read might be such a thing: then nothing is moved. What
 * headers of images say is untrusted; it is only compared.
 */
#ifndef SUPERVISOR_MAKE_TRASH_H
#define SUPERVISOR_MAKE_TRASH_H

#include "supervisor/vm/vms.h"

#define TRASH_DIR ".trash"

enum { TRASH_DAYS = 7 };

/* The disks of a VM by its file, without CDs: [{"path", "size", "store", "name", "volume", "why"}].
 * size: by the file. store: the directory of its store, name: the image in it; of a volume, the store's
 * name and its own. why: it is never moved; store is null then. */
json_t *trash_images(const struct vm *vm);

/* images, borrowed for the call: [{"path", "to", "why", "removed"}]: where each was moved, or that it
 * was removed, or why not. NULL with e: nothing was moved, or not all. Called once, from the loop. */
typedef void trash_fn(void *data, const json_t *images, const struct err *e);
/* move false: only finds out, "to" is where they would go, and "removed" what would be. name, uuid: of
 * the VM that has the images; it may be gone. NULL with e: done is not called. */
struct trash_running *trash_run(struct daemon *d, const char *name, const char *uuid,
	const json_t *images, bool move, trash_fn *done, void *data, struct err *e);
/* Only if nothing is moved: done is not called. NULL is fine. */
void trash_cancel(struct trash_running *t);

/* Removes what is too old, in children that nobody waits for, one for each store: in an hour, every
 * day from then on, and whenever something was moved there. */
struct trash_pruner;
void trash_prune(struct trash_pruner *p); /* now */
/* What is moved now has this time: that of the clock; a clock that was set back is not believed for a
 * day, or what is moved meanwhile would be old as soon as it is right again. */
double trash_now(struct trash_pruner *p);
/* What was moved before this time is old. */
int64_t trash_old(struct trash_pruner *p);
struct trash_pruner *trash_pruner_new(struct daemon *d);
void trash_pruner_free(struct trash_pruner *p);

/* In the children: vmkeepd --trash, with JSON on stdin and stdout, and vmkeepd --prune-trash TIME
 * DIRECTORY..., which removes what was moved there before TIME. They return the exit status. */
int trash_main(void);
int trash_prune_main(const char *before, const char *const *dirs);

#endif
