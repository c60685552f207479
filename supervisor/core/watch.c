/* SPDX-License-Identifier: MIT */
#include "supervisor/core/watch.h"

#include <ev.h>
#include <stdbool.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"

#define LOOK_AWAY 0.01 /* seconds */

enum { READ_SIZE = 64 << 10, READS = 8 }; /* more than the kernel queues */

struct watch {
	struct watch *next;
	int handle;
	bool hit;
	void (*changed)(void *data);
	void *data;
};

struct watches {
	struct ev_loop *ev;
	int fd;
	ev_io io;
	struct loop_timer away;
	struct watch *head, *next; /* next: the iterator in watch_on_event() */
	char *chunk;
};

/* Unlinks it from the list. */
static struct watch *watch_take(struct watches *ws, int handle)
{
	for (struct watch **p = &ws->head; *p; p = &(*p)->next)
		if ((*p)->handle == handle) {
			struct watch *w = *p;

			*p = w->next;
			return w;
		}
	return NULL;
}

static void watch_put_first(struct watches *ws, struct watch *w)
{
	w->next = ws->head;
	ws->head = w;
}

static void watch_collect(struct watches *ws, ssize_t len)
{
	const struct inotify_event *i;

	for (ssize_t at = 0; at < len; at += (ssize_t)(sizeof *i + i->len)) {
		struct watch *w;

		i = (const void *)(ws->chunk + at);
		w = watch_take(ws, i->wd);
		if (w) {
			w->hit = true;
			/* move to front: a flooding file is found at once */
			watch_put_first(ws, w);
		}
		/* the queue overflowed: any watch may have lost events */
		for (w = i->mask & IN_Q_OVERFLOW ? ws->head : NULL; w; w = w->next)
			w->hit = true;
	}
}

static void watch_read(struct watches *ws)
{
	ssize_t n;

	for (unsigned i = 0; i < READS && (n = read(ws->fd, ws->chunk, READ_SIZE)) > 0; i++)
		watch_collect(ws, n);
}

/* However many events there are, each watch is notified once, so none waits for another's flood. */
static void watch_on_event(struct ev_loop *ev, ev_io *io, int revents)
{
	struct watches *ws = io->data;

	watch_read(ws);
	for (struct watch *w = ws->head; w; w = ws->next) {
		ws->next = w->next;
		if (!w->hit)
			continue;
		w->hit = false;
		w->changed(w->data);
	}
	ev_io_stop(ev, io);
	loop_timer_start(&ws->away, LOOK_AWAY);
}

static void watch_on_back(void *data)
{
	struct watches *ws = data;

	ev_io_start(ws->ev, &ws->io);
}

struct watches *watches_new(struct ev_loop *ev)
{
	struct watches *ws = xcalloc(1, sizeof *ws);

	ws->ev = ev;
	ws->chunk = xcalloc(1, READ_SIZE);
	ws->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	ev_io_init(&ws->io, watch_on_event, ws->fd, EV_READ);
	loop_timer_init(&ws->away, ev, watch_on_back, ws);
	ws->io.data = ws;
	if (ws->fd >= 0)
		ev_io_start(ev, &ws->io);
	return ws;
}

void watches_free(struct watches *ws)
{
	if (!ws)
		return;
	ev_io_stop(ws->ev, &ws->io);
	loop_timer_stop(&ws->away);
	while (ws->head) {
		struct watch *w = ws->head;

		ws->head = w->next;
		free(w);
	}
	close_fd(&ws->fd);
	free(ws->chunk);
	free(ws);
}

int watch_add(struct watches *ws, int fd, unsigned mask, void (*changed)(void *data), void *data,
	struct err *e)
{
	char path[32];
	struct watch *w;
	int handle;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	handle = inotify_add_watch(ws->fd, path, mask);
	if (handle < 0)
		return err_errno(e, "watch a file");
	w = xcalloc(1, sizeof *w);
	w->handle = handle;
	w->changed = changed;
	w->data = data;
	watch_put_first(ws, w);
	return handle;
}

void watch_poll(struct watches *ws, int handle)
{
	struct watch *polled = NULL;
	bool others = false;

	watch_read(ws);
	for (struct watch *w = ws->head; w; w = w->next)
		if (w->handle == handle)
			polled = w;
		else
			others |= w->hit;
	if (others) /* their events have been read */
		ev_feed_event(ws->ev, &ws->io, EV_READ);
	if (!polled || !polled->hit)
		return;
	polled->hit = false;
	polled->changed(polled->data);
}

void watch_remove(struct watches *ws, int handle)
{
	struct watch *w = handle > 0 ? watch_take(ws, handle) : NULL;

	if (!w)
		return;
	inotify_rm_watch(ws->fd, handle);
	if (ws->next == w)
		ws->next = w->next;
	free(w);
}
