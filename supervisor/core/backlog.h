/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/backlog.h - the last bytes of a stream, once for all who have not read them yet
 *
 * Readers keep a position each, counted from the stream's first byte. Holds nothing while all have
 * read all.
 */
#ifndef SUPERVISOR_CORE_BACKLOG_H
#define SUPERVISOR_CORE_BACKLOG_H

#include <stdint.h>

#include "base/buf.h"

struct backlog {
	struct buf bytes;
	uint64_t end; /* position behind the last byte */
};

void backlog_add(struct backlog *b, const void *data, size_t len);
/* From this position to the end: *len bytes. pos was not forgotten. */
const char *backlog_at(const struct backlog *b, uint64_t pos, size_t *len);
/* Nobody needs what is before this position any more. */
void backlog_forget(struct backlog *b, uint64_t pos);
void backlog_release(struct backlog *b);

#endif
