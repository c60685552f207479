/* SPDX-License-Identifier: MIT */
/*
 * supervisor/storage/snapshot_private.h - internals of snapshots
 *
 *   snapshot.c       starts an operation and makes the first checks
 *   snapshot_file.c  images of a stopped guest, with qemu-img
 *   snapshot_live.c  a running QEMU, over QMP
 *   snapshot_mark.c  the mark of a revert, and cancelling
 *   snapshot_op.c    shared by all operations: finding the VM, finishing
 *   snapshot_disks.c the disks and their snapshots; pure
 *   snapshot_names.c which snapshot a name means, to us and to QEMU; pure
 *   snapshot_plan.c  what a revert would do, without doing it
 *   snapshot_record.c the machine's configuration when a snapshot with memory was made
 */
#ifndef SUPERVISOR_STORAGE_SNAPSHOT_PRIVATE_H
#define SUPERVISOR_STORAGE_SNAPSHOT_PRIVATE_H

#include "supervisor/storage/snapshot.h"
#include "supervisor/qemu/device.h"
#include "supervisor/vm/revert.h"

/* --- disks, pure --- */

struct snapshot_disk { /* a disk that the guest can write to */
	char *id, *path;
	char *beneath;		    /* of a relative path: the directory that it is in; or NULL */
	char *store;		    /* of a volume; else NULL */
	char node[DEVICE_NODE_MAX]; /* node name in QEMU */
	bool qcow2, nvram;
	bool has_base;
	uint64_t size;	       /* of Size=, which the first start creates it with; 0: none */
	char created[16];      /* date; "" if not created by vmkeep */
	json_t *snapshots;     /* QEMU's SnapshotInfo, from QMP or qemu-img; NULL: not read yet */
	const char *id_wanted; /* only the snapshot with this id counts; NULL: any. Borrowed. */
	json_t *bitmaps;       /* dirty bitmaps, as objects with "name"; NULL: none */
};

/* Per disk. qcow2 allows 65536, and the number comes from an untrusted image header. */
enum { SNAPSHOTS_MAX = 2048 };

struct snapshot_disks {
	struct snapshot_disk *disk;
	size_t n;
};

void snapshot_disks_init(struct snapshot_disks *s, const struct conf_vm *c,
	const struct identity *id, const char *image_dir);
/* Adds another file to the snapshots. The result is valid until the next call. */
struct snapshot_disk *snapshot_disks_add(
	struct snapshot_disks *s, const char *id, const char *node, const char *path, bool qcow2);
void snapshot_disks_release(struct snapshot_disks *s);
/* Reads the snapshots and bitmaps from the output of qemu-img info or a node's ImageInfo.
 * ERR_FAILED if it is malformed or lists more than SNAPSHOTS_MAX: it never counts as an empty
 * list. */
int snapshot_disk_take(struct snapshot_disk *d, const json_t *image, struct err *e);
/* The same for all disks, from the reply to query-named-block-nodes. ERR_FAILED if a disk is
 * missing. */
int snapshot_disks_take_nodes(struct snapshot_disks *s, const json_t *nodes, struct err *e);
/* The first SnapshotInfo of this name, as it is or as lists print it, and with the id that is
 * wanted; or NULL. */
const json_t *snapshot_find(const struct snapshot_disk *d, const char *name);
const char *snapshot_id(const json_t *snapshot);
/* Bytes of guest memory in the snapshot, on whichever disk; 0: disks only. */
json_int_t snapshot_memory(const struct snapshot_disks *s, const char *name);
/* The node that holds the memory, which need not be the first one today; NULL: disks only. */
const char *snapshot_memory_node(const struct snapshot_disks *s, const char *name);
/* Creation time in Unix time; 0 if no disk has the snapshot. */
json_int_t snapshot_created(const struct snapshot_disks *s, const char *name);
/* Columns and rows for `snapshot list`. */
json_t *snapshot_table(const struct snapshot_disks *s);

/* For new ones: [A-Za-z_][A-Za-z0-9_.-]{0,62}: QEMU would take a leading digit for an id.
 * ERR_USAGE. */
int snapshot_check_name(const char *name, struct err *e);
/* Checks that there is a disk and all are qcow2. ERR_INVALID_CONFIG names the disk and the fix. */
int snapshot_check_disks(const struct snapshot_disks *s, struct err *e);
/* No disk has dirty bitmaps: QEMU reverts none that has, and finds out when it has stopped the
 * guest. ERR_CONFLICT names the bitmap and the fix. */
int snapshot_check_bitmaps(const struct snapshot_disks *s, struct err *e);
int snapshot_check_free(const struct snapshot_disks *s, const char *name, struct err *e);
int snapshot_check_no_id(const struct snapshot_disks *s, const char *name, struct err *e);
/* all: must be on every disk, else on at least one. ERR_NOT_FOUND; ERR_CONFLICT if only some have
 * it. */
int snapshot_check_there(
	const struct snapshot_disks *s, const char *vm, const char *name, bool all, struct err *e);

/* How QEMU finds a snapshot. Names and ids are whatever some program wrote into the image: several
 * may have one name, and a name may be another one's id. */
enum snapshot_way {
	SNAPSHOT_BY_ID,	  /* qemu-img snapshot -a: the first with this id */
	SNAPSHOT_BY_NAME, /* a deletion: the first with this name */
	SNAPSHOT_BY_TAG, /* snapshot-load: the first with this id, if there is one with this name */
};
/* On each disk QEMU would find the one that is meant, and no other. ERR_CONFLICT. */
int snapshot_check_exact(
	const struct snapshot_disks *s, const char *name, enum snapshot_way way, struct err *e);
/* What to tell QEMU: the id, or the name in the image; name if the disk does not have it. */
const char *snapshot_word(const struct snapshot_disk *d, const char *name, bool id);

/* --- record: STATE/vms/NAME/snapshots.json, version 1 --- */

struct snapshot_machine { /* must match for the memory to load; a NULL member is not known yet */
	const struct conf_vm *conf;
	const char *machine, *accel, *qemu; /* versioned machine, accelerator, QEMU ("7.2.22") */
};

json_t *snapshot_record_new(const struct snapshot_machine *m, bool running, json_int_t created);
bool snapshot_record_running(
	const json_t *record); /* also true if nothing was recorded for the snapshot */
/* ERR_CONFLICT lists what changed. record NULL: not made by vmkeep, so nothing can be checked. */
int snapshot_record_check(const json_t *record, const struct snapshot_machine *m, struct err *e);
/* --- one operation --- */

struct snapshot_op;
typedef void snapshot_step_fn(struct snapshot_op *op);
typedef void snapshot_failed_fn(struct snapshot_op *op, const struct err *e);

struct snapshot_op {
	struct daemon *daemon;
	enum snapshot_verb verb;
	char vm[64];
	uid_t uid;	/* runs qemu-img on the images */
	char name[256]; /* as it was asked for */
	char id[32];	/* "": none was given */
	char *typed;	/* both for a command line */
	char busy[320]; /* vm->busy points here while this operation owns the VM */
	struct qmp *q;	/* QMP session at the start; NULL if the guest is off */
	struct job *job;
	/* read-only, without a job: a list, or what a revert would do */
	snapshot_listed_fn *listed;
	void *data;
	struct snapshot_disks disks;
	size_t at;		  /* current disk or step */
	bool disks_only;	  /* a revert that leaves the memory where it is */
	bool running;		  /* the guest was running; for a revert: shall run afterwards */
	bool acting;		  /* the first image is being changed, or QEMU has been told to */
	bool marked;		  /* the VM was already marked as half reverted */
	struct snapshot_marking { /* in progress, see snapshot_mark() */
		const char *disk;
		snapshot_step_fn *next;
		snapshot_failed_fn *failed;
	} mark;
	bool cancelled;
	bool killed; /* qemu-img was killed while creating on disk killed_at */
	size_t killed_at;
	struct confined *tool; /* running qemu-img */
	bool booted;	       /* we started the process in order to load memory into it */
	bool done;	       /* the job has finished; what follows only verifies it */
	char qemu[32];	       /* its version */
	json_t *record;
	struct err error;
};

extern const char *const snapshot_verbs[]; /* user-visible names */

/* Checks the verb's preconditions against the disks. */
int snapshot_check(const struct snapshot_op *op, struct err *e);
/* The VM, while this operation may still work on it; NULL if not. */
struct vm *snapshot_vm(const struct snapshot_op *op);
/* Marks the VM as half reverted, currently at this disk; "": QEMU has all of them; NULL removes the
 * mark. Then calls next, or failed with the error. */
void snapshot_mark(struct snapshot_op *op, const char *disk, snapshot_step_fn *next,
	snapshot_failed_fn *failed);
/* Reports the result, releases the VM and frees op. e NULL: success. */
void snapshot_end(struct snapshot_op *op, json_t *result /* stolen */, const struct err *e);
/* Ends a successful create, revert or delete. */
void snapshot_end_well(struct snapshot_op *op);

/* Loads the snapshot's record into op; ERR_CONFLICT if its memory does not fit the current
 * machine. */
int snapshot_record_fits(struct snapshot_op *op, struct vm *vm, struct err *e);
/* Saves or removes the record, then ends with success: failures to write it are only logged. */
void snapshot_record_made(struct snapshot_op *op, struct vm *vm);
void snapshot_record_gone(struct snapshot_op *op, struct vm *vm);

/* Bytes of memory that the revert loads; 0: it changes disks only. */
json_int_t snapshot_op_memory(const struct snapshot_op *op);

/* snapshot_plan.c. What the revert would do, as the result of snapshot_ask(). */
json_t *snapshot_plan(const struct snapshot_op *op, const struct vm *vm);

/* struct job's cancel. */
int snapshot_cancel(void *op, struct err *e);

/* Each reads the disks' snapshots first, then does what op->verb says. */
void snapshot_live(struct snapshot_op *op);
void snapshot_file(struct snapshot_op *op);

#endif
