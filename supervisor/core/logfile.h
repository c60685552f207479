/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/logfile.h - LOG/NAME/WHAT.log: appended, capped, rotated
 *
 * WHAT.log, WHAT.log.1 .. WHAT.log.KEEP. Bytes are kept as they came; whoever shows them escapes.
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
	unsigned keep;	    /* old files */
};

#define LOGFILE_INIT { .dirfd = -1, .fd = -1 }

/* log_fd: the LOG directory; NAME is made when it is not there. */
int logfile_open(struct logfile *l, int log_fd, const char *vm, const char *name, uint64_t max,
	unsigned keep, struct err *e);
void logfile_append(struct logfile *l, const void *data, size_t len);
void logfile_release(struct logfile *l);

/* The last lines of a log on their way to a client, from the file: nothing of them is kept in memory.
 */
struct logtail {
	int fd;
	off_t from, to; /* what is still to go */
};

#define LOGTAIL_INIT { .fd = -1 }

/* At most max bytes; nothing to go when there is no such file. */
void logtail_open(struct logtail *t, int log_fd, const char *vm, const char *name, unsigned lines,
	size_t max);
/* As much as the socket takes: 0, or -errno when the peer is gone. At the end from is to. */
int logtail_flush(struct logtail *t, int socket);
void logtail_release(struct logtail *t);

#endif
