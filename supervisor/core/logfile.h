/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/logfile.h - LOG/NAME/WHAT.log: appended, capped, rotated
 *
 * WHAT.log, WHAT.log.1 .. WHAT.log.KEEP. Bytes are stored unchanged; they must be escaped for
 * display.
 */
#ifndef SUPERVISOR_CORE_LOGFILE_H
#define SUPERVISOR_CORE_LOGFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct logfile {
	int dirfd;  /* LOG/NAME */
	char *name; /* "console.log" */
	int fd;
	uint64_t size, max; /* bytes */
	uint64_t written;   /* bytes since it was opened, in whichever file */
	unsigned keep;	    /* number of old files */
};

#define LOGFILE_INIT { .dirfd = -1, .fd = -1 }

/* log_fd: the LOG directory; NAME is created if it does not exist. */
int logfile_open(struct logfile *l, int log_fd, const char *vm, const char *name, uint64_t max,
	unsigned keep, struct err *e);
void logfile_append(struct logfile *l, const void *data, size_t len);
void logfile_release(struct logfile *l);

/* The last lines of a log being sent to a client, straight from the file, without buffering in
 * memory. */
struct logtail {
	int fd;
	off_t from, to; /* the rest to be sent */
};

#define LOGTAIL_INIT { .fd = -1 }

/* At most max bytes; empty if there is no such file. */
void logtail_open(struct logtail *t, int log_fd, const char *vm, const char *name, unsigned lines,
	size_t max);
/* Sends as much as the socket accepts: 0, or -errno if the peer is gone. Done when from == to. */
int logtail_flush(struct logtail *t, int socket);
void logtail_release(struct logtail *t);

#endif
