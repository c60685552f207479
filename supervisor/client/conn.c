/* SPDX-License-Identifier: MIT */
#include "supervisor/client/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/api/api.h"
#include "supervisor/client/errors.h"

#define SOCKET_NAME "control.sock"

enum { READ_SIZE = 64 << 10 };

const char *conn_run_dir(const char *option)
{
	const char *env = getenv("VMKEEP_RUN");

	if (option)
		return option;
	return env && *env ? env : CONN_RUN_DIR;
}

static int conn_connect_error(const char *run, struct err *e)
{
	if (errno == EACCES || errno == EPERM)
		return err_errno(e, "connect to '%s/" SOCKET_NAME "'", run);
	if (errno != ENOENT && errno != ECONNREFUSED && errno != ENOTDIR) {
		err_errno(e, "connect to '%s/" SOCKET_NAME "'", run);
		return err_class(e, ERR_UNREACHABLE);
	}
	err_set(e, ERR_UNREACHABLE, "vmkeepd is not running (%s at %s/" SOCKET_NAME ")",
		errno == ECONNREFUSED ? "nothing is listening" : "no socket", run);
	if (streq(run, CONN_RUN_DIR))
		return err_hint(e, "systemctl start vmkeepd");
	return err_hint(e, "start it with 'vmkeepd --run %s', or name another with --run", run);
}

/* A path too long for a socket address is reached through its directory. */
int conn_open(struct conn *c, const char *run, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_(close_fd) int dir = -1, fd = -1;
	int n = snprintf(a.sun_path, sizeof a.sun_path, "%s/" SOCKET_NAME, run);

	if (n < 0 || (size_t)n >= sizeof a.sun_path) {
		dir = open(run, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return conn_connect_error(run, e);
		file_socket_address(&a, dir, SOCKET_NAME);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, "make a socket");
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		return conn_connect_error(run, e);
	codec_init(&c->codec, CONN_REPLY_MAX);
	c->fd = steal_fd(&fd);
	return 0;
}

void conn_release(struct conn *c)
{
	if (c->fd >= 0)
		codec_release(&c->codec);
	close_fd(&c->fd);
}

static int conn_gone(struct err *e)
{
	err_set(e, ERR_UNREACHABLE, "vmkeepd closed the connection before it answered");
	return err_hint(e,
		"it was stopped or restarted, which does not affect guests: see vmkeep list and vmkeep jobs");
}

int conn_send(struct conn *c, const char *execute, json_t *arguments, json_int_t *id, struct err *e)
{
	json_t *request = json_object();
	struct buf b = BUF_INIT;
	int r;

	*id = ++c->last_id;
	json_object_set_new(request, "execute", json_string(execute));
	if (arguments && json_object_size(arguments))
		json_object_set(request, "arguments", arguments);
	json_object_set_new(request, "id", json_integer(*id));
	codec_encode(request, &b);
	r = file_write_all(c->fd, b.data, b.len);
	json_decref(request);
	buf_release(&b);
	/* the daemon's last message explains more than our EPIPE */
	if (r == -EPIPE || r == -ECONNRESET)
		return 0;
	return r < 0 ? conn_gone(e) : 0;
}

/* False for greetings and for the daemon's final error. */
static bool conn_is_for_caller(const json_t *message, struct err *e)
{
	const json_t *api = json_object_get(json_object_get(message, "vmkeep"), "api");

	if (json_object_get(message, "error") && !json_object_get(message, "id")) {
		errors_from_json(json_object_get(message, "error"), e);
		return false;
	}
	if (!json_object_get(message, "QMP"))
		return true;
	if (json_is_integer(api) && json_integer_value(api) != API_VERSION) {
		err_set(e, ERR_FAILED, "vmkeepd speaks protocol %d, this vmkeep speaks %d",
			(int)json_integer_value(api), API_VERSION);
		err_hint(e, "install both from the same package and restart vmkeepd");
	}
	return false;
}

static enum conn_result conn_read_more(
	struct conn *c, int timeout_ms, const sigset_t *mask, struct err *e)
{
	struct timespec t = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	ssize_t n;
	int r;

	r = ppoll(&p, 1, timeout_ms < 0 ? NULL : &t, mask);
	if (r == 0)
		return CONN_TIMEOUT;
	if (r < 0 && errno == EINTR)
		return CONN_INTERRUPTED;
	n = read(c->fd, codec_reserve(&c->codec, READ_SIZE), READ_SIZE);
	codec_commit(&c->codec, n > 0 ? (size_t)n : 0);
	if (n > 0 || (n < 0 && errno == EINTR))
		return CONN_MESSAGE;
	conn_gone(e);
	return CONN_FAILED;
}

enum conn_result conn_receive(
	struct conn *c, int timeout_ms, const sigset_t *mask, json_t **message, struct err *e)
{
	enum conn_result r;

	err_clear(e);
	for (;;) {
		switch (codec_next(&c->codec, message, e)) {
		case CODEC_MESSAGE:
			if (conn_is_for_caller(*message, e))
				return CONN_MESSAGE;
			json_decref(*message);
			*message = NULL;
			if (e->number)
				return CONN_FAILED;
			continue;
		case CODEC_BAD:
			err_wrap(e, -EIO, "parse the reply of vmkeepd");
			return CONN_FAILED;
		case CODEC_NONE:
			break;
		}
		r = conn_read_more(c, timeout_ms, mask, e);
		if (r != CONN_MESSAGE)
			return r;
	}
}

json_t *conn_result(const json_t *message, struct err *e)
{
	json_t *error = json_object_get(message, "error");
	json_t *result = json_object_get(message, "return");

	if (error)
		errors_from_json(error, e);
	else if (!result)
		err_set(e, ERR_FAILED, "vmkeepd sent neither a result nor an error");
	return error ? NULL : result;
}

json_t *conn_call(struct conn *c, const char *execute, json_t *arguments, struct err *e)
{
	json_t *message, *result;
	json_int_t id;

	if (conn_send(c, execute, arguments, &id, e) < 0)
		return NULL;
	for (;;) {
		enum conn_result r = conn_receive(c, -1, NULL, &message, e);

		if (r == CONN_FAILED)
			return NULL;
		if (r != CONN_MESSAGE)
			continue;
		if (json_integer_value(json_object_get(message, "id")) == id) {
			result = json_incref(conn_result(message, e));
			json_decref(message);
			return result;
		}
		json_decref(message);
	}
}

/* The reply ends with its newline; the stream starts at the next byte. */
void conn_stream(struct conn *c, struct buf *first)
{
	struct codec *k = &c->codec;

	while (codec_pending(k) == 0 || !memchr(k->in.data + k->start, '\n', codec_pending(k))) {
		char byte;
		ssize_t n = read(c->fd, &byte, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		codec_feed(k, &byte, 1);
	}
	while (k->in.data[k->start++] != '\n')
		;
	buf_add(first, k->in.data + k->start, k->in.len - k->start);
	k->pos = k->start;
}
