/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/display_client.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "base/log.h"
#include "supervisor/vm/vm.h"

enum {
	VNC_PER_TURN = 4,     /* accepted per loop iteration */
	VNC_PENDING_MAX = 8,  /* connections on their way to QEMU */
	VNC_CLIENTS_MAX = 32, /* that QEMU may have on the unix socket */
};

static void display_unref(struct display *d)
{
	if (--d->refs)
		return;
	free(d->address);
	free(d);
}

/* In RFB 3.3 the server alone picks the security type, so everything is sent at once without
 * waiting. */
static void display_refuse(int fd, const char *why)
{
	char text[256];
	uint32_t words[2] = { 0, htonl((uint32_t)strlen(why)) };
	size_t len = 12;

	memcpy(text, "RFB 003.003\n", len);
	memcpy(text + len, words, sizeof words);
	len += sizeof words;
	len += (size_t)snprintf(text + len, sizeof text - len, "%s", why);
	if (send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len)
		shutdown(fd, SHUT_WR);
}

/* A connection on its way to QEMU. Until QEMU has it, the daemon can still refuse it with a
 * reason. */
struct client {
	struct display *display;
	int fd;
	char name[32];	/* fdname in QEMU between getfd and add_client */
	unsigned waits; /* outstanding completions: QEMU's answer, the relay */
};

static void display_client_unwait(void *data)
{
	struct client *c = data;

	if (--c->waits)
		return;
	c->display->pending--;
	display_unref(c->display);
	close_fd(&c->fd);
	free(c);
}

/* The VM may be gone and its display closed. */
static bool display_client_refused(struct client *c, const struct err *e)
{
	if (!e)
		return false;
	if (c->display->fd >= 0)
		log_warning(c->display->vm->name, "display: a connection was not accepted: %s",
			e->text);
	display_refuse(c->fd, "the guest's QEMU does not accept the connection");
	return true;
}

static void display_on_added(void *data, const json_t *result, const struct err *e)
{
	struct client *c = data;

	if (display_client_refused(c, e) && c->display->fd >= 0 && c->display->vm->mon.qmp)
		qmp_call(c->display->vm->mon.qmp, "closefd", json_pack("{s:s}", "fdname", c->name),
			-1, VM_QMP_SECONDS, NULL, NULL);
	display_client_unwait(c);
}

/* getfd and add_client are sent together: if the first fails, so does the second. */
static void display_hand_over(struct client *c)
{
	struct vm *vm = c->display->vm;

	snprintf(c->name, sizeof c->name, "vnc-%u", ++c->display->serial);
	qmp_call(vm->mon.qmp, "getfd", json_pack("{s:s}", "fdname", c->name), c->fd, VM_QMP_SECONDS,
		NULL, NULL);
	qmp_call(vm->mon.qmp, "add_client",
		json_pack("{s:s, s:s, s:b}", "protocol", "vnc", "fdname", c->name, "skipauth",
			!vm->proc.conf.password),
		-1, VM_QMP_SECONDS, display_on_added, c);
}

/* Only QEMU knows its number of clients. A QEMU that lies about it hurts only itself. */
static void display_on_counted(void *data, const json_t *result, const struct err *e)
{
	struct client *c = data;
	const size_t n = json_array_size(json_object_get(json_array_get(result, 0), "clients"));
	struct vm *vm = c->display->fd >= 0 ? c->display->vm : NULL;

	if (!display_client_refused(c, e)) {
		if (vm && vm->mon.qmp && n < VNC_CLIENTS_MAX) {
			display_hand_over(c);
			return;
		}
		display_refuse(c->fd,
			vm && vm->mon.qmp ? "too many clients are connected" : "the guest is gone");
	}
	display_client_unwait(c);
}

static const char *display_not_now(const struct display *d)
{
	if (!d->vm->mon.qmp || !qmp_is_ready(d->vm->mon.qmp))
		return "the guest's QEMU is not responding";
	return d->pending >= VNC_PENDING_MAX ? "too many connections at once" : NULL;
}

static void display_on_local(struct client *c, int fd)
{
	c->fd = fd;
	/* query-vnc reports no clients if there is no listener */
	qmp_call(c->display->vm->mon.qmp, "query-vnc-servers", NULL, -1, VM_QMP_SECONDS,
		display_on_counted, c);
}

/* QEMU never gets the TCP connection itself: an AF_INET socket would give it access to the host's
 * network. */
static void display_on_remote(struct client *c, int fd)
{
	struct err e = ERR_INIT;

	c->waits++;
	c->fd = relay_start(c->display->vm, &c->display->peers, fd, display_client_unwait, c, &e);
	if (c->fd >= 0) {
		display_hand_over(c);
	} else {
		display_refuse(fd, e.text);
		c->waits--;
		display_client_unwait(c);
	}
	close(fd);
}

static void display_on_connect(struct acceptor *a, int fd)
{
	struct display *d = container_of(a, struct display, acceptor);
	const char *why = display_not_now(d);
	struct client *c;

	if (why) {
		display_refuse(fd, why);
		close(fd);
		return;
	}
	c = xcalloc(1, sizeof *c);
	*c = (struct client){ .display = d, .fd = -1, .waits = 1 };
	d->refs++;
	d->pending++;
	(d->local ? display_on_local : display_on_remote)(c, fd);
}

static void display_on_shortage(struct acceptor *a, int fd)
{
	display_refuse(fd, "the daemon has no descriptors left");
	close(fd);
}

struct display *display_serve(struct vm *vm, int fd, char *address /* stolen */, bool local)
{
	struct display *d = xcalloc(1, sizeof *d);

	*d = (struct display){ .vm = vm, .fd = fd, .address = address, .local = local, .refs = 1 };
	acceptor_init(&d->acceptor, vm->daemon->loop.ev, fd, VNC_PER_TURN, display_on_connect,
		display_on_shortage);
	acceptor_start(&d->acceptor);
	return d;
}

void display_stop(struct display *d)
{
	acceptor_stop(&d->acceptor);
	close_fd(&d->fd);
	display_unref(d);
}
