/* SPDX-License-Identifier: MIT */
/*
 * vmkeep-jail in its check mode: a child that may hang in a dead file server, so it has a deadline.
 * One that not even SIGKILL ends is left behind and reaped whenever its server comes back.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/mem.h"
#include "supervisor/core/confine.h"
#include "supervisor/jail/plan.h"
#include "supervisor/check/vm.h"

enum { ANSWER_MAX = 1 << 20, READS = 16 /* in a turn */ };

static const double patience = 15; /* seconds */

struct check_jail {
	struct ev_loop *ev;
	int sock, pidfd;
	ev_io answers, exited;
	ev_timer deadline;
	struct buf text;
	char *looking;	     /* at what it looks now */
	check_jail_fn *tell; /* NULL: nobody listens any more */
	void *data;
	bool complete;
	struct err error;
};

static void jail_free(struct check_jail *j)
{
	ev_io_stop(j->ev, &j->answers);
	ev_io_stop(j->ev, &j->exited);
	ev_timer_stop(j->ev, &j->deadline);
	close_fd(&j->sock);
	close_fd(&j->pidfd);
	buf_release(&j->text);
	free(j->looking);
	free(j);
}

static void take_line(struct check_jail *j, const char *line, size_t len)
{
	json_t *doc = json_loadb(line, len, 0, NULL);
	const json_t *problem = json_object_get(doc, "problem"), *growth = json_object_get(doc, "growth"),
		     *error = json_object_get(doc, "error");
	const char *looking = json_string_value(json_object_get(doc, "looking"));

	if (looking) {
		free(j->looking);
		j->looking = xstrdup(looking);
	}
	if (error)
		confine_error(error, &j->error);
	if (json_object_get(doc, "checked"))
		j->complete = true;
	if ((problem || growth) && j->tell)
		j->tell(j->data, problem ? problem : growth, NULL);
	json_decref(doc);
}

static void drain(struct check_jail *j)
{
	char chunk[4096], *end;
	ssize_t n = 1;

	for (int i = 0; i < READS && (n = read(j->sock, chunk, sizeof chunk)) > 0; i++)
		if (buf_add(&j->text, chunk, (size_t)n) < 0)
			break;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		ev_io_stop(j->ev, &j->answers);
	while (j->text.len && (end = memchr(j->text.data, '\n', j->text.len))) {
		size_t len = (size_t)(end - j->text.data);

		take_line(j, j->text.data, len);
		buf_drop(&j->text, len + 1);
	}
}

static void tell_end(struct check_jail *j, const struct err *e)
{
	check_jail_fn *tell = j->tell;

	j->tell = NULL;
	if (tell)
		tell(j->data, NULL, e);
}

static void on_answers(struct ev_loop *ev, ev_io *w, int revents)
{
	(void)ev, (void)revents;
	drain(w->data);
}

static void on_exited(struct ev_loop *ev, ev_io *w, int revents)
{
	struct check_jail *j = w->data;
	siginfo_t info;

	(void)ev, (void)revents;
	waitid(P_PIDFD, (id_t)j->pidfd, &info, WEXITED | WNOHANG);
	drain(j);
	if (!j->complete && !j->error.number)
		err_set(&j->error, ERR_FAILED,
			"vmkeep-jail ended before it had looked at all files");
	tell_end(j, j->error.number ? &j->error : NULL);
	jail_free(j);
}

static void on_deadline(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct check_jail *j = w->data;

	(void)ev, (void)revents;
	err_set(&j->error, ERR_TIMEOUT, "%s: no answer in %.0f s",
		j->looking ? j->looking : "its files", patience);
	err_hint(&j->error, "is a file server down, or a disk failing?");
	pidfd_send_signal(j->pidfd, SIGKILL, NULL, 0);
	tell_end(j, &j->error);
}

void check_jail_cancel(struct check_jail *j)
{
	if (!j)
		return;
	j->tell = NULL;
	pidfd_send_signal(j->pidfd, SIGKILL, NULL, 0);
}

static int start(struct check_jail *j, const struct daemon *d, const char *name, const char *plan, struct err *e)
{
	_cleanup_(close_fd) int null = open("/dev/null", O_RDWR | O_CLOEXEC), theirs = -1;
	const char *argv[] = { d->jail, name, NULL };
	size_t len = strlen(plan);
	int pair[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, "socket pair");
	j->sock = pair[0];
	theirs = pair[1];
	fcntl(j->sock, F_SETFL, O_NONBLOCK);
	if (send(j->sock, plan, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
		return err_errno(e, "hand the plan to vmkeep-jail");
	const struct child_fd fds[] = { { null, 0 }, { null, 1 }, { null, 2 },
		{ theirs, PLAN_FD } };

	r = child_spawn(argv, NULL, fds, ARRAY_SIZE(fds), &pid, &j->pidfd, e);
	return r;
}

struct check_jail *check_jail_run(
	struct daemon *d, const char *name, const char *plan, check_jail_fn *tell, void *data, struct err *e)
{
	struct check_jail *j = xcalloc(1, sizeof *j);

	*j = (struct check_jail){ .ev = d->loop.ev,
		.sock = -1,
		.pidfd = -1,
		.text = BUF_MAX(ANSWER_MAX),
		.tell = tell,
		.data = data };
	ev_init(&j->answers, on_answers);
	ev_init(&j->exited, on_exited);
	ev_timer_init(&j->deadline, on_deadline, patience, 0);
	if (start(j, d, name, plan, e) < 0) {
		jail_free(j);
		return NULL;
	}
	ev_io_set(&j->answers, j->sock, EV_READ);
	ev_io_set(&j->exited, j->pidfd, EV_READ);
	j->answers.data = j->exited.data = j->deadline.data = j;
	ev_now_update(j->ev);
	ev_io_start(j->ev, &j->answers);
	ev_io_start(j->ev, &j->exited);
	ev_timer_start(j->ev, &j->deadline);
	return j;
}
