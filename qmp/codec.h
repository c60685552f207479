/* SPDX-License-Identifier: MIT */
/*
 * qmp/codec.h - JSON messages out of a byte stream, and back
 *
 * Both ends of QMP's dialect use it: our QEMU sessions, the control socket, the client. The stream
 * is not line based: QEMU runs a command when its object closes and splits replies where it likes,
 * so a message ends where its brackets balance. Each byte is looked at once, however it arrives.
 *
 * What peers send and jansson refuses is made acceptable: an integer beyond 64 bits becomes a real
 * (QEMU sends 18446744073709551615 for "no balloon driver"), a byte in a string that is not UTF-8
 * becomes U+FFFD, \u0000 stays in (see json_string_length). A key that comes twice is an error.
 * 0xFF outside strings is QEMU's and its agent's resync mark: what was begun is dropped.
 *
 * A codec without a message under way holds no memory.
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
	CODEC_VALUE_MEMORY = 300,   /* bytes that jansson needs at most for a value such as "{}" */
	CODEC_BYTES_PER_VALUE = 32, /* one value per this many bytes of the limit is allowed */
};

enum codec_result {
	CODEC_NONE, /* no whole message is there */
	CODEC_MESSAGE,
	CODEC_BAD, /* for good: the stream cannot be trusted any more */
};

struct codec {
	struct buf in;
	size_t start;		   /* first byte of the message under way */
	size_t pos;		   /* next byte to look at */
	size_t max;		   /* bytes of one message */
	size_t values, values_max; /* of one message; max 0: as many as max bytes allow */
	size_t cost;		   /* of the last message */
	unsigned depth;
	bool in_string, escaped, bad;
};

void codec_init(struct codec *c, size_t max);
void codec_release(struct codec *c);

/* Bytes as they come. Take all messages out before feeding more: only they are limited. */
void codec_feed(struct codec *c, const void *data, size_t len);
/* The same without a copy: room for len bytes, of which used are then filled (0 is fine). */
char *codec_reserve(struct codec *c, size_t len);
void codec_commit(struct codec *c, size_t used);

/* The next object or array in *message (given). e is set for CODEC_BAD only. */
enum codec_result codec_next(struct codec *c, json_t **message, struct err *e);

/* Bytes of memory that the message handed out last may take at most, as JSON. */
size_t codec_cost(const struct codec *c);

/* Bytes held and not handed out: part of a message, or messages not taken yet. */
size_t codec_pending(const struct codec *c);

/* Appends the message on one line. -E2BIG: over out's limit, out is as before. */
int codec_encode(const json_t *message, struct buf *out);
/* The same of a command; arguments and id may be NULL. */
void codec_command(const char *execute, json_t *arguments /* stolen */, json_t *id /* stolen */,
	struct buf *out);

#endif
