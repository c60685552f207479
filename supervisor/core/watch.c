/* SPDX-License-Identifier: MIT */
#include "supervisor/core/watch.h"

#include <ev.h>
#include <sys/inotify.h>

#include "base/mem.h"

#define LOOK_AWAY 0.01 /* seconds */

struct watch {
	struct watch *next;
	int handle;
	void (*changed)(void *data);
	void *data;
};

struct watches {
	struct ev_loop *ev;
	int fd;
	ev_io io;
	ev_timer away;
	struct watch *head;
};

static struct watch *find(struct watches *ws, int handle)
{
	for (struct watch *w = ws->head; w; w = w->next)
		if (w->handle == handle)
			return w;
	return NULL;
}

static void on_event(struct ev_loop *ev, ev_io *io, int revents)
{
	struct watches *ws = io->data;
	_Alignas(struct inotify_event) char chunk[8192];
	ssize_t n = read(ws->fd, chunk, sizeof chunk);

	(void)revents;
	for (char *p = chunk; n > 0 && p < chunk + n;) {
		const struct inotify_event *i = (const void *)p;
		struct watch *w = find(ws, i->wd);

		if (w)
			w->changed(w->data);
		/* too much at once: whose events were dropped nobody knows */
		for (w = i->mask & IN_Q_OVERFLOW ? ws->head : NULL; w; w = w->next)
			w->changed(w->data);
		p += sizeof *i + i->len;
	}
	ev_io_stop(ev, io);
	ev_timer_set(&ws->away, LOOK_AWAY, 0);
	ev_timer_start(ev, &ws->away);
}

static void on_back(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct watches *ws = t->data;

	(void)revents;
	ev_io_start(ev, &ws->io);
}

struct watches *watches_new(struct ev_loop *ev)
{
	struct watches *ws = xcalloc(1, sizeof *ws);

	ws->ev = ev;
	ws->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	ev_io_init(&ws->io, on_event, ws->fd, EV_READ);
	ev_timer_init(&ws->away, on_back, 0, 0);
	ws->io.data = ws->away.data = ws;
	if (ws->fd >= 0)
		ev_io_start(ev, &ws->io);
	return ws;
}

void watches_free(struct watches *ws)
{
	if (!ws)
		return;
	ev_io_stop(ws->ev, &ws->io);
	ev_timer_stop(ws->ev, &ws->away);
	while (ws->head) {
		struct watch *w = ws->head;

		ws->head = w->next;
		free(w);
	}
	close_fd(&ws->fd);
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
	w->next = ws->head;
	ws->head = w;
	return handle;
}

void watch_remove(struct watches *ws, int handle)
{
	if (handle <= 0)
		return;
	inotify_rm_watch(ws->fd, handle);
	for (struct watch **p = &ws->head; *p; p = &(*p)->next)
		if ((*p)->handle == handle) {
			struct watch *w = *p;

			*p = w->next;
			free(w);
			return;
		}
}
