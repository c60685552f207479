/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/image.h - what the first bytes of an image say
 *
 * Nothing in a header is ever acted on: it is compared with the plan and, escaped, shown to people.
 */
#ifndef SUPERVISOR_JAIL_IMAGE_H
#define SUPERVISOR_JAIL_IMAGE_H

#include "supervisor/jail/jail.h"

/* --- magic.c: formats that are not ours --- */

enum magic_use {
	MAGIC_CONTAINER, /* a disk image of another format: never used as raw by mistake */
	MAGIC_PACKED,	 /* no disk as it is, but a guest may have written it to its own */
	MAGIC_DISK,	 /* fine as a raw disk */
};
struct magic {
	const char *what; /* "a VMDK image" */
	enum magic_use use;
	const char *driver;  /* qemu-img's name of the format, or NULL */
	const char *command; /* unpacks it, or NULL: get it again */
	/* how to recognise it: len bytes at an offset, from the end if negative */
	int at;
	size_t len;
	const char *bytes;
};
/* NULL: not recognised. head: the first len bytes of f. */
const struct magic *magic_find(const struct jail_file *f, const uint8_t *head, size_t len);
/* The hint for an image that is m. */
int magic_cure(const struct jail_file *f, const struct magic *m, struct err *e);

/* --- base.c --- */

/* The hint for a base whose format is another one than its image states. */
int base_hint(const struct jail_file *f, const char *format, struct err *e);

/* --- qcow2.c --- */

enum {
	QCOW2_DIRTY = 1 << 0,
	QCOW2_CORRUPT = 1 << 1,
	QCOW2_DATA_FILE = 1 << 2,
	QCOW2_COMPRESSION = 1 << 3,
	QCOW2_EXTENDED_L2 = 1 << 4,
	QCOW2_KNOWN = (1 << 5) - 1, /* by QEMU 7.2 and later */
};
struct qcow2 {
	unsigned version, cluster_bits, crypt, refcount_order, header_len;
	uint32_t l1_entries, reftable_clusters, snapshots, backing_len, bitmaps;
	uint64_t size, backing_at, l1_at, reftable_at, snapshots_at, incompatible;
	char backing_format[16]; /* "": not stated */
	char feature[47];	 /* the name of the first unknown feature, "" */
};
bool qcow2_is(const uint8_t *head, size_t len);
/* Parses a header, and refuses what QEMU could not open or should not. */
int qcow2_parse(
	struct qcow2 *q, const struct jail_file *f, const uint8_t *head, size_t len, struct err *e);
/* The backing file's name as a person would write it in Base=; NULL: none, or it cannot be read.
 * Caller frees. */
char *qcow2_backing_name(
	const struct jail_file *f, const struct qcow2 *q, const uint8_t *head, size_t len);
/* What the image's tables refer to, but the file is too short to hold. at 0: nothing. */
struct qcow2_gap {
	uint64_t at, end; /* the first of it that was found; a length that would hold all */
	uint64_t length;  /* of the file */
	bool data;	  /* the guest's data, not tables */
};
struct qcow2_gap qcow2_gap(const struct jail_file *f, const struct qcow2 *q);

#endif
