/* SPDX-License-Identifier: MIT */
/*
 * base/buf.h - growing byte buffer with a limit
 *
 * The owner sets the limit once. Data that does not fit is refused whole with -E2BIG and the
 * buffer is unchanged. data is always NUL terminated when not NULL. An emptied buffer frees its
 * memory.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

struct buf {
	char *data;
	size_t len; /* without the NUL */
	size_t cap; /* allocated */
	size_t max; /* limit of len in bytes, 0: none */
};

#define BUF_INIT       { 0 }
#define BUF_MAX(bytes) { .max = (bytes) }

int buf_add(struct buf *b, const void *data, size_t len); /* 0 or -E2BIG */
int buf_adds(struct buf *b, const char *s);
int buf_addc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Reserves len more bytes, to be written at data + b->len; NULL if over the limit. */
char *buf_reserve(struct buf *b, size_t len);
void buf_commit(struct buf *b, size_t len);

void buf_drop(struct buf *b, size_t len); /* from the front */
void buf_clear(struct buf *b);		  /* empties and frees, keeps the limit */
void buf_release(struct buf *b);
char *buf_steal(struct buf *b); /* never NULL; the buffer is empty afterwards */

#endif
