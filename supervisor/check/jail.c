/* SPDX-License-Identifier: MIT */
/*
 * Runs vmkeep-jail in check mode. It may hang on a dead file server, so there is a deadline. A
 * process that survives even SIGKILL is left behind, and reaped when the server comes back.
 */
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/loop.h"
#include "base/mem.h"
#include "supervisor/core/confine.h"
#include "supervisor/check/vm.h"

enum { ANSWER_MAX = 1 << 20 };

static const double patience = 15; /* seconds */

struct check_jail {
	struct ev_loop *ev;
	struct confine_process jail;
	ev_io answers, exited;
	struct loop_timer deadline;
	struct buf text;
	char *looking;	     /* what it is inspecting now */
	check_jail_fn *tell; /* NULL: cancelled or finished */
	void *data;
	bool complete;
	json_t *bases;
	struct err error;
};

static void jail_free(struct check_jail *j)
{
	ev_io_stop(j->ev, &j->answers);
	ev_io_stop(j->ev, &j->exited);
	loop_timer_stop(&j->deadline);
	close_fd(&j->jail.sock);
	close_fd(&j->jail.pidfd);
	buf_release(&j->text);
	json_decref(j->bases);
	free(j->looking);
	free(j);
}

static void check_jail_take_line(void *data, const json_t *doc)
{
	struct check_jail *j = data;
	const json_t *problem = json_object_get(doc, "problem"),
		     *growth = json_object_get(doc, "growth"),
		     *error = json_object_get(doc, "error");
	const char *looking = json_string_value(json_object_get(doc, "looking"));

	if (looking) {
		free(j->looking);
		j->looking = xstrdup(looking);
	}
	if (error)
		confine_error(error, &j->error);
	if (json_object_get(doc, "base"))
		json_array_append(j->bases, json_object_get(doc, "base"));
	if (json_object_get(doc, "checked"))
		j->complete = true;
	if ((problem || growth) && j->tell)
		j->tell(j->data, problem ? problem : growth, NULL);
}

static void jail_drain(struct check_jail *j)
{
	if (!confine_read(j->jail.sock, &j->text, NULL, check_jail_take_line, j))
		ev_io_stop(j->ev, &j->answers);
}

static void jail_tell_end(struct check_jail *j, const struct err *e)
{
	check_jail_fn *tell = j->tell;

	j->tell = NULL;
	if (tell)
		tell(j->data, NULL, e);
}

static void jail_on_answers(struct ev_loop *ev, ev_io *w, int revents)
{
	jail_drain(w->data);
}

static void jail_on_exited(struct ev_loop *ev, ev_io *w, int revents)
{
	struct check_jail *j = w->data;
	siginfo_t info;

	waitid(P_PIDFD, (id_t)j->jail.pidfd, &info, WEXITED | WNOHANG);
	jail_drain(j);
	if (!j->complete && !j->error.number)
		err_set(&j->error, ERR_FAILED, "vmkeep-jail ended before it had checked all files");
	jail_tell_end(j, j->error.number ? &j->error : NULL);
	jail_free(j);
}

static void jail_on_deadline(void *data)
{
	struct check_jail *j = data;

	err_set(&j->error, ERR_TIMEOUT,
		"%s: no answer in %.0f s; vmkeep-jail, which asked, was killed",
		j->looking ? j->looking : "its files", patience);
	err_hint(&j->error, "is a file server down, or is a disk failing?");
	pidfd_send_signal(j->jail.pidfd, SIGKILL, NULL, 0);
	jail_tell_end(j, &j->error);
}

const json_t *check_jail_bases(const struct check_jail *j)
{
	return j->bases;
}

void check_jail_cancel(struct check_jail *j)
{
	if (!j)
		return;
	j->tell = NULL;
	pidfd_send_signal(j->jail.pidfd, SIGKILL, NULL, 0);
}

struct check_jail *check_jail_run(struct daemon *d, const char *name, json_t *plan,
	check_jail_fn *tell, void *data, struct err *e)
{
	struct check_jail *j = xcalloc(1, sizeof *j);

	*j = (struct check_jail){ .ev = d->loop.ev,
		.jail = { .pidfd = -1, .sock = -1 },
		.text = BUF_MAX(ANSWER_MAX),
		.tell = tell,
		.data = data,
		.bases = json_array() };
	ev_init(&j->answers, jail_on_answers);
	ev_init(&j->exited, jail_on_exited);
	loop_timer_init(&j->deadline, j->ev, jail_on_deadline, j);
	if (confine_spawn(&j->jail, (const char *[]){ d->jail, name, NULL }, plan, NULL, 0, -1, e) <
		0) {
		jail_free(j);
		return NULL;
	}
	confine_go(j->jail.sock);
	ev_io_set(&j->answers, j->jail.sock, EV_READ);
	ev_io_set(&j->exited, j->jail.pidfd, EV_READ);
	j->answers.data = j->exited.data = j;
	ev_io_start(j->ev, &j->answers);
	ev_io_start(j->ev, &j->exited);
	loop_timer_start(&j->deadline, patience);
	return j;
}
