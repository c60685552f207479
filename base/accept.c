/* SPDX-License-Identifier: MIT */
#include "base/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

static const double accept_pause = 1; /* seconds */

static int accept_reserve = -1; /* spare descriptor, closed to accept and refuse one client */

static void accept_refill(void)
{
	if (accept_reserve < 0)
		accept_reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int accept_next(const struct acceptor *a)
{
	return accept4(a->io.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Accepts and refuses one client. False if the socket would wake us again at once. */
static bool accept_turn_away(struct acceptor *a)
{
	bool nobody;
	int fd;

	if (accept_reserve < 0)
		return false;
	close_fd(&accept_reserve);
	fd = accept_next(a);
	/* accept4() fails with EMFILE even if no client is waiting */
	nobody = fd < 0 && errno == EAGAIN;
	if (fd >= 0)
		a->refused(a, fd);
	accept_refill();
	return (fd >= 0 || nobody) && accept_reserve >= 0;
}

static void accept_ready(struct ev_loop *ev, ev_io *w, int revents)
{
	struct acceptor *a = container_of(w, struct acceptor, io);

	for (unsigned i = 0; i < a->per_turn; i++) {
		int fd = accept_next(a);

		if (fd >= 0) {
			a->connected(a, fd);
		} else if (errno != EINTR && errno != ECONNABORTED) {
			if (errno != EAGAIN && !accept_turn_away(a)) {
				ev_io_stop(a->ev, &a->io);
				loop_timer_start(&a->again, accept_pause);
			}
			return;
		}
	}
}

static void accept_pause_over(void *data)
{
	acceptor_start(data);
}

void acceptor_init(struct acceptor *a, struct ev_loop *ev, int listener, unsigned per_turn,
	acceptor_fn *connected, acceptor_fn *refused)
{
	*a = (struct acceptor){
		.ev = ev, .per_turn = per_turn, .connected = connected, .refused = refused
	};
	loop_timer_init(&a->again, ev, accept_pause_over, a);
	ev_io_init(&a->io, accept_ready, listener, EV_READ);
}

void acceptor_start(struct acceptor *a)
{
	accept_refill();
	loop_timer_stop(&a->again);
	ev_io_start(a->ev, &a->io);
}

void acceptor_stop(struct acceptor *a)
{
	if (!a->ev)
		return;
	loop_timer_stop(&a->again);
	ev_io_stop(a->ev, &a->io);
}

void acceptor_retry(struct acceptor *a)
{
	accept_refill();
	if (loop_timer_is_active(&a->again))
		acceptor_start(a);
}
