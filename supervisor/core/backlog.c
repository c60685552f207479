/* SPDX-License-Identifier: MIT */
#include "supervisor/core/backlog.h"

#include <assert.h>

void backlog_add(struct backlog *b, const void *data, size_t len)
{
	buf_add(&b->bytes, data, len);
	b->end += len;
}

const char *backlog_at(const struct backlog *b, uint64_t pos, size_t *len)
{
	*len = (size_t)(b->end - pos);
	assert(*len <= b->bytes.len);
	return *len ? b->bytes.data + (b->bytes.len - *len) : "";
}

/* Only if more is dropped than kept, so that on average each byte is moved at most once. */
void backlog_forget(struct backlog *b, uint64_t pos)
{
	size_t stay = (size_t)(b->end - pos);

	if (stay < b->bytes.len - stay)
		buf_drop(&b->bytes, b->bytes.len - stay);
}

void backlog_release(struct backlog *b)
{
	buf_release(&b->bytes);
}
