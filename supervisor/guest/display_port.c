/* SPDX-License-Identifier: MIT */
/* TCP listening: choosing the port, and finding out who holds it. */
#include "supervisor/guest/display_port.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "supervisor/host/port.h"
#include "supervisor/vm/vms.h"

enum { VNC_PORT_FIRST = 5900, VNC_PORTS = 4096 };

static const char port_name[] = "vnc-port";

struct endpoint {
	struct sockaddr_storage address;
	socklen_t len;
};

static int port_endpoint_parse(struct endpoint *at, const char *listen, struct err *e)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&at->address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&at->address;

	*at = (struct endpoint){ .len = 0 };
	if (inet_pton(AF_INET, listen, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		at->len = sizeof *v4;
	} else if (inet_pton(AF_INET6, listen, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		at->len = sizeof *v6;
	} else {
		return err_set(e, ERR_INVALID_CONFIG, "display: '%s' is not an IP address", listen);
	}
	return 0;
}

/* sin_port and sin6_port are at the same offset. */
static int port_endpoint_bind(struct endpoint *at, unsigned port)
{
	_cleanup_(close_fd) int fd =
		socket(at->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	((struct sockaddr_in *)(void *)&at->address)->sin_port = htons((uint16_t)port);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
		bind(fd, (struct sockaddr *)&at->address, at->len) < 0 || listen(fd, 16) < 0)
		return -errno;
	return steal_fd(&fd);
}

static char *port_tcp_address(const char *listen, unsigned port)
{
	bool v6 = strchr(listen, ':');

	return xasprintf("%s%s%s:%u", v6 ? "[" : "", listen, v6 ? "]" : "", port);
}

static int port_taken(const struct endpoint *at, const char *address, struct err *e)
{
	char who[HOST_WHO];

	host_port_holder((const struct sockaddr *)&at->address, who);
	err_set(e, ERR_CONFLICT, "display: %s is taken by %s", address, who);
	return err_hint(e, "stop it, or use Port=auto in [Display] for a free one");
}

static int display_refused(int error, const char *listen, struct err *e)
{
	if (error == EADDRNOTAVAIL)
		return err_set(e, ERR_INVALID_CONFIG,
			"display: this host does not have the address %s", listen);
	errno = error;
	err_errno(e, "display: listen on %s", listen);
	return error == EINVAL && strchr(listen, ':')
		       ? err_hint(e,
				 "a link-local address is one of an interface: write another address")
		       : e->number;
}

/* The port used by a previous daemon; 0 on a fresh start. */
static unsigned port_remembered(const struct vm *vm)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(16);
	uint64_t port = 0;

	if (file_read(vm->proc.run_fd, port_name, &text, NULL) == 0 && text.data)
		text_parse_uint(text.data, 1, 65535, &port);
	return (unsigned)port;
}

static void port_remember(const struct vm *vm, unsigned port)
{
	char text[16];
	struct err e = ERR_INIT;
	int len = snprintf(text, sizeof text, "%u", port);

	if (file_replace(vm->proc.run_fd, port_name, 0600, text, (size_t)len, false, &e) < 0)
		log_warning(vm->name, "display: %s", e.text);
}

int display_listen_tcp(struct vm *vm, char **address, struct err *e)
{
	const struct conf_vm *c = &vm->proc.conf;
	unsigned port = port_remembered(vm), last;
	struct endpoint at;
	int fd, r = port_endpoint_parse(&at, c->listen, e);

	if (r < 0)
		return r;
	if (!port)
		port = (unsigned)c->port;
	last = port ? port : VNC_PORT_FIRST + VNC_PORTS - 1;
	if (!port)
		port = VNC_PORT_FIRST;
	while ((fd = port_endpoint_bind(&at, port)) == -EADDRINUSE && port < last)
		port++;
	*address = port_tcp_address(c->listen, port);
	if (fd == -EADDRINUSE)
		return port_taken(&at, *address, e);
	if (fd < 0)
		return display_refused(-fd, c->listen, e);
	port_remember(vm, port);
	return fd;
}

int display_port_check(const struct conf_vm *c, char **address, struct err *e)
{
	struct endpoint at;
	int fd, r = port_endpoint_parse(&at, c->listen, e);

	if (r < 0)
		return r;
	*address = port_tcp_address(c->listen, (unsigned)c->port);
	fd = port_endpoint_bind(&at, (unsigned)c->port);
	if (fd == -EADDRINUSE)
		return port_taken(&at, *address, e);
	if (fd < 0)
		return display_refused(-fd, c->listen, e);
	close(fd);
	return 0;
}
