/* SPDX-License-Identifier: MIT */
#include "qmp/rate.h"

const char *rate_count(struct rate *r, double now, unsigned unasked, size_t bytes)
{
	if (now - r->since >= 1)
		*r = (struct rate){ .since = now };
	r->unasked += unasked;
	r->bytes += bytes;
	if (r->unasked > QMP_RATE_UNASKED)
		return "unsolicited messages";
	return r->bytes > QMP_RATE_BYTES ? "bytes" : NULL;
}
