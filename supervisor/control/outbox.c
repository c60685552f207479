/* SPDX-License-Identifier: MIT */
#include "supervisor/control/outbox.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/mem.h"

enum { LINES_AT_ONCE = 64 };

struct line *line_new(const void *data, size_t len)
{
	struct line *l = xcalloc(1, sizeof *l + len);

	l->refs = 1;
	l->len = len;
	memcpy(l->data, data, len);
	return l;
}

void line_unref(struct line *l)
{
	if (l && --l->refs == 0)
		free(l);
}

void outbox_add(struct outbox *o, struct line *l)
{
	if (o->n == o->cap && o->first > o->n / 2) {
		memmove(o->line, o->line + o->first, (o->n - o->first) * sizeof(struct line *));
		o->n -= o->first;
		o->first = 0;
	}
	GROW(o->line, o->n, o->cap);
	l->refs++;
	o->line[o->n++] = l;
	o->len += l->len;
}

static void outbox_sent(struct outbox *o, size_t n)
{
	o->len -= n;
	for (n += o->sent; o->first < o->n && n >= o->line[o->first]->len; o->first++) {
		n -= o->line[o->first]->len;
		line_unref(o->line[o->first]);
	}
	o->sent = n;
	if (o->first == o->n)
		outbox_release(o);
}

int outbox_flush(struct outbox *o, int fd)
{
	struct iovec v[LINES_AT_ONCE];
	struct msghdr m = { .msg_iov = v };
	ssize_t n;

	while (o->first < o->n) {
		m.msg_iovlen = 0;
		for (size_t i = o->first; i < o->n && m.msg_iovlen < LINES_AT_ONCE; i++)
			v[m.msg_iovlen++] = (struct iovec){ o->line[i]->data, o->line[i]->len };
		v[0].iov_base = (char *)v[0].iov_base + o->sent;
		v[0].iov_len -= o->sent;
		n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			outbox_sent(o, (size_t)n);
		else if (errno == EAGAIN)
			return 0;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

void outbox_release(struct outbox *o)
{
	for (size_t i = o->first; i < o->n; i++)
		line_unref(o->line[i]);
	free(o->line);
	*o = (struct outbox){ 0 };
}

size_t outbox_bytes(const struct outbox *o)
{
	return o->len + o->sent + o->cap * sizeof(struct line *) +
	       (o->n - o->first) * sizeof(struct line);
}
