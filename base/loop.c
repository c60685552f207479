/* SPDX-License-Identifier: MIT */
#include "base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define LOG_FLUSH 0.25	/* seconds between two attempts */
#define TASKS_MAX 0.001 /* seconds into an iteration; later tasks wait for the next */

/* Set when the process was stopped and goes on. One flag for all loops, as the signal is. */
static volatile sig_atomic_t loop_continued;

static void loop_note_continued(int number)
{
	loop_continued = 1;
}

static void loop_far_away(struct ev_loop *ev, ev_periodic *w, int revents)
{
}

/* Seconds we were runnable but waiting for a CPU; proc(5), schedstat. 0 if unavailable. */
static double loop_waited(const struct loop *l)
{
	char text[96], *end;
	ssize_t n = l->schedstat < 0 ? -1 : pread(l->schedstat, text, sizeof text - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	strtoull(text, &end, 10);
	return (double)strtoull(end, NULL, 10) / 1e9;
}

/* Extends every timer by the time lost, see ev_suspend() in ev(3). */
static void loop_give_back(struct loop *l)
{
	clock_now();
	if (clock_left_out() > l->given_back)
		ev_resume(l->ev);
	l->given_back = clock_left_out();
}

static void loop_about_to_sleep(struct ev_loop *ev)
{
	loop_continued = 0;
	clock_now();
	errno = 0;
}

/* Called between the poll's return and libev's processing of timers. Apart from the signals that
 * end the daemon or reload its files, nothing interrupts the poll but a stop, a freezer or a
 * tracer. A stop does not interrupt it if something was ready at that moment: only SIGCONT shows
 * it. How much of the sleep that took is unknown, so all of it is given back. */
static void loop_slept(struct ev_loop *ev)
{
	int error = errno;

	if (error == EINTR || loop_continued)
		loop_give_back(ev_userdata(ev));
	else
		clock_slept();
	errno = error;
}

static void loop_woke_up(struct ev_loop *ev, ev_check *w, int revents)
{
	struct loop *l = w->data;
	double lost = clock_lost();

	l->waited = loop_waited(l);
	l->woke = clock_awake();
	if (l->on_lost && lost - l->lost > CLOCK_GAP)
		l->on_lost(l->data, lost - l->lost);
	l->lost = lost;
}

static void loop_goes_to_sleep(struct ev_loop *ev, ev_prepare *w, int revents)
{
	struct loop *l = w->data;
	double turn = l->woke > 0 ? clock_awake() - l->woke : 0;

	loop_give_back(l);
	if (turn > l->longest_elapsed)
		l->longest_elapsed = turn;
	if (turn > l->longest_turn)
		turn -= loop_waited(l) - l->waited;
	if (turn > l->longest_turn)
		l->longest_turn = turn;
}

double loop_turn(struct ev_loop *ev)
{
	const struct loop *l = ev_userdata(ev);

	return l && l->woke > 0 ? clock_awake() - l->woke : 0;
}

void loop_later(struct ev_loop *ev, struct loop_task *t, void (*run)(struct loop_task *t))
{
	struct loop *l = ev_userdata(ev);

	if (t->waits)
		return;
	*t = (struct loop_task){ .run = run, .waits = true };
	*l->end = t;
	l->end = &t->next;
	ev_idle_start(ev, &l->idle);
}

void loop_cancel(struct ev_loop *ev, struct loop_task *t)
{
	struct loop *l = ev_userdata(ev);
	struct loop_task **at = &l->first;

	if (!t->waits)
		return;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	if (l->end == &t->next)
		l->end = at;
	t->waits = false;
}

/* Runs at least one, however busy the loop is. */
static void loop_run_tasks(struct ev_loop *ev, ev_idle *w, int revents)
{
	struct loop *l = w->data;
	struct loop_task *t;

	do {
		t = l->first;
		if (t) {
			loop_cancel(ev, t);
			t->run(t);
		}
	} while (l->first && loop_turn(ev) < TASKS_MAX);
	if (!l->first)
		ev_idle_stop(ev, w);
}

static void loop_timer_fires(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct loop_timer *t = w->data;

	t->run(t->data);
}

void loop_timer_init(struct loop_timer *t, struct ev_loop *ev, void (*run)(void *data), void *data)
{
	*t = (struct loop_timer){ .ev = ev, .run = run, .data = data };
	ev_timer_init(&t->timer, loop_timer_fires, 0, 0);
	t->timer.data = t;
}

void loop_timer_start(struct loop_timer *t, double seconds)
{
	ev_timer_stop(t->ev, &t->timer);
	ev_now_update(t->ev);
	ev_timer_set(&t->timer, seconds > 0 ? seconds : 0, 0);
	ev_timer_start(t->ev, &t->timer);
}

void loop_timer_stop(struct loop_timer *t)
{
	if (t->ev)
		ev_timer_stop(t->ev, &t->timer);
}

bool loop_timer_is_active(struct loop_timer *t)
{
	return ev_is_active(&t->timer);
}

/* --- the log, while its reader is stuck --- */

static void loop_flush_log(struct ev_loop *ev, ev_timer *w, int revents)
{
	if (!log_flush())
		return;
	ev_ref(ev);
	ev_timer_stop(ev, w);
}

static void loop_log_stuck(void *data)
{
	struct loop *l = data;

	if (ev_is_active(&l->log))
		return;
	ev_timer_again(l->ev, &l->log);
	ev_unref(l->ev); /* loop_finish() must not wait for it */
}

int loop_init(struct loop *l)
{
	const struct sigaction noted = { .sa_handler = loop_note_continued,
		.sa_flags = SA_RESTART };

	*l = (struct loop){ .ev = ev_loop_new(EVFLAG_NOENV) };
	if (!l->ev)
		return -ENOMEM;
	l->schedstat = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
	ev_set_userdata(l->ev, l);
	clock_watch(true);
	sigaction(SIGCONT, &noted, NULL);
	l->lost = clock_lost();
	l->given_back = clock_left_out();
	ev_set_loop_release_cb(l->ev, loop_about_to_sleep, loop_slept);
	ev_periodic_init(&l->far, loop_far_away, 1e10, 0, NULL); /* in 300 years */
	ev_periodic_start(l->ev, &l->far);
	ev_check_init(&l->check, loop_woke_up);
	ev_set_priority(&l->check, EV_MAXPRI);
	l->check.data = l;
	ev_check_start(l->ev, &l->check);
	ev_prepare_init(&l->prepare, loop_goes_to_sleep);
	ev_set_priority(&l->prepare, EV_MINPRI);
	l->prepare.data = l;
	ev_prepare_start(l->ev, &l->prepare);
	ev_idle_init(&l->idle, loop_run_tasks);
	ev_set_priority(&l->idle, EV_MAXPRI);
	l->idle.data = l;
	l->end = &l->first;
	ev_timer_init(&l->log, loop_flush_log, LOG_FLUSH, LOG_FLUSH);
	log_on_stuck(loop_log_stuck, l);
	return 0;
}

static void loop_stop_own(struct loop *l)
{
	ev_periodic_stop(l->ev, &l->far);
	ev_check_stop(l->ev, &l->check);
	ev_prepare_stop(l->ev, &l->prepare);
	log_on_stuck(NULL, NULL);
	if (ev_is_active(&l->log)) {
		ev_ref(l->ev);
		ev_timer_stop(l->ev, &l->log);
	}
}

static void loop_no_longer(struct ev_loop *ev, ev_timer *w, int revents)
{
	ev_break(ev, EVBREAK_ALL);
}

void loop_finish(struct loop *l, double patience)
{
	ev_timer end;

	if (!l->ev)
		return;
	loop_stop_own(l);
	ev_timer_init(&end, loop_no_longer, patience, 0);
	ev_timer_start(l->ev, &end);
	ev_unref(l->ev);
	ev_run(l->ev, 0);
	ev_ref(l->ev);
	ev_timer_stop(l->ev, &end);
}

void loop_release(struct loop *l)
{
	if (!l->ev)
		return;
	loop_stop_own(l);
	clock_watch(false);
	close_fd(&l->schedstat);
	ev_loop_destroy(l->ev);
	l->ev = NULL;
}
