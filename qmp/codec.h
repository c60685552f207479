/* SPDX-License-Identifier: MIT */
/*
 * qmp/codec.h - JSON messages from a byte stream, and back
 *
 * Used at both ends of QMP's dialect: our QEMU sessions, the control socket, the client. The
 * stream is not line based: QEMU runs a command as soon as its object closes and splits replies
 * anywhere, so a message ends where its brackets balance. Each byte is scanned once, however it
 * arrives.
 *
 * Input that jansson would reject is made acceptable: an integer beyond 64 bits becomes a real
 * (QEMU sends 18446744073709551615 for "no balloon driver"), a byte in a string that is not UTF-8
 * becomes U+FFFD, \u0000 is kept (see json_string_length). A duplicate key is an error. 0xFF
 * outside strings is the resync mark of QEMU and its agent: a partial message is dropped.
 *
 * A codec without a partial message holds no memory.
 */
#ifndef QMP_CODEC_H
#define QMP_CODEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum {
	CODEC_DEPTH_MAX = 64,
	CODEC_VALUE_MEMORY = 300,   /* bytes jansson needs at most for a value such as "{}" */
	CODEC_BYTES_PER_VALUE = 32, /* one value is allowed per this many bytes of the limit */
};

enum codec_result {
	CODEC_NONE, /* no complete message yet */
	CODEC_MESSAGE,
	CODEC_BAD, /* permanent: the stream can no longer be trusted */
};

struct codec {
	struct buf in;
	size_t start;		   /* first byte of the current message */
	size_t pos;		   /* next byte to scan */
	size_t max;		   /* bytes of one message */
	size_t values, values_max; /* of one message; max 0: as many as max bytes allow */
	size_t cost;		   /* of the last message */
	unsigned depth;
	bool in_string, escaped, bad;
};

void codec_init(struct codec *c, size_t max);
void codec_release(struct codec *c);

/* Adds input. Take all messages out before feeding more: only messages are limited. */
void codec_feed(struct codec *c, const void *data, size_t len);
/* The same without a copy: reserves len bytes, then commits how many were used (0 is fine). */
char *codec_reserve(struct codec *c, size_t len);
void codec_commit(struct codec *c, size_t used);

/* The next object or array in *message (owned by the caller). e is set for CODEC_BAD only. */
enum codec_result codec_next(struct codec *c, json_t **message, struct err *e);

/* Upper bound on the memory of the last message, as JSON values, in bytes. */
size_t codec_cost(const struct codec *c);

/* Bytes held: a partial message, or messages not taken yet. */
size_t codec_pending(const struct codec *c);

/* Appends the message on one line. -E2BIG: over out's limit; out is unchanged. */
int codec_encode(const json_t *message, struct buf *out);
/* The same for a command; arguments and id may be NULL. */
void codec_command(const char *execute, json_t *arguments /* stolen */, json_t *id /* stolen */,
	struct buf *out);

#endif
