/* SPDX-License-Identifier: MIT */
/*
 * qmp/outq.h - bytes on their way to a stream socket, descriptors at the right byte
 *
 * Frames go out in order, many in one system call; a frame with a descriptor begins a call of its
 * own, so that SCM_RIGHTS arrives with its first byte.
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
	OUTQ_FULL,   /* the socket takes no more at present */
	OUTQ_FAILED, /* errno says why; the peer is gone */
};

/* Takes the bytes over. fd >= 0 is duplicated. Fails only when that does, or when it is a socket but no
 * local stream: nothing of the host's network is for QEMU, whoever passes it. tag: for outq_drop(). */
int outq_add(struct outq *o, struct buf *bytes /* stolen */, int fd, unsigned tag);

/* Takes back a frame of which nothing was written yet; one that has begun goes on. */
void outq_drop(struct outq *o, unsigned tag);

enum outq_result outq_flush(struct outq *o, int socket);

void outq_release(struct outq *o);

#endif
