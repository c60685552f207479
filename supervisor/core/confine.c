/* SPDX-License-Identifier: MIT */
#include "supervisor/core/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "supervisor/api/api.h"
#include "supervisor/jail/plan.h"

enum {
	ANSWER_MAX = 16 << 10,
	READS = 64 /* per call, more than a socket holds; limits a process that keeps writing */
};

struct confined {
	struct child *child;
	int sock;
	confined_fn *done;
	void *data;
};

int confine_program(const char *name, char *path, size_t size, struct err *e)
{
	static const struct {
		const char *name, *hint;
	} helpers[] = {
		{ "xorriso", "install xorriso" },
		{ "curl", "install curl" },
		{ "gpgv", "install gpgv" },
		{ "qemu-img", "install qemu-utils" },
	};
	char unused[4096] = "";

	if (child_find(name, path ? path : unused, path ? size : sizeof unused))
		return 0;
	errno = ENOENT;
	err_errno(e, "run '%s'", name);
	for (size_t i = 0; i < ARRAY_SIZE(helpers); i++)
		if (streq(helpers[i].name, name))
			err_hint(e, "%s", helpers[i].hint);
	return e->number;
}

json_t *confine_plan(const char *role, const char *name, uid_t uid, const char *root,
	const char *const *argv, struct err *e)
{
	json_t *words = json_array();
	char path[4096];

	if (confine_program(argv[0], path, sizeof path, e) < 0) {
		json_decref(words);
		return NULL;
	}
	json_array_append_new(words, json_string(path));
	for (size_t i = 1; argv[i]; i++)
		json_array_append_new(words, json_string(argv[i]));
	return json_pack("{s:i, s:s, s:s, s:I, s:s, s:o}", "version", PLAN_VERSION, "role", role,
		"name", name, "uid", (json_int_t)uid, "root", root, "argv", words);
}

/* A new socketpair accepts 200 kB at once: enlarge the buffer for the largest plan. */
static int confine_write(int sock, char *text, size_t len, const int *fds, size_t n, struct err *e)
{
	const int room = 4 * PLAN_MAX; /* the kernel also counts its overhead */
	ssize_t sent;

	if (setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0)
		setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	sent = file_send(sock, text, len, fds, n, MSG_DONTWAIT);
	if (sent < 0)
		return err_errno(e, "send the plan to vmkeep-jail");
	if ((size_t)sent < len)
		return err_set(e, ERR_NO_RESOURCES,
			"send the plan to vmkeep-jail: its socket takes %zd of %zu bytes", sent,
			len);
	return 0;
}

static char *confine_text(json_t *plan /* stolen */, struct err *e)
{
	char *text = json_dumps(plan, JSON_COMPACT);

	json_decref(plan);
	if (!text)
		err_set(e, ERR_INVALID_CONFIG, "a value is not valid UTF-8");
	return text;
}

/* Our end is non-blocking. */
static int confine_pair(
	int *ours, int *theirs, char *text, size_t len, const int *fds, size_t n, struct err *e)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, "socket pair");
	*ours = pair[0];
	*theirs = pair[1];
	r = confine_write(*ours, text, len, fds, n, e);
	fcntl(*ours, F_SETFL, O_NONBLOCK);
	return r;
}

int confine_spawn(struct confine_process *p, const char *const *argv, json_t *plan /* stolen */,
	const int *fds, size_t n_fds, int output, struct err *e)
{
	_cleanup_(free_ptr) char *text = confine_text(plan, e);
	_cleanup_(close_fd) int null = open("/dev/null", O_RDWR | O_CLOEXEC), theirs = -1;
	int r = text ? confine_pair(&p->sock, &theirs, text, strlen(text), fds, n_fds, e)
		     : e->number;
	const struct child_fd std[] = { { null, 0 }, { null, 1 }, { output < 0 ? null : output, 2 },
		{ theirs, PLAN_FD } };

	if (r == 0)
		r = child_spawn(argv, std, ARRAY_SIZE(std), false, &p->pid, &p->pidfd, e);
	if (r < 0)
		close_fd(&p->sock);
	return r;
}

void confine_go(int sock)
{
	send(sock, "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void confine_error(const json_t *error, struct err *e)
{
	const char *class = json_string_value(json_object_get(error, "class"));
	const char *desc = json_string_value(json_object_get(error, "desc"));
	const char *hint = json_string_value(json_object_get(error, "hint"));

	err_set(e, ERR_FAILED, "%s", desc ? desc : "vmkeep-jail failed");
	if (class)
		api_class_parse(class, &e->class);
	if (hint && *hint)
		err_hint(e, "%s", hint);
}

bool confine_read(
	int sock, struct buf *said, struct file_fds *fds, confine_line_fn *line, void *data)
{
	struct file_fds none = { 0 };
	char chunk[4096], *end;
	bool over = false;
	ssize_t n = 1;

	for (int i = 0;
		!over && i < READS &&
		(n = file_receive(sock, chunk, sizeof chunk, fds ? fds : &none, MSG_DONTWAIT)) > 0;
		i++)
		over = buf_add(said, chunk, (size_t)n) < 0;
	over |= n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	while (said->len && ((end = memchr(said->data, '\n', said->len)) || over)) {
		size_t len = end ? (size_t)(end - said->data) : said->len;
		json_t *doc = json_loadb(said->data, len, 0, NULL);

		line(data, doc);
		json_decref(doc);
		buf_drop(said, end ? len + 1 : len);
	}
	return !over;
}

static void confine_on_line(void *data, const json_t *doc)
{
	const json_t *error = json_object_get(doc, "error");
	struct err *e = data;

	if (error && !e->number)
		confine_error(error, e);
}

int confine_answer(int sock, struct err *e)
{
	struct buf said = BUF_MAX(ANSWER_MAX);

	confine_read(sock, &said, NULL, confine_on_line, e);
	buf_release(&said);
	return e->number;
}

static void confine_on_done(void *data, const struct child_result *r)
{
	struct confined *c = data;
	struct err e = ERR_INIT;
	const bool refused = confine_answer(c->sock, &e) < 0;
	confined_fn *done = c->done;
	void *theirs = c->data;

	close_fd(&c->sock);
	free(c);
	done(theirs, r, refused ? &e : NULL);
}

struct confined *confine_run(struct ev_loop *ev, const char *jail, json_t *plan, const int *fds,
	size_t n_fds, const struct child_options *options, confined_fn *done, void *data,
	struct err *e)
{
	_cleanup_(free_ptr) char *name = xstrdup(json_string_value(json_object_get(plan, "name")));
	_cleanup_(free_ptr) char *text = confine_text(plan, e);
	const char *argv[] = { jail, name, NULL };
	struct confined *c = xcalloc(1, sizeof *c);
	struct child_options o = *options;
	struct child_fd theirs = { -1, PLAN_FD };

	*c = (struct confined){ .sock = -1, .done = done, .data = data };
	if (text && confine_pair(&c->sock, &theirs.from, text, strlen(text), fds, n_fds, e) == 0) {
		o.argv = argv;
		o.more = &theirs;
		o.done = confine_on_done;
		o.data = c;
		confine_go(c->sock);
		c->child = child_run(ev, &o, e);
	}
	close_fd(&theirs.from);
	if (c->child)
		return c;
	close_fd(&c->sock);
	free(c);
	return NULL;
}

int confine_socket(const struct confined *c)
{
	return fcntl(c->sock, F_DUPFD_CLOEXEC, 0);
}

void confine_kill(struct confined *c)
{
	child_kill(c->child);
}

void confine_cancel(struct confined *c)
{
	if (!c)
		return;
	child_cancel(c->child);
	close_fd(&c->sock);
	free(c);
}
