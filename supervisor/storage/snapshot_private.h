/* SPDX-License-Identifier: MIT */
/*
 * supervisor/storage/snapshot_private.h - between the files of snapshots
 *
 *   snapshot.c       one operation: its checks and its beginning
 *   snapshot_file.c  in images that nobody uses, by qemu-img
 *   snapshot_live.c  in a QEMU that runs, by QMP
 *   snapshot_mark.c  the mark of a revert, and cancelling
 *   snapshot_op.c    what all of these share: the VM, and the end
 *   snapshot_disks.c the disks and what they hold; pure
 *   snapshot_plan.c  a revert that is only asked about
 *   snapshot_record.c what the machine was when a snapshot with memory was made
 */
#ifndef SUPERVISOR_STORAGE_SNAPSHOT_PRIVATE_H
#define SUPERVISOR_STORAGE_SNAPSHOT_PRIVATE_H

#include "supervisor/storage/snapshot.h"
#include "supervisor/qemu/device.h"
#include "supervisor/vm/revert.h"

/* --- disks, pure --- */

struct snapshot_disk { /* one that the guest can write */
	char *id, *path;
	char node[DEVICE_NODE_MAX]; /* in QEMU */
	bool qcow2, nvram;
	bool beneath; /* named as a file of the image directory */
	bool has_base;
	char created[16]; /* the day, "": not by us */
	json_t *snapshots; /* QEMU's SnapshotInfo, as QMP and qemu-img tell it; NULL: not looked at */
};

/* On one disk. qcow2 allows 65536, and who writes an image's header chooses. */
enum { SNAPSHOTS_MAX = 2048 };

struct snapshot_disks {
	struct snapshot_disk *disk;
	size_t n;
};

void snapshot_disks_init(struct snapshot_disks *s, const struct conf_vm *c,
	const struct identity *id, const char *image_dir);
/* One that goes with them; borrowed until the next. */
struct snapshot_disk *snapshot_disks_add(
	struct snapshot_disks *s, const char *id, const char *node, const char *path, bool qcow2);
void snapshot_disks_release(struct snapshot_disks *s);
/* From what qemu-img info or a node's ImageInfo says. ERR_FAILED where that is no answer, or tells of
 * more than SNAPSHOTS_MAX: never "none". */
int snapshot_disk_take(struct snapshot_disk *d, const json_t *image, struct err *e);
/* From the answer to query-named-block-nodes. ERR_FAILED also where a disk is missing in it. */
int snapshot_disks_take_nodes(struct snapshot_disks *s, const json_t *nodes, struct err *e);
/* SnapshotInfo of this name, or NULL. */
const json_t *snapshot_find(const struct snapshot_disk *d, const char *name);
/* Bytes of guest memory that the snapshot holds, on whichever disk; 0: disks only. */
json_int_t snapshot_memory(const struct snapshot_disks *s, const char *name);
/* The node that holds it, which need not be today's first; NULL: disks only. */
const char *snapshot_memory_node(const struct snapshot_disks *s, const char *name);
/* When it was made, Unix time; 0: nowhere. */
json_int_t snapshot_created(const struct snapshot_disks *s, const char *name);
/* Columns and rows for `snapshot list`. */
json_t *snapshot_table(const struct snapshot_disks *s);

/* [A-Za-z_][A-Za-z0-9_.-]{0,62}: QEMU would take a leading digit for an id. ERR_USAGE. */
int snapshot_check_name(const char *name, struct err *e);
/* All are qcow2, and there is one at least. ERR_INVALID_CONFIG names the disk and the cure. */
int snapshot_check_disks(const struct snapshot_disks *s, struct err *e);
int snapshot_check_free(const struct snapshot_disks *s, const char *name, struct err *e);
/* all: on every disk, else on one at least. ERR_NOT_FOUND; ERR_CONFLICT when only some have it. */
int snapshot_check_there(const struct snapshot_disks *s, const char *name, bool all, struct err *e);

/* --- record: STATE/vms/NAME/snapshots.json, version 1 --- */

struct snapshot_machine { /* what must be the same for memory to fit; NULL: not known yet */
	const struct conf_vm *conf;
	const char *machine, *accel, *qemu; /* versioned machine, accelerator, QEMU's "7.2.22" */
};

json_t *snapshot_record_new(const struct snapshot_machine *m, bool running, json_int_t created);
bool snapshot_record_running(
	const json_t *record); /* also true of a snapshot that nobody recorded */
/* ERR_CONFLICT tells what changed. record NULL: made by others, nothing is known. */
int snapshot_record_check(const json_t *record, const struct snapshot_machine *m, struct err *e);
/* --- one operation --- */

struct snapshot_op;
typedef void snapshot_step_fn(struct snapshot_op *op);
typedef void snapshot_failed_fn(struct snapshot_op *op, const struct err *e);

struct snapshot_op {
	struct daemon *daemon;
	enum snapshot_verb verb;
	char vm[64];
	uid_t uid; /* with which qemu-img works in its images */
	char name[64];
	char busy[96]; /* what vm->busy points to: while it does, the VM is ours */
	struct qmp *q; /* the session it began with; NULL: off */
	struct job *job;
	/* it only looks, and there is no job: a list, or a revert that is only asked about */
	snapshot_listed_fn *listed;
	void *data;
	struct snapshot_disks disks;
	size_t at;		  /* disk or step under way */
	bool running;		  /* the guest ran before; after a revert: it shall run */
	bool acting;		  /* the first image is being changed, or QEMU was told to */
	bool marked;		  /* the VM was marked as half reverted before */
	struct snapshot_marking { /* under way, see snapshot_mark() */
		const char *disk;
		snapshot_step_fn *next;
		snapshot_failed_fn *failed;
	} mark;
	bool cancelled;
	bool killed; /* qemu-img, while it made one on the disk killed_at */
	size_t killed_at;
	struct confined *tool; /* qemu-img at work */
	bool booted;	       /* we started the process, to load memory into it */
	bool done;	       /* the deed is done, what follows only proves it */
	char qemu[32];	       /* its version */
	json_t *record;
	struct err error;
};

extern const char *const snapshot_verbs[]; /* as users know them */

/* What must be so before it is done. */
int snapshot_check(const struct snapshot_op *op, struct err *e);
/* The VM, as long as it is still this operation's to work on; NULL: it went away. */
struct vm *snapshot_vm(const struct snapshot_op *op);
/* Marks the VM as half reverted, at this disk, "": at all; NULL: no longer. Then next; or it ended in failure,
 * and failed is called with why. */
void snapshot_mark(struct snapshot_op *op, const char *disk, snapshot_step_fn *next,
	snapshot_failed_fn *failed);
/* Answers, takes the mark off the VM and frees. e NULL: well done. */
void snapshot_end(struct snapshot_op *op, json_t *result /* stolen */, const struct err *e);
/* The end of a create, revert or delete that went well. */
void snapshot_end_well(struct snapshot_op *op);

/* Takes the snapshot's record; ERR_CONFLICT: its memory does not fit the machine of now. */
int snapshot_record_fits(struct snapshot_op *op, struct vm *vm, struct err *e);
/* Writes it, or that it is gone, and ends well: on disk, or problems are logged. */
void snapshot_record_made(struct snapshot_op *op, struct vm *vm);
void snapshot_record_gone(struct snapshot_op *op, struct vm *vm);

/* Of a revert that is only asked about: snapshot_ask()'s result. snapshot_plan.c */
json_t *snapshot_plan(const struct snapshot_op *op, const struct vm *vm);

/* For the job: struct job's cancel. */
int snapshot_cancel(void *op, struct err *e);

/* Each looks first, then does what op->verb says. */
void snapshot_live(struct snapshot_op *op);
void snapshot_file(struct snapshot_op *op);

#endif
