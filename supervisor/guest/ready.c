/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/ready.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "supervisor/guest/agent.h"
#include "supervisor/guest/parts.h"

#define CONNECT_PATIENCE 3.0 /* seconds until a connection attempt is retried */

static bool ready_has_lease(const struct vm *vm)
{
	uint32_t address;

	for (size_t i = 0; i < vm->proc.nics; i++)
		if (vm->proc.nic[i].net.network &&
			networks_address_seen(
				vm->daemon->networks, vm->name, vm->proc.nic[i].net.nic, &address))
			return true;
	return false;
}

static void ready_try_connection(struct ready *r, const struct vm *vm, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	for (size_t i = 0; i < vm->proc.nics && !to.sin_addr.s_addr; i++)
		to.sin_addr.s_addr = htonl(vm->proc.nic[i].net.address);
	if (!to.sin_addr.s_addr)
		return;
	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r->since = daemon_now();
	if (r->fd >= 0)
		(void)!connect(r->fd, (struct sockaddr *)&to, sizeof to);
}

static bool ready_takes_connections(struct ready *r, const struct vm *vm, const char *port)
{
	struct pollfd p = { .fd = r->fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof error;

	if (r->fd >= 0 && poll(&p, 1, 0) > 0) {
		getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		ready_release(r);
		if (error == 0)
			return true;
	}
	if (r->fd >= 0 && daemon_now() - r->since > CONNECT_PATIENCE)
		ready_release(r);
	if (r->fd < 0)
		ready_try_connection(r, vm, port);
	return false;
}

bool ready_check(struct ready *r, struct vm *vm)
{
	const char *when = vm->proc.conf.ready_when;

	if (!when || streq(when, "started"))
		return true;
	if (streq(when, "lease"))
		return ready_has_lease(vm);
	if (streq(when, "agent"))
		return vm_agent_answers(vm);
	if (strncmp(when, "tcp:", 4) == 0)
		return ready_takes_connections(r, vm, when + 4);
	return vm->proc.ready_seen; /* log:, notify */
}

void ready_release(struct ready *r)
{
	close_fd(&r->fd);
}

void ready_is(struct vm *vm)
{
	if (vm->proc.ready_seen)
		return;
	vm->proc.ready_seen = true;
	log_info(vm->name, "guest is ready");
	vm_record_write(vm);
}

void ready_feed(struct vm *vm, const char *data, size_t len)
{
	const char *when = vm->proc.conf.ready_when, *text;
	struct buf *tail = vm_part_state(vm, &ready_part);
	size_t want, keep;

	if (!tail || vm->proc.ready_seen || !when || strncmp(when, "log:", 4) != 0)
		return;
	text = when + 4;
	want = strlen(text);
	/* the text may span two chunks */
	buf_add(tail, data, len);
	if (memmem(tail->data, tail->len, text, want))
		ready_is(vm);
	keep = vm->proc.ready_seen ? 0 : want - 1;
	if (tail->len > keep)
		buf_drop(tail, tail->len - keep);
}

static void ready_attach(struct vm *vm, void **state, enum vm_attach how)
{
	if (how != VM_ATTACH_LEFT)
		*state = xcalloc(1, sizeof(struct buf));
}

static void ready_close(struct vm *vm, void **state, bool ended)
{
	if (*state)
		buf_release(*state);
}

/* State: the end of the first serial port's output, for ReadyWhen=log:. */
const struct vm_part ready_part = {
	.name = "readiness", .attach = ready_attach, .close = ready_close
};
