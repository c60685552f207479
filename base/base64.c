/* SPDX-License-Identifier: MIT */
#include "base/base64.h"

#include <string.h>

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t len)
{
	const unsigned char *in = data;
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < len; i += 3) {
		unsigned n = (unsigned)in[i] << 16;

		n |= i + 1 < len ? (unsigned)in[i + 1] << 8 : 0;
		n |= i + 2 < len ? in[i + 2] : 0;
		buf_addc(&b, base64_digits[n >> 18]);
		buf_addc(&b, base64_digits[n >> 12 & 63]);
		buf_addc(&b, i + 1 < len ? base64_digits[n >> 6 & 63] : '=');
		buf_addc(&b, i + 2 < len ? base64_digits[n & 63] : '=');
	}
	return buf_steal(&b);
}

void base64_decode(const char *s, struct buf *out)
{
	unsigned bits = 0, n = 0;
	const char *at;

	for (; *s && (at = strchr(base64_digits, *s)); s++) {
		n = n << 6 | (unsigned)(at - base64_digits);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_addc(out, (char)(n >> bits & 0xff));
		}
	}
}

bool base64_is(const char *s)
{
	s += strspn(s, base64_digits);
	return s[strspn(s, "=")] == '\0';
}
