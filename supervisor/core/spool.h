/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/spool.h - a file that a QEMU writes and the daemon reads
 *
 * Serial output, notify lines and stderr are files on a small tmpfs of the VM's: what is written
 * while no daemon runs waits there, and a writer never waits for a reader. What was read is punched
 * out.
 *
 * QEMU holds the descriptor and can do to the file what it likes: cut it, stretch it to 2^62, punch
 * it, write anywhere. So no size that it set counts for anything: only data is read, holes are
 * stepped over, a turn of the loop has a bound, and so has what is handed on: the spools of a VM
 * share a token bucket. Whatever comes faster, for so long that neither the bucket nor a part of
 * the tmpfs holds it, is dropped and counted, but for the last 64 KiB, until the writer has been
 * slow enough for a second. Nothing wakes up while nothing is written.
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
	SPOOL_RATE = 1 << 20,	/* bytes a second of one VM */
	SPOOL_BURST = 8 << 20,	/* and at once */
	SPOOL_BOUND = 4 << 20,	/* of the tmpfs */
	SPOOL_HOLD = 512 << 10, /* bytes that wait for the bucket before it counts as a flood */
	SPOOL_KEEP = 64 << 10,	/* last bytes of a flood, which are not dropped */
	SPOOL_PAGE = 4096,
};

struct watches;

/* How a file is read. */
struct spool_kind {
	size_t patience; /* bytes that may lie there unread */
	size_t tail;	 /* bytes at the end that stay unread until the end */
	size_t reserve;	 /* bytes that stay allocated behind what is read */
	double pause;	 /* seconds between two turns */
	/* Returns how many of the bytes it used: the others come again, and more with them. It uses
	 * some of SPOOL_PAGE or more. */
	size_t (*take)(void *data, char *bytes, size_t len);
	/* Before the next bytes so many were dropped. */
	void (*lost)(void *data, uint64_t bytes);
	/* After some of these, before the bytes leave the file; NULL: nothing. */
	void (*settle)(void *data);
	/* And after they have left it; NULL: nothing. */
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
	off_t at, size; /* next byte; size as it was in this turn */
	double next;	/* not before */
	struct loop_timer timer;
	bool flood, over;   /* over: nobody writes any more */
	bool solid;	    /* its file system gives nothing back: what was read stays there */
	struct bucket calm; /* in a flood; it is over when this is full */
	uint64_t dropped,
		untold; /* bytes that neither the file nor the log was told of; only the log */
	double told;	/* when the log was */
};

#define SPOOL_INIT { .fd = -1 }

/* kind .. bucket are set; fd is open for reading and writing. Finds where a former daemon stopped,
 * and reads what is there. An error says that the file is not watched. */
int spool_open(struct spool *s, int fd /* stolen */, struct err *e);
/* over: nobody writes any more, and the rest is read, at most what the bucket has; else it stays
 * there. */
void spool_close(struct spool *s, bool over);
/* Reads a share of what is there, now. */
void spool_read(struct spool *s);
/* The last bytes of it that have not been read, at most len. */
size_t spool_tail(const struct spool *s, char *bytes, size_t len);

#endif
