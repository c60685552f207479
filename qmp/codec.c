/* SPDX-License-Identifier: MIT */
#include "qmp/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

enum { RESYNC = 0xFF };

void codec_init(struct codec *c, size_t max)
{
	*c = (struct codec){ .max = max };
}

void codec_release(struct codec *c)
{
	size_t values_max = c->values_max;

	buf_release(&c->in);
	codec_init(c, c->max);
	c->values_max = values_max;
}

char *codec_reserve(struct codec *c, size_t len)
{
	/* only if more bytes are dropped than moved, so that a byte is moved at most once on
	 * average */
	if (c->start > c->in.len - c->start) {
		buf_drop(&c->in, c->start);
		c->pos -= c->start;
		c->start = 0;
	}
	return buf_reserve(&c->in, len);
}

static void codec_give_back(struct codec *c)
{
	if (c->start == c->in.len) {
		buf_clear(&c->in);
		c->start = c->pos = 0;
	}
}

void codec_commit(struct codec *c, size_t used)
{
	buf_commit(&c->in, used);
	codec_give_back(c);
}

void codec_feed(struct codec *c, const void *data, size_t len)
{
	if (len) {
		memcpy(codec_reserve(c, len), data, len);
		codec_commit(c, len);
	}
}

size_t codec_cost(const struct codec *c)
{
	return c->cost;
}

size_t codec_pending(const struct codec *c)
{
	return c->in.len - c->start;
}

static bool codec_is_space(unsigned char b)
{
	return b == ' ' || b == '\t' || b == '\r' || b == '\n';
}

/* Scans one byte of a message, including the first; true at its last. */
static bool codec_step(struct codec *c, unsigned char b)
{
	if (c->in_string) {
		if (c->escaped)
			c->escaped = false;
		else if (b == '\\')
			c->escaped = true;
		else if (b == '"')
			c->in_string = false;
		return false;
	}
	switch (b) {
	case '"':
		c->in_string = true;
		return false;
	case ',':
		c->values++;
		return false;
	case '{':
	case '[':
		c->values++;
		c->depth++;
		return false;
	case '}':
	case ']':
		return --c->depth == 0;
	case RESYNC:
		c->depth = 0;
		return false;
	default:
		return false;
	}
}

static bool codec_within_limits(const struct codec *c, struct err *e)
{
	const size_t values = c->values_max ? c->values_max : c->max / CODEC_BYTES_PER_VALUE;

	if (c->depth > CODEC_DEPTH_MAX)
		err_set(e, ERR_FAILED, "message is nested deeper than %d", CODEC_DEPTH_MAX);
	else if (c->pos - c->start > c->max)
		err_set(e, ERR_FAILED, "message is longer than %zu bytes", c->max);
	else if (c->values > values)
		err_set(e, ERR_FAILED, "message has more than %zu values", values);
	else
		return true;
	return false;
}

/* Advances to the end of a message, which is then start to pos. */
static enum codec_result codec_scan(struct codec *c, struct err *e)
{
	while (c->pos < c->in.len) {
		unsigned char b = (unsigned char)c->in.data[c->pos++];

		if (c->depth == 0)
			c->values = 0;
		if (c->depth == 0 && b != '{' && b != '[') {
			if (!codec_is_space(b) && b != RESYNC) {
				err_set(e, ERR_FAILED, "byte 0x%02x where an object should begin",
					b);
				return CODEC_BAD;
			}
			c->start = c->pos;
			continue;
		}
		if (codec_step(c, b))
			return codec_within_limits(c, e) ? CODEC_MESSAGE : CODEC_BAD;
		if (!codec_within_limits(c, e))
			return CODEC_BAD;
		if (c->depth == 0) /* a resync mark */
			c->start = c->pos;
	}
	return CODEC_NONE;
}

/* Copies a string with its quotes; returns the byte after it. */
static const char *codec_mend_string(struct buf *out, const char *s, const char *end)
{
	bool escaped = false;

	buf_addc(out, *s++);
	while (s < end) {
		uint32_t c;
		size_t n = text_utf8(s, (size_t)(end - s), &c);
		bool last = *s == '"' && !escaped;

		escaped = *s == '\\' && !escaped;
		if (n)
			buf_add(out, s, n);
		else
			buf_adds(out, "\xEF\xBF\xBD");
		s += n ? n : 1;
		if (last)
			break;
	}
	return s;
}

/* Copies a number; appending "e0" makes an integer that is too large a real. */
static const char *codec_mend_number(struct buf *out, const char *s, const char *end)
{
	size_t n = 1;
	char *integer_end;

	while (s + n < end && strchr("0123456789+-.eE", s[n]) && s[n])
		n++;
	buf_add(out, s, n);
	errno = 0;
	(void)strtoll(s, &integer_end, 10);
	if (errno == ERANGE && integer_end == s + n)
		buf_adds(out, "e0");
	return s + n;
}

/* Rewrites the message so that jansson accepts it. */
static void codec_mend(struct buf *out, const char *s, const char *end)
{
	while (s < end)
		if (*s == '"')
			s = codec_mend_string(out, s, end);
		else if (*s == '-' || (*s >= '0' && *s <= '9'))
			s = codec_mend_number(out, s, end);
		else
			buf_addc(out, *s++);
}

static json_t *codec_decode(const char *text, size_t len, struct err *e)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
	struct buf mended = BUF_INIT;
	json_error_t why;
	json_t *message = json_loadb(text, len, flags, &why);

	if (message)
		return message;
	if (json_error_code(&why) == json_error_invalid_utf8 ||
		json_error_code(&why) == json_error_numeric_overflow) {
		codec_mend(&mended, text, text + len);
		message = json_loadb(mended.data, mended.len, flags, &why);
		buf_release(&mended);
	}
	if (!message) {
		_cleanup_(free_ptr) char *safe = text_escape(why.text, strlen(why.text), false);

		err_set(e, ERR_FAILED, "byte %d of the message: %s", why.position, safe);
	}
	return message;
}

enum codec_result codec_next(struct codec *c, json_t **message, struct err *e)
{
	enum codec_result r = CODEC_BAD;

	*message = NULL;
	if (c->bad)
		err_set(e, ERR_FAILED, "the stream is already broken");
	else
		r = codec_scan(c, e);
	if (r == CODEC_MESSAGE) {
		*message = codec_decode(c->in.data + c->start, c->pos - c->start, e);
		c->cost = c->pos - c->start + c->values * CODEC_VALUE_MEMORY;
		c->start = c->pos;
		if (!*message)
			r = CODEC_BAD;
	}
	if (r == CODEC_BAD) {
		c->bad = true;
		c->start = c->pos = c->in.len;
	}
	codec_give_back(c);
	return r;
}

static int codec_add(const char *text, size_t len, void *out)
{
	return buf_add(out, text, len);
}

int codec_encode(const json_t *message, struct buf *out)
{
	size_t before = out->len;

	if (json_dump_callback(message, codec_add, out, JSON_COMPACT) == 0 &&
		buf_addc(out, '\n') == 0)
		return 0;
	if (before == 0) {
		buf_clear(out);
	} else {
		out->len = before;
		out->data[before] = '\0';
	}
	return -E2BIG;
}

void codec_command(const char *execute, json_t *arguments, json_t *id, struct buf *out)
{
	json_t *message = json_pack(
		"{s:s, s:o*, s:o*}", "execute", execute, "arguments", arguments, "id", id);

	codec_encode(message, out);
	json_decref(message);
}
