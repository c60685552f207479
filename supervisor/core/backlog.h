/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/backlog.h - the last bytes of a stream, stored once for all readers
 *
 * Each reader keeps its own position, counted from the first byte of the stream. The backlog is
 * empty while all readers are up to date.
 */
#ifndef SUPERVISOR_CORE_BACKLOG_H
#define SUPERVISOR_CORE_BACKLOG_H

#include <stdint.h>

#include "base/buf.h"

struct backlog {
	struct buf bytes;
	uint64_t end; /* position after the last byte */
};

void backlog_add(struct backlog *b, const void *data, size_t len);
/* The bytes from this position to the end; *len is their number. pos must not be forgotten yet. */
const char *backlog_at(const struct backlog *b, uint64_t pos, size_t *len);
/* Bytes before this position are no longer needed. */
void backlog_forget(struct backlog *b, uint64_t pos);
void backlog_release(struct backlog *b);

#endif
