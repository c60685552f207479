/* SPDX-License-Identifier: MIT */
/*
 * qmp/outq.h - output queue of a stream socket, with descriptors at the right byte
 *
 * Frames are sent in order, many per system call. A frame with a descriptor starts a new call, so
 * that SCM_RIGHTS arrives with its first byte.
 */
#ifndef QMP_OUTQ_H
#define QMP_OUTQ_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct outq_frame;

struct outq {
	struct outq_frame *first, *last;
};
#define OUTQ_INIT { 0 }

enum outq_result {
	OUTQ_EMPTY,
	OUTQ_FULL,   /* the socket buffer is full */
	OUTQ_FAILED, /* see errno; the peer is gone */
};

/* Queues the bytes. fd >= 0 is duplicated. Fails only if that fails, or if fd is a socket other
 * than a Unix stream: QEMU must never get a socket of the host's network, whoever passes it. tag:
 * for outq_drop(). */
int outq_add(struct outq *o, struct buf *bytes /* stolen */, int fd, unsigned tag);

/* Removes the frame with this tag if none of it was sent yet. */
void outq_drop(struct outq *o, unsigned tag);

enum outq_result outq_flush(struct outq *o, int socket);

void outq_release(struct outq *o);

#endif
