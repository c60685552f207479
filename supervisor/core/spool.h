/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/spool.h - a file that a QEMU writes and the daemon reads
 *
 * Serial output, notify lines and stderr are files on a small per-VM tmpfs: output written while no
 * daemon runs waits there, and a writer never waits for a reader. Data that was read is punched
 * out.
 *
 * QEMU holds the fd and can do anything to the file: truncate it, extend it to 2^62, punch holes,
 * write anywhere. So its size is never trusted: only data is read, holes are skipped, the work per
 * loop iteration is bounded, and so is what is passed on: the spools of a VM share a token bucket.
 * If data arrives faster for longer than the bucket and part of the tmpfs can absorb, everything
 * but the last 64 KiB is dropped and counted until the writer has been slow enough for a second.
 * Nothing wakes up while nothing is written.
 */
#ifndef SUPERVISOR_CORE_SPOOL_H
#define SUPERVISOR_CORE_SPOOL_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bucket.h"
#include "base/err.h"
#include "base/loop.h"

enum {
	SPOOL_RATE = 1 << 20,	/* bytes per second per VM */
	SPOOL_BURST = 8 << 20,	/* bytes at once */
	SPOOL_BOUND = 4 << 20,	/* size of the tmpfs */
	SPOOL_HOLD = 512 << 10, /* bytes waiting for the bucket before it counts as a flood */
	SPOOL_KEEP = 64 << 10,	/* last bytes of a flood, which are not dropped */
	SPOOL_PAGE = 4096,
};

struct watches;

/* How a file is read. */
struct spool_kind {
	size_t patience; /* unread bytes that are not worth a read */
	size_t tail;	 /* bytes at the end that are not read before the end of the stream */
	size_t reserve;	 /* bytes kept allocated after the read position */
	double pause;	 /* seconds between two reads */
	/* Returns how many bytes it used: the rest is passed again, with more appended. Must use
	 * some if given SPOOL_PAGE or more. */
	size_t (*take)(void *data, char *bytes, size_t len);
	/* This many bytes were dropped before the next ones. */
	void (*lost)(void *data, uint64_t bytes);
	/* Called after take(), before the bytes are removed from the file; may be NULL. */
	void (*settle)(void *data);
	/* Called after they were removed; may be NULL. */
	void (*done)(void *data);
};

struct spool {
	const struct spool_kind *kind;
	void *data;
	const char *vm, *name; /* for the log: "web1", "console 'console'"; borrowed */
	struct ev_loop *ev;
	struct watches *watches;
	struct bucket *bucket; /* borrowed */

	int fd, watch;
	off_t at, size; /* position of the next byte; size at the last check */
	double next;	/* earliest time of the next read */
	struct loop_timer timer;
	bool flood, over;   /* over: the writer has ended */
	bool solid;	    /* the file system cannot punch holes: data that was read stays */
	struct bucket calm; /* during a flood, which ends when this is full */
	uint64_t dropped,
		untold; /* bytes not yet passed to lost(); bytes passed to it but not yet logged */
	double told;	/* time of the last log line */
};

#define SPOOL_INIT { .fd = -1 }

/* kind .. bucket must be set; fd is open for reading and writing. Finds where the previous daemon
 * stopped, and reads what is there. An error means that the file is not watched. */
int spool_open(struct spool *s, int fd /* stolen */, struct err *e);
/* over: the writer has ended; reads the rest, up to the bucket's limit. Otherwise the rest stays in
 * the file. */
void spool_close(struct spool *s, bool over);
/* Reads a share of the data now. */
void spool_read(struct spool *s);
/* Copies the last unread bytes, at most len. */
size_t spool_tail(const struct spool *s, char *bytes, size_t len);

#endif
