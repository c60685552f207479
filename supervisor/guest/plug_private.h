/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/plug_private.h - private to guest/plug*.c
 */
#ifndef SUPERVISOR_GUEST_PLUG_PRIVATE_H
#define SUPERVISOR_GUEST_PLUG_PRIVATE_H

#include "supervisor/guest/enter.h"
#include "supervisor/guest/plug.h"
#include "supervisor/qemu/device.h"

/* Of the entries in the run record. "added": the disk came while the guest ran. */
#define PLUG_ATTACH   "attach-disk"
#define PLUG_DETACH   "detach-disk"   /* the guest is being asked */
#define PLUG_LEAVING  "leaving-disk"  /* it was asked, and nobody waits for it any more */
#define PLUG_ATTACHED "attached-disk" /* nothing is under way: remembers that it was added */

struct plug {
	struct change change; /* first */
	char id[64];
	/* attach */
	char *text;	   /* its section */
	struct conf_vm to; /* the configuration with it */
	json_t *front;	   /* for device_add */
	struct enter *enter;
	struct loop_timer timer;
	bool known; /* its identity knew the disk before */
	bool over;  /* nothing is under way any more, once it is freed */
	/* what has been done, and is undone if it fails */
	bool noted, placed, entered, locked, added, listed;
};

/* --- plug_disk.c: the disk itself --- */

struct conf_disk *plug_find(const struct conf_vm *c, const char *id);
/* As QEMU gets it. */
struct conf_disk plug_resolved(const struct vm *vm, const struct conf_disk *disk);
json_t *plug_files(const struct vm *vm, const struct conf_disk *disk);
json_t *plug_node(const struct vm *vm, const struct conf_disk *disk, struct err *e);
/* Its front end, at a place of its own. */
json_t *plug_front(struct vm *vm, const struct conf_disk *disk, struct err *e);
/* Has QEMU, which lists its devices, what the front end is connected to? */
int plug_check_place(const json_t *front, const json_t *devices, struct err *e);
/* The configuration of the process without it. */
int plug_without(const struct vm *vm, const char *id, struct conf_vm *to, struct err *e);
/* Of a disk that QEMU has no device for any more: its nodes, its locks, its files, and its row in the
 * configuration of the process go. */
void plug_clear(struct change *c, struct vm *vm, const struct conf_disk *disk);
void plug_unlist(struct vm *vm, const char *id);
/* Its slot, if it was added, and the VM's file does not have it. */
void plug_free_slot(struct vm *vm, const char *id);
/* An entry of the run record; the disk remains one that was added. */
void plug_note(struct vm *vm, const char *kind, const char *id);

#endif
