/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/outbox.h - output queue of a client
 *
 * Lines are reference counted, so an event is in memory once for all subscribers that have not
 * read it. An empty outbox holds no memory.
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
	size_t n, cap;
	size_t first; /* index of the next to send */
	size_t sent;  /* bytes of it already sent */
	size_t len;   /* total unsent bytes */
};

void outbox_add(struct outbox *o, struct line *l /* ref taken */);
/* Sends as much as the socket takes. 0, or -errno if the peer is gone. */
int outbox_flush(struct outbox *o, int fd);
void outbox_release(struct outbox *o);
/* Memory used, counting lines shared with others in full. */
size_t outbox_bytes(const struct outbox *o);

#endif
