/* SPDX-License-Identifier: MIT */
#include "base/bucket.h"

double bucket_level(struct bucket *b, double now)
{
	if (now > b->since) {
		b->level += (now - b->since) * b->rate;
		b->since = now;
	}
	if (b->level > b->burst)
		b->level = b->burst;
	return b->level;
}

bool bucket_take(struct bucket *b, double n, double now)
{
	bool enough = bucket_level(b, now) >= n;

	b->level = enough ? b->level - n : 0;
	return enough;
}
