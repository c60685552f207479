/* SPDX-License-Identifier: MIT */
/* Verbs whose answer is a byte stream until the daemon ends it: log. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/mem.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/print.h"

enum { CHUNK = 64 << 10 };

/* On a terminal the guest's bytes are escaped; an incomplete character stays in b. */
static void stream_put(struct command *c, struct buf *b, bool end)
{
	if (c->tty) {
		print_bytes(b, end, &c->out);
	} else {
		buf_add(&c->out, b->data, b->len);
		buf_clear(b);
	}
	if (c->quiet)
		buf_clear(&c->out);
	command_flush(c);
}

static int stream_copy(struct command *c, bool *empty, struct err *e)
{
	_cleanup_(buf_release) struct buf b = BUF_INIT;
	struct pollfd p[2] = {
		{ .fd = c->conn.fd, .events = POLLIN },
		{ .fd = STDOUT_FILENO }, /* POLLERR if our reader is gone */
	};

	conn_stream(&c->conn, &b);
	for (;;) {
		ssize_t n;

		*empty = *empty && !b.len;
		stream_put(c, &b, false);
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_errno(e, "wait for the stream");
		if (p[1].revents & POLLERR)
			return EXIT_FAILURE;
		n = read(c->conn.fd, buf_reserve(&b, CHUNK), CHUNK);
		if (n < 0 && errno != EINTR)
			return err_errno(e, "read the stream");
		if (n == 0)
			break;
		buf_commit(&b, n > 0 ? (size_t)n : 0);
	}
	stream_put(c, &b, true);
	return 0;
}

int stream_run(struct command *c)
{
	struct err e = ERR_INIT;
	bool empty = true;
	int r = calls_begin(c);

	if (r)
		return r;
	r = stream_copy(c, &empty, &e);
	if (r == 0 && empty && c->tty && !c->quiet)
		errors_note("nothing is logged");
	return r < 0 ? errors_print(c->target[0], &e) : r;
}
