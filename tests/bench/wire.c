/* SPDX-License-Identifier: MIT */
#include "tests/bench/measure.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

enum { WIRE_MAX = 8 << 20 };

void wire_open(struct wire *w, int fd)
{
	*w = (struct wire){ .fd = fd, .data = xcalloc(1, WIRE_MAX) };
}

void wire_connect(struct wire *w, const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof to.sun_path)
		give_up("'%s' is too long for a socket", path);
	strcpy(to.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		give_up("connect to '%s': %s", path, strerror(errno));
	wire_open(w, fd);
}

void wire_close(struct wire *w)
{
	close_fd(&w->fd);
	free(w->data);
	w->data = NULL;
}

void wire_send(struct wire *w, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	_cleanup_(free_ptr) char *line = xasprintf("%s\n", text);
	size_t len = strlen(line);

	if (send(w->fd, line, len, MSG_NOSIGNAL) != (ssize_t)len)
		give_up("send %s: %s", text, strerror(errno));
	free(text);
	json_decref(message);
}

static void fill(struct wire *w)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	ssize_t n;

	if (w->len == WIRE_MAX)
		give_up("a message of more than %d bytes", WIRE_MAX);
	if (poll(&p, 1, PATIENCE_MS) <= 0)
		give_up("no answer within %d ms", PATIENCE_MS);
	n = read(w->fd, w->data + w->len, WIRE_MAX - w->len);
	if (n <= 0)
		give_up("the other side hung up");
	w->len += (size_t)n;
}

json_t *wire_receive(struct wire *w, double *when)
{
	size_t seen = 0;
	char *end;
	json_t *message;

	memmove(w->data, w->data + w->used, w->len - w->used);
	w->len -= w->used;
	while (!(end = memchr(w->data + seen, '\n', w->len - seen))) {
		seen = w->len;
		fill(w);
	}
	*when = now_ms();
	w->used = (size_t)(end - w->data) + 1;
	message = json_loadb(w->data, w->used, 0, NULL);
	if (!message)
		give_up("not JSON: %.*s", (int)w->used, w->data);
	return message;
}
