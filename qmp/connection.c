/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdarg.h>

#include "base/mem.h"
#include "qmp/session_private.h"

void session_rearm(struct qmp *q)
{
	double due = calls_due(&q->calls);

	if (q->closing || q->more || (q->fd >= 0 && q->write_error))
		due = 0;
	else if (q->fd >= 0 && !q->ready && q->made + q->greeting_timeout < due)
		due = q->made + q->greeting_timeout;
	if (due == q->due)
		return;
	q->due = due;
	if (isinf(due))
		loop_timer_stop(&q->timer);
	else
		loop_timer_start(&q->timer, due - calls_now());
}

void session_lose(struct qmp *q, enum err_class class, const char *fmt, ...)
{
	char why[ERR_TEXT_MAX];
	va_list ap;

	if (q->fd < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	q->why = xstrdup(why);
	q->why_class = class;
	ev_io_stop(q->ev, &q->readable);
	ev_io_stop(q->ev, &q->writable);
	close_fd(&q->fd);
	codec_release(&q->in);
	outq_release(&q->out);
	json_decref(q->greeting);
	q->greeting = NULL;
	q->more = q->ready = false;
	calls_lose(&q->calls);
}

void session_flush(struct qmp *q)
{
	if (q->fd < 0 || !q->greeted)
		return;
	switch (outq_flush(&q->out, q->fd)) {
	case OUTQ_EMPTY:
		ev_io_stop(q->ev, &q->writable);
		break;
	case OUTQ_FULL:
		ev_io_start(q->ev, &q->writable);
		break;
	case OUTQ_FAILED:
		/* still read what QEMU sent before it exited */
		q->write_error = errno;
		ev_io_stop(q->ev, &q->writable);
		outq_release(&q->out);
		session_rearm(q);
		break;
	}
}

int session_queue_command(
	struct qmp *q, const char *command, json_t *arguments /* stolen */, int fd, unsigned id)
{
	struct buf line = BUF_INIT;

	codec_command(command, arguments, json_integer(id), &line);
	return outq_add(&q->out, &line, fd, id);
}

void session_complete(struct qmp *q, struct call *c, const json_t *result, const struct err *e)
{
	calls_remove(&q->calls, c);
	if (c->reply)
		c->reply(c->data, result, e);
	free(c);
}
