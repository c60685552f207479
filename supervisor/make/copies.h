/* SPDX-License-Identifier: MIT */
/*
 * supervisor/make/copies.h - copies disk images of a VM that does not run, all of them or none
 *
 * qemu-img copies one after the other, in a jail (jail/copy.c), under temporary names; when all are
 * complete, they get their names, and nothing is ever replaced. Snapshots are not copied; an overlay
 * keeps its bases. Somebody who has an image open for writing is refused, and can't open it meanwhile.
 */
#ifndef SUPERVISOR_MAKE_COPIES_H
#define SUPERVISOR_MAKE_COPIES_H

#include "supervisor/core/job.h"
#include "supervisor/vm/vm.h"

struct copies;

/* e NULL: all images have their names. After an error there are none of them. Called once, from the
 * loop. */
typedef void copies_fn(void *data, const struct err *e);

/* vm: whose images they are; it must stay off until the end, see vm->busy. Progress, cancelling: by the
 * job. */
struct copies *copies_new(struct vm *vm, struct job *j, copies_fn *done, void *data);
/* path: the new image, below the directory beneath. disk: of the VM's file; NULL: its UEFI variables,
 * which lie in STATE/vms/NAME. */
/* An original with Size= of a VM that never ran need not be there. */
void copies_add(
	struct copies *c, const struct conf_disk *disk, const char *path, const char *beneath);
/* Calls done later, also if there is nothing to copy. */
void copies_run(struct copies *c);
/* After done: an array of the paths of new disk images, owned by the caller. */
json_t *copies_made(const struct copies *c);
/* After done: removes the images again, and then calls done with this error. */
void copies_drop(struct copies *c, const struct err *e);
void copies_free(struct copies *c); /* after done; the images stay. NULL is fine */

#endif
