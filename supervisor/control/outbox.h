/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/outbox.h - lines on their way to a client
 *
 * A line is counted, so that an event waits once in memory for all subscribers that have not read
 * it. An empty outbox holds nothing.
 */
#ifndef SUPERVISOR_CONTROL_OUTBOX_H
#define SUPERVISOR_CONTROL_OUTBOX_H

#include <stddef.h>

struct line {
	unsigned refs;
	size_t len;
	char data[];
};

struct line *line_new(const void *data, size_t len);
void line_unref(struct line *l); /* NULL is fine */

struct outbox {
	struct line **line;
	size_t n, room;
	size_t first; /* index of the next to go */
	size_t sent;  /* bytes of it that are out */
	size_t len;   /* bytes in all that are not */
};

void outbox_add(struct outbox *o, struct line *l /* ref taken */);
/* As much as the socket takes. 0, or -errno when the peer is gone. */
int outbox_flush(struct outbox *o, int fd);
void outbox_release(struct outbox *o);
/* What it costs, lines that others wait for too included. */
size_t outbox_bytes(const struct outbox *o);

#endif
