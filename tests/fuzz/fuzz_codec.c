/* SPDX-License-Identifier: MIT */
/*
 * The codec with any bytes: no crash, bounded memory, the same messages however the stream is
 * split, and what we encode is read back. The first byte selects the limit and the chunk sizes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "qmp/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
	if (!ok)
		abort();
}

static void check_round_trip(const json_t *message, const char *line, size_t len)
{
	struct buf again = BUF_INIT;
	json_t *copy;
	struct codec c;

	codec_init(&c, len * CODEC_BYTES_PER_VALUE);
	codec_feed(&c, line, len);
	need(codec_next(&c, &copy, NULL) == CODEC_MESSAGE);
	need(codec_encode(copy, &again) == 0);
	need(again.len == len && memcmp(again.data, line, len) == 0);
	need(json_equal(message, copy));
	json_decref(copy);
	buf_release(&again);
	codec_release(&c);
}

/* Reads all available messages; false if the stream is bad. */
static bool drain(struct codec *c, struct buf *out)
{
	struct err e = ERR_INIT;
	json_t *message;
	size_t before;

	for (;;)
		switch (codec_next(c, &message, &e)) {
		case CODEC_NONE:
			need(!message && !e.number);
			need(codec_pending(c) <= c->max);
			need(codec_pending(c) || !c->in.data);
			return true;
		case CODEC_BAD:
			need(!message && e.number && e.text[0] && !c->in.data);
			buf_adds(out, e.text);
			return false;
		case CODEC_MESSAGE:
			before = out->len;
			need(codec_encode(message, out) == 0);
			check_round_trip(message, out->data + before, out->len - before);
			json_decref(message);
			break;
		}
}

static void run(struct buf *out, size_t max, const uint8_t *data, size_t size, unsigned cuts)
{
	struct codec c;

	codec_init(&c, max);
	for (size_t at = 0, n; at < size; at += n) {
		/* 1 to 16 bytes at a time, or all */
		n = cuts ? 1 + cuts % 16 : size;
		cuts = cuts ? cuts * 1103515245u + 12345u : 0;
		cuts |= cuts ? 1u << 31 : 0;
		n = n < size - at ? n : size - at;
		codec_feed(&c, data + at, n);
		need(c.in.cap <= 4 * (max + size + 256));
		if (!drain(&c, out))
			break;
	}
	codec_release(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT, cut = BUF_INIT;
	size_t max;

	if (size == 0)
		return 0;
	max = data[0] & 1 ? 64 : 1 << 16;
	run(&whole, max, data + 1, size - 1, 0);
	run(&cut, max, data + 1, size - 1, data[0] | 1u << 31);
	need(whole.len == cut.len && (!whole.len || memcmp(whole.data, cut.data, cut.len) == 0));
	buf_release(&whole);
	buf_release(&cut);
	return 0;
}
