/* SPDX-License-Identifier: MIT */
#include "qmp/outq.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/mem.h"

enum { FRAMES_PER_WRITE = 16 };

struct outq_frame {
	struct outq_frame *next;
	char *data;
	size_t len, sent;
	unsigned tag;
	int fd;
};

static void outq_frame_free(struct outq_frame *f)
{
	close_fd(&f->fd);
	free(f->data);
	free(f);
}

static bool outq_may_pass(int fd)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
		return errno == ENOTSOCK;
	len = sizeof(int);
	return domain == AF_UNIX && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_STREAM;
}

int outq_add(struct outq *o, struct buf *bytes, int fd, unsigned tag)
{
	struct outq_frame *f;
	int copy = -1;

	if (fd >= 0) {
		copy = outq_may_pass(fd) ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
		if (copy < 0) {
			buf_release(bytes);
			return -1;
		}
	}
	f = xcalloc(1, sizeof *f);
	f->len = bytes->len;
	f->data = buf_steal(bytes);
	f->tag = tag;
	f->fd = copy;
	if (o->last)
		o->last->next = f;
	else
		o->first = f;
	o->last = f;
	return 0;
}

void outq_drop(struct outq *o, unsigned tag)
{
	struct outq_frame *before = NULL;

	for (struct outq_frame *f = o->first; f; before = f, f = f->next) {
		if (f->tag != tag || f->sent)
			continue;
		if (before)
			before->next = f->next;
		else
			o->first = f->next;
		if (o->last == f)
			o->last = before;
		outq_frame_free(f);
		return;
	}
}

/* One system call for the first frames. Returns the bytes sent, or -1. */
static ssize_t outq_write_some(const struct outq *o, int socket)
{
	struct iovec iov[FRAMES_PER_WRITE];
	struct msghdr m = { .msg_iov = iov };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .space = { 0 } };
	ssize_t n;

	for (const struct outq_frame *f = o->first; f && m.msg_iovlen < FRAMES_PER_WRITE;
		f = f->next) {
		if (f->fd >= 0 && m.msg_iovlen)
			break;
		iov[m.msg_iovlen++] = (struct iovec){ f->data + f->sent, f->len - f->sent };
		if (f->fd < 0)
			continue;
		m.msg_control = &control;
		m.msg_controllen = sizeof control.space;
		control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.head), &f->fd, sizeof f->fd);
	}
	do
		n = sendmsg(socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n;
}

enum outq_result outq_flush(struct outq *o, int socket)
{
	while (o->first) {
		ssize_t n = outq_write_some(o, socket);
		size_t left;

		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? OUTQ_FULL : OUTQ_FAILED;
		left = (size_t)n;
		while (o->first && left >= o->first->len - o->first->sent) {
			struct outq_frame *f = o->first;

			left -= f->len - f->sent;
			o->first = f->next;
			outq_frame_free(f);
		}
		if (!o->first) {
			o->last = NULL;
		} else if (left) {
			o->first->sent += left;
			close_fd(&o->first->fd); /* it was sent with the first byte */
		}
	}
	return OUTQ_EMPTY;
}

void outq_release(struct outq *o)
{
	while (o->first) {
		struct outq_frame *f = o->first;

		o->first = f->next;
		outq_frame_free(f);
	}
	*o = (struct outq)OUTQ_INIT;
}
