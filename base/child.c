/* SPDX-License-Identifier: MIT */
#include "base/child.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/proc.h"

enum { STREAM_OUT, STREAM_ERR, STREAMS };
enum { PIPE_FULL = 65536 }; /* bytes, the capacity of a pipe, pipe(7) */

struct stream {
	ev_io io;
	struct buf kept;
	size_t max;
	int fd;
};

struct child {
	struct child *prev, *next;
	struct ev_loop *ev;
	pid_t pid;
	int pidfd, in;
	ev_io exited, writable;
	ev_timer deadline;
	struct stream stream[STREAMS];
	char *input;
	size_t input_len, input_done;
	bool timed_out;
	bool while_idle; /* the timeout restarts on progress */
	uint64_t work;	 /* proc_work() when the timer last expired */
	int status;
	void (*done)(void *data, const struct child_result *r);
	void *data;
};

static struct child *children; /* not reaped yet */

static void child_link(struct child *c)
{
	c->next = children;
	if (children)
		children->prev = c;
	children = c;
}

static void child_unlink(struct child *c)
{
	if (c->next)
		c->next->prev = c->prev;
	if (c->prev)
		c->prev->next = c->next;
	else if (children == c)
		children = c->next;
}

static void child_free(struct child *c)
{
	child_unlink(c);
	ev_io_stop(c->ev, &c->exited);
	ev_io_stop(c->ev, &c->writable);
	ev_timer_stop(c->ev, &c->deadline);
	for (int i = 0; i < STREAMS; i++) {
		ev_io_stop(c->ev, &c->stream[i].io);
		close_fd(&c->stream[i].fd);
		buf_release(&c->stream[i].kept);
	}
	close_fd(&c->in);
	close_fd(&c->pidfd);
	free(c->input);
	free(c);
}

const char *child_late(const struct child_result *r, char text[CHILD_LATE])
{
	snprintf(text, CHILD_LATE, "did %s %g s and was killed",
		r->while_idle ? "nothing for" : "not end within", r->seconds);
	return text;
}

static void child_finish(struct child *c)
{
	struct child_result r = {
		.status = c->timed_out ? -ETIMEDOUT : c->status,
		.out = c->stream[STREAM_OUT].kept.data ? c->stream[STREAM_OUT].kept.data : "",
		.out_len = c->stream[STREAM_OUT].kept.len,
		.err = c->stream[STREAM_ERR].kept.data ? c->stream[STREAM_ERR].kept.data : "",
		.err_len = c->stream[STREAM_ERR].kept.len,
		.seconds = c->deadline.repeat,
		.while_idle = c->while_idle,
	};

	if (c->done)
		c->done(c->data, &r);
	child_free(c);
}

/* Reads what is there, at most one pipe's capacity: a child that writes faster than we read, or a
 * grandchild that keeps writing after it, must not hold up the loop. False at end of file. */
static bool child_stream_drain(struct stream *s)
{
	char chunk[16384];
	ssize_t n = 1;

	for (size_t taken = 0; taken < PIPE_FULL; taken += (size_t)n) {
		size_t room = s->max - s->kept.len;

		n = read(s->fd, chunk, sizeof chunk);
		if (n <= 0)
			break;
		buf_add(&s->kept, chunk, (size_t)n < room ? (size_t)n : room);
	}
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void child_on_readable(struct ev_loop *ev, ev_io *w, int revents)
{
	if (!child_stream_drain(container_of(w, struct stream, io)))
		ev_io_stop(ev, w);
}

static void child_on_writable(struct ev_loop *ev, ev_io *w, int revents)
{
	struct child *c = w->data;
	ssize_t n = write(c->in, c->input + c->input_done, c->input_len - c->input_done);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->input_done += (size_t)n;
	if (n < 0 || c->input_done == c->input_len) {
		ev_io_stop(ev, w);
		close_fd(&c->in);
	}
}

static void child_on_exit(struct ev_loop *ev, ev_io *w, int revents)
{
	struct child *c = w->data;
	siginfo_t info = { 0 };

	if (waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		info.si_pid == 0)
		return;
	/* what it left behind: until it is reaped, no other group can have its number */
	kill(-c->pid, SIGKILL);
	waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG);
	c->status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
	for (int i = 0; i < STREAMS; i++)
		child_stream_drain(&c->stream[i]);
	child_finish(c);
}

static void child_on_deadline(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct child *c = w->data;
	const uint64_t work = c->while_idle ? proc_work(c->pid) : 0;

	if (work > c->work) {
		c->work = work;
		ev_timer_again(ev, w);
		return;
	}
	c->timed_out = true;
	child_kill(c);
}

/* Pipes for 0, 1, 2; our ends are non-blocking. */
static int child_open_pipes(struct child *c, struct child_fd fds[3])
{
	int p[2];

	if (c->input) {
		if (pipe2(p, O_CLOEXEC) < 0)
			return -errno;
		fds[0] = (struct child_fd){ p[0], 0 };
		c->in = p[1];
		fcntl(c->in, F_SETFL, O_NONBLOCK);
	} else {
		fds[0] = (struct child_fd){ open("/dev/null", O_RDONLY | O_CLOEXEC), 0 };
	}
	for (int i = 0; i < STREAMS; i++) {
		if (pipe2(p, O_CLOEXEC) < 0)
			return -errno;
		fds[i + 1] = (struct child_fd){ p[1], i + 1 };
		c->stream[i].fd = p[0];
		fcntl(p[0], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

/* Before setsid() there is no such process group and kill(-pid) does nothing. Later the group
 * contains what the child started. The child is killed first so that it starts nothing more. */
void child_kill(struct child *c)
{
	pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
	kill(-c->pid, SIGKILL);
}

/* seconds: timeout, 0: none */
static struct child *child_new(struct ev_loop *ev, size_t out_max, double seconds)
{
	struct child *c = xcalloc(1, sizeof *c);

	*c = (struct child){ .ev = ev, .pidfd = -1, .in = -1 };
	ev_init(&c->exited, child_on_exit);
	ev_init(&c->writable, child_on_writable);
	ev_timer_init(&c->deadline, child_on_deadline, 0, seconds);
	c->exited.data = c->writable.data = c->deadline.data = c;
	for (int i = 0; i < STREAMS; i++) {
		ev_init(&c->stream[i].io, child_on_readable);
		c->stream[i].max = out_max;
		c->stream[i].fd = -1;
	}
	return c;
}

struct child *child_run(struct ev_loop *ev, const struct child_options *o, struct err *e)
{
	struct child_fd fds[4] = { { -1, 0 }, { -1, 1 }, { -1, 2 } };
	struct child *c =
		child_new(ev, o->out_max ? o->out_max : 65536, o->timeout > 0 ? o->timeout : 30);
	int r;

	c->input = xstrdup(o->input);
	c->input_len = o->input ? strlen(o->input) : 0;
	c->done = o->done;
	c->data = o->data;
	c->while_idle = o->while_idle;
	r = child_open_pipes(c, fds);
	if (r < 0) {
		errno = -r;
		err_errno(e, "pipes for '%s'", o->argv[0]);
	} else {
		if (o->more)
			fds[3] = *o->more;
		r = child_spawn(o->argv, fds, o->more ? 4 : 3, true, &c->pid, &c->pidfd, e);
	}
	for (int i = 0; i < 3; i++)
		close_fd(&fds[i].from);
	if (r < 0) {
		child_free(c);
		return NULL;
	}
	ev_io_set(&c->exited, c->pidfd, EV_READ);
	ev_io_start(ev, &c->exited);
	for (int i = 0; i < STREAMS; i++) {
		ev_io_set(&c->stream[i].io, c->stream[i].fd, EV_READ);
		ev_io_start(ev, &c->stream[i].io);
	}
	if (c->in >= 0) {
		ev_io_set(&c->writable, c->in, EV_WRITE);
		ev_io_start(ev, &c->writable);
	}
	ev_timer_again(ev, &c->deadline);
	child_link(c);
	return c;
}

/* The loop reaps the process later: nothing here waits for a child that cannot die. */
void child_cancel(struct child *c)
{
	if (!c)
		return;
	c->done = NULL;
	child_kill(c);
}

/* --- reaping across exec --- */

void child_bequeath(char *text, size_t max)
{
	size_t len = 0;

	*text = '\0';
	for (const struct child *c = children; c && len + 16 < max; c = c->next)
		len += (size_t)snprintf(text + len, max - len, "%d ", (int)c->pid);
}

static void child_adopt(struct ev_loop *ev, pid_t pid)
{
	struct child *c = child_new(ev, 0, 0);

	c->pid = pid;
	/* a pid that is not our child cannot be waited for */
	c->pidfd = pidfd_open(pid, PIDFD_NONBLOCK);
	if (c->pidfd < 0 || waitid(P_PIDFD, (id_t)c->pidfd, &(siginfo_t){ 0 },
				    WEXITED | WNOHANG | WNOWAIT) < 0) {
		child_free(c);
		return;
	}
	child_link(c);
	ev_io_set(&c->exited, c->pidfd, EV_READ);
	ev_io_start(ev, &c->exited);
}

void child_inherit(struct ev_loop *ev, const char *text)
{
	char *end;

	for (; text && *text; text = end) {
		long pid = strtol(text, &end, 10);

		if (end == text)
			return;
		if (pid > 1)
			child_adopt(ev, (pid_t)pid);
		end += *end == ' ';
	}
}
