/* SPDX-License-Identifier: MIT */
#include "supervisor/network/process.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/network/files.h"

/* Seconds. A start takes 10 to 25 ms. */
static const double START_TIMEOUT = 10, TERM_PATIENCE = 2, FIRST_PAUSE = 0.1, LONGEST_PAUSE = 60,
		    STEADY_AFTER = 5;

enum { WORDS_MAX = 16384, READS = 64 /* per call */ };

static void process_spawn(struct dnsmasq *d);

static void process_stop_listening(struct dnsmasq *d)
{
	ev_io_stop(d->ev, &d->said);
	close_fd(&d->words_fd);
	close_fd(&d->jail_fd);
	buf_release(&d->words);
}

static void process_forget(struct dnsmasq *d)
{
	ev_io_stop(d->ev, &d->exited);
	loop_timer_stop(&d->timer);
	process_stop_listening(d);
	close_fd(&d->pidfd);
	d->pid = 0;
	d->start = 0;
}

/* Reads what is there, limited per call in case of a flood; true at EOF. */
static bool process_drain(struct dnsmasq *d)
{
	char chunk[1024];
	ssize_t n = -1;

	for (int i = 0; i < READS && (n = read(d->words_fd, chunk, sizeof chunk)) > 0; i++)
		buf_add(&d->words, chunk, (size_t)n);
	return n == 0;
}

/* The last line, without dnsmasq's name; "" if there is none. */
static void process_last_line(const char *said, size_t n, char *out, size_t len)
{
	_cleanup_(free_ptr) char *safe = NULL;
	const char *line;

	while (n && said[n - 1] == '\n')
		n--;
	line = n ? memrchr(said, '\n', n) : NULL;
	line = line ? line + 1 : said;
	n -= (size_t)(line - said);
	if (n > 9 && strncmp(line, "dnsmasq: ", 9) == 0) {
		line += 9;
		n -= 9;
	}
	safe = text_escape(line, n, false);
	snprintf(out, len, "%s", safe);
}

static void process_how(int status, char *out, size_t len)
{
	if (status > 0)
		snprintf(out, len, "ended with status %d", status);
	else if (status < 0)
		snprintf(out, len, "ended by signal %d", -status);
	else
		snprintf(out, len, "ended");
}

int dnsmasq_failed(int status, const char *said, size_t n, const struct err *jail, struct err *e)
{
	char why[256] = "";

	if (n)
		process_last_line(said, n, why, sizeof why);
	if (jail)
		snprintf(why, sizeof why, "%.250s", jail->text);
	if (!why[0])
		process_how(status, why, sizeof why);
	return err_set(e, ERR_FAILED, "start dnsmasq: %s", why);
}

/* Why it did not start listening: vmkeep-jail's error, or its own last line on stderr. */
static void process_last_words(struct dnsmasq *d, char *out, size_t len)
{
	struct err e = ERR_INIT;

	out[0] = '\0';
	if (d->jail_fd >= 0 && confine_answer(d->jail_fd, &e) < 0) {
		snprintf(out, len, "%.250s", e.text);
		return;
	}
	process_drain(d);
	if (d->words.len)
		process_last_line(d->words.data, d->words.len, out, len);
}

static void process_pause_and_retry(struct dnsmasq *d)
{
	double pause = 0;

	if (d->failures) {
		pause = FIRST_PAUSE;
		for (unsigned i = 1; i < d->failures && pause < LONGEST_PAUSE; i++)
			pause *= 2;
		if (pause > LONGEST_PAUSE)
			pause = LONGEST_PAUSE;
	}
	d->failures++;
	d->state = DNSMASQ_WAITING;
	loop_timer_start(&d->timer, pause);
}

static void process_ended(struct dnsmasq *d, int status)
{
	const bool steady = d->state == DNSMASQ_UP && clock_now() - d->spawned > STEADY_AFTER;
	const bool starting = d->state == DNSMASQ_STARTING;
	const pid_t pid = d->pid;
	char words[sizeof d->problem];
	struct err e = ERR_INIT;

	process_last_words(d, words, sizeof words);
	process_forget(d);
	if (d->state == DNSMASQ_STOPPING) {
		d->state = DNSMASQ_OFF;
		if (d->again)
			process_spawn(d);
		else
			d->event(d->data, DNSMASQ_STOPPED, NULL);
		return;
	}
	if (steady)
		d->failures = 0;
	if (starting && d->overdue)
		snprintf(d->problem, sizeof d->problem, "did not listen within %g s and was killed",
			START_TIMEOUT);
	else
		process_how(status, d->problem, sizeof d->problem);
	if (starting && words[0])
		snprintf(d->problem, sizeof d->problem, "%s", words);
	if (d->first) {
		d->state = DNSMASQ_OFF;
		err_set(&e, ERR_FAILED, "start dnsmasq: %s", d->problem);
		d->event(d->data, DNSMASQ_FAILED, &e);
		return;
	}
	log_warning(NULL, "network %s: dnsmasq (pid %d) %s, restarting it", d->network, (int)pid,
		d->problem);
	process_pause_and_retry(d);
}

static void process_on_exited(struct ev_loop *ev, ev_io *w, int revents)
{
	struct dnsmasq *d = w->data;
	siginfo_t info = { 0 };
	int status = 0;

	/* ECHILD: started by a previous daemon */
	if (waitid(P_PIDFD, (id_t)d->pidfd, &info, WEXITED | WNOHANG) == 0) {
		if (info.si_pid == 0)
			return;
		status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
	}
	process_ended(d, status);
}

static void process_became_ready(struct dnsmasq *d)
{
	process_stop_listening(d);
	loop_timer_stop(&d->timer);
	d->state = DNSMASQ_UP;
	d->problem[0] = '\0';
	if (!d->first) {
		log_info(NULL, "network %s: dnsmasq is back (pid %d)", d->network, (int)d->pid);
		return;
	}
	d->first = false;
	d->failures = 0;
	d->event(d->data, DNSMASQ_READY, NULL);
}

/* True if stderr was closed by a live process, as opposed to one that exited, which has no fds any
 * more. */
static bool process_let_go_of_stderr(const struct dnsmasq *d)
{
	_cleanup_(free_ptr) char *path = xasprintf("/proc/%d/fd/2", (int)d->pid);
	char to[16];

	return readlink(path, to, sizeof to) > 0;
}

static void process_on_said(struct ev_loop *ev, ev_io *w, int revents)
{
	struct dnsmasq *d = w->data;

	if (!process_drain(d))
		return;
	ev_io_stop(ev, w);
	if (d->state == DNSMASQ_STARTING && process_let_go_of_stderr(d))
		process_became_ready(d);
}

static void process_on_timer(void *data)
{
	struct dnsmasq *d = data;

	switch (d->state) {
	case DNSMASQ_WAITING:
		process_spawn(d);
		return;
	case DNSMASQ_STARTING:
	case DNSMASQ_STOPPING:
		d->overdue = d->state == DNSMASQ_STARTING;
		if (d->pidfd < 0)
			process_ended(d, 0); /* there was nothing to stop */
		else
			pidfd_send_signal(d->pidfd, SIGKILL, NULL, 0);
		return;
	case DNSMASQ_OFF:
	case DNSMASQ_UP:
	case DNSMASQ_MISSING:
	case DNSMASQ_STATES:
		return;
	}
}

void dnsmasq_init(struct dnsmasq *d)
{
	d->pidfd = d->jail_fd = d->words_fd = -1;
	ev_init(&d->exited, process_on_exited);
	ev_init(&d->said, process_on_said);
	loop_timer_init(&d->timer, d->ev, process_on_timer, d);
	d->exited.data = d->said.data = d;
}

void dnsmasq_release(struct dnsmasq *d)
{
	process_forget(d);
	d->state = DNSMASQ_OFF;
}

static void process_watch(struct dnsmasq *d)
{
	ev_io_set(&d->exited, d->pidfd, EV_READ);
	ev_io_start(d->ev, &d->exited);
}

static json_t *process_plan_of(const struct dnsmasq *d, const char *conf, struct err *e)
{
	const char *argv[] = { "dnsmasq", "--keep-in-foreground", conf, NULL };
	json_t *plan = confine_plan("dnsmasq", d->network, d->uid, d->dir, argv, e);

	if (plan)
		json_object_set_new(plan, "paths",
			json_pack("[{s:s}, {s:s, s:b}, {s:s, s:b}]", "path", d->dir, "path",
				d->lease_file, "write", 1, "path", "/dev/log", "optional", 1));
	return plan;
}

/* Lets us find it even if the record is lost. dnsmasq could modify its own pid file, so we write
 * this one. */
static void process_write_pid_file(const struct dnsmasq *d)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/dnsmasq.pid", d->dir),
				 *text = xasprintf("%d\n", (int)d->pid);

	network_put(path, 0600, text, strlen(text), NULL);
}

/* vmkeep-jail gets the same argument on its command line, so that it can be identified from the
 * start. */
static int process_run(struct dnsmasq *d, struct err *e)
{
	_cleanup_(free_ptr) char *conf = xasprintf("--conf-file=%s/dnsmasq.conf", d->dir);
	const char *argv[] = { d->jail, d->network, conf, NULL };
	struct confine_process jail = { .pidfd = -1, .sock = -1 };
	int words[2] = { -1, -1 }, r = d->prepare(d->data, e);
	json_t *plan = r == 0 ? process_plan_of(d, conf, e) : NULL;

	if (!plan)
		return e->number;
	if (pipe2(words, O_CLOEXEC) < 0) {
		json_decref(plan);
		return err_errno(e, "pipe");
	}
	r = confine_spawn(&jail, argv, plan, NULL, 0, words[1], e);
	close_fd(&words[1]);
	d->pid = jail.pid;
	d->pidfd = jail.pidfd;
	d->jail_fd = jail.sock;
	d->words_fd = words[0];
	d->words = (struct buf)BUF_MAX(WORDS_MAX);
	if (r == 0) {
		fcntl(d->words_fd, F_SETFL, O_NONBLOCK);
		ev_io_set(&d->said, d->words_fd, EV_READ);
		ev_io_start(d->ev, &d->said);
		process_write_pid_file(d);
	}
	return r;
}

static void process_spawn(struct dnsmasq *d)
{
	struct err e = ERR_INIT;

	d->again = false;
	if (process_run(d, &e) == 0) {
		d->state = DNSMASQ_STARTING;
		d->overdue = false;
		d->start = proc_starttime(d->pid);
		d->spawned = clock_now();
		process_watch(d);
		loop_timer_start(&d->timer, START_TIMEOUT);
		d->event(d->data, DNSMASQ_NEW_PID, NULL);
		confine_go(d->jail_fd); /* it is recorded, so it may run */
		return;
	}
	process_forget(d);
	snprintf(d->problem, sizeof d->problem, "%.250s", e.text);
	if (e.class == ERR_NOT_FOUND) {
		d->state = DNSMASQ_MISSING;
		snprintf(d->problem, sizeof d->problem, "dnsmasq is not installed");
		log_warning(NULL,
			"network %s: dnsmasq is not installed: guests get no address and no DNS "
			"(apt install dnsmasq-base)",
			d->network);
		if (d->first)
			d->event(d->data, DNSMASQ_READY, NULL);
	} else if (d->first) {
		d->state = DNSMASQ_OFF;
		d->event(d->data, DNSMASQ_FAILED, &e);
	} else {
		log_warning(NULL, "network %s: %s", d->network, e.text);
		process_pause_and_retry(d);
	}
}

void dnsmasq_start(struct dnsmasq *d)
{
	d->first = true;
	d->failures = 0;
	process_spawn(d);
}

void dnsmasq_took(struct dnsmasq *d, pid_t pid, uint64_t start)
{
	d->pid = pid;
	d->start = start;
	d->state = DNSMASQ_UP;
	d->first = false;
	d->spawned = clock_now();
	process_watch(d);
}

void dnsmasq_stop(struct dnsmasq *d)
{
	d->again = false;
	if (d->state == DNSMASQ_STOPPING)
		return;
	d->state = DNSMASQ_STOPPING;
	if (d->pidfd >= 0)
		pidfd_send_signal(d->pidfd, SIGTERM, NULL, 0);
	loop_timer_start(&d->timer, d->pidfd >= 0 ? TERM_PATIENCE : 0);
}

void dnsmasq_restart(struct dnsmasq *d)
{
	d->first = false;
	if (d->pidfd < 0) {
		process_spawn(d);
		return;
	}
	dnsmasq_stop(d);
	d->again = true;
}

void dnsmasq_reread(struct dnsmasq *d)
{
	if (d->state == DNSMASQ_UP)
		pidfd_send_signal(d->pidfd, SIGHUP, NULL, 0);
}

const char *dnsmasq_health(const struct dnsmasq *d)
{
	switch (d->state) {
	case DNSMASQ_UP:
		return "ok";
	case DNSMASQ_STARTING:
		return "starting";
	case DNSMASQ_STOPPING:
		return d->again ? "restarting" : "stopping";
	case DNSMASQ_WAITING:
	case DNSMASQ_MISSING:
		return d->problem;
	case DNSMASQ_OFF:
	case DNSMASQ_STATES:
		break;
	}
	return "off";
}
