/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/store.h - what the stores are like: there, mounted, writable, and how full
 *
 * Each is asked for by a child process of its own, all at once and with a deadline: a file server,
 * or a program, that does not answer costs only its own store.
 */
#ifndef SUPERVISOR_CHECK_STORE_H
#define SUPERVISOR_CHECK_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct daemon;

enum store_state {
	STORE_OK,
	STORE_READ_ONLY, /* by ReadOnly=, or mounted so */
	STORE_MISSING,
	STORE_NOT_MOUNTED, /* and RequireMount=yes */
	STORE_NO_ANSWER,
	STORE_FAILING, /* its program failed */
	STORE_STATES
};
const char *store_state_name(enum store_state s); /* "not mounted" */

struct store_seen {
	char *name, *path;
	char *why; /* of STORE_FAILING */
	bool program;
	bool require_mount, read_only;
	enum store_state state;
	uint64_t size, room; /* of its file system; size 0: neither ok nor read-only */
	uint64_t trash;	     /* bytes of deleted disks */
	int metadata;	     /* of a thin pool, percent; -1: it has none */
	unsigned mode;	     /* 0: unknown, as is the owner then */
	unsigned owner;
};

/* Of its file system, what is not free, in percent. */
unsigned store_used(const struct store_seen *s);
/* Fills in what the child printed, in part if it was killed. */
void store_judge(struct store_seen *s, const char *printed, bool killed);

/* Looks at the image directory, the store 'default', and at all others of vmkeep.conf. Calls done
 * once, from the loop; the array is valid until stores_look_free(), which done may call. */
struct stores_looking;
struct stores_looking *stores_look(struct daemon *d,
	void (*done)(void *data, const struct store_seen *s, size_t n), void *data);
void stores_look_free(struct stores_looking *l); /* at any time: done is then not called */

#endif
