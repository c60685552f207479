/* SPDX-License-Identifier: MIT */
/*
 * A real control server and its clients in one loop, for the tests of supervisor/control.
 *
 * Most verbs answer with what their handler was given; vm-wait and vm-check are kept for later, vm-list answers
 * with list_bytes of text, vm-console becomes a stream. Clients may connect as any user (root only).
 */
#ifndef TESTS_UNIT_CONTROL_H
#define TESTS_UNIT_CONTROL_H

#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"
#include "supervisor/control/server.h"
#include "tests/unit/slow.h"
#include "supervisor/core/account.h"

enum { OPERATORS = 5001, VIEWERS = 5002, CREATORS = 5003, NOBODY = 65534, KEPT_MAX = 256 };

static struct loop loop;
static struct server *server;
static struct accounts accounts;
static char directory[64], path[128];
static struct request *kept[KEPT_MAX]; /* vm-wait */
static size_t n_kept, n_gone;
static bool careless; /* the handler of vm-wait ignores its client's disconnect */
static size_t list_bytes;
static unsigned vm_jobs; /* in progress, for any VM */
static int stream = -2;	 /* descriptor of vm-console, -1: refused */
static struct buf stream_leftover;
static struct hold *stream_hold;

/* Replaces libc's: the groups of this test, three rows of any file. */
struct group *fgetgrent(FILE *f)
{
	static char name[3][16] = { "vmkeep", "vmkeep-view", "vmkeep-create" };
	static struct group g;
	long row = ftell(f);

	if (row > 2 || fseek(f, row + 1, SEEK_SET) < 0)
		return NULL;
	g.gr_name = name[row];
	g.gr_gid = OPERATORS + (gid_t)row;
	return &g;
}

/* --- handlers ---------------------------------------------------------------------------- */

static inline void run_echo(void *data, struct request *r)
{
	json_t *o = json_object();

	(void)data;
	json_object_set_new(o, "execute", json_string(request_verb(r)->execute));
	json_object_set_new(o, "role", json_string(api_role_name(request_role(r))));
	json_object_set_new(o, "arguments", json_deep_copy(request_arguments(r)));
	request_return(r, o);
}

static inline void count_gone(void *data)
{
	struct request **r = data;

	*r = NULL;
	n_gone++;
}

static inline void run_keep(void *data, struct request *r)
{
	(void)data;
	assert_true(n_kept < KEPT_MAX);
	kept[n_kept] = r;
	if (!careless)
		request_on_gone(r, count_gone, &kept[n_kept]);
	n_kept++;
}

static inline void run_list(void *data, struct request *r)
{
	char *text = xcalloc(1, list_bytes + 1);

	(void)data;
	memset(text, 'x', list_bytes);
	request_return(r, json_string(text));
	free(text);
}

static inline void run_stream(void *data, struct request *r)
{
	(void)data;
	stream = request_stream(r, NULL, &stream_leftover, &stream_hold);
}

static inline void run_verb(void *data, struct request *r)
{
	const char *x = request_verb(r)->execute;

	if (streq(x, "vm-wait") || streq(x, "vm-check"))
		run_keep(data, r);
	else if (streq(x, "vm-list"))
		run_list(data, r);
	else if (streq(x, "vm-console"))
		run_stream(data, r);
	else
		run_echo(data, r);
}

static inline bool owns(void *data, const struct request *r, const char *vm)
{
	(void)data;
	return request_account(r)->uid == NOBODY && vm && streq(vm, "his");
}

static inline bool owns_job(void *data, const struct request *r, json_int_t job)
{
	(void)data;
	return request_account(r)->uid == NOBODY && job == 7;
}

static inline unsigned jobs(void *data, const struct request *r, const char *vm)
{
	(void)data, (void)r, (void)vm;
	return vm_jobs;
}

static inline void answer_kept(size_t i)
{
	request_return(kept[i], json_integer((json_int_t)i));
	kept[i] = NULL;
}

/* --- the server -------------------------------------------------------------------------- */

static inline struct server *make_server(
	const char *where, unsigned clients_max, unsigned per_user, struct err *e)
{
	struct server_options o = {
		.path = where,
		.run = run_verb,
		.accounts = &accounts,
		.clients_max = clients_max,
		.clients_per_user_max = per_user,
		.owns = owns,
		.owns_job = owns_job,
		.jobs = jobs,
	};

	return server_new(loop.ev, &o, e);
}

static inline int set_up(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	strcpy(directory, "/tmp/vmkeep-control-XXXXXX");
	if (!mkdtemp(directory) || chmod(directory, 0755) < 0 || loop_init(&loop) < 0)
		return -1;
	snprintf(path, sizeof path, "%s/control.sock", directory);
	server = make_server(path, 0, 0, &e);
	n_kept = n_gone = 0;
	careless = false;
	list_bytes = 10;
	vm_jobs = 0;
	stream = -2;
	return server ? 0 : -1;
}

static inline int tear_down(void **state)
{
	(void)state;
	server_free(server);
	for (size_t i = 0; i < n_kept; i++)
		if (kept[i])
			request_return(kept[i], NULL);
	if (stream >= 0)
		close(stream);
	hold_free(stream_hold);
	stream_hold = NULL;
	buf_release(&stream_leftover);
	loop_release(&loop);
	return rmdir(directory); /* fails when the socket was left behind */
}

/* --- waiting ----------------------------------------------------------------------------- */

static inline void too_late(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)revents;
	*(bool *)w->data = true;
	ev_break(ev, EVBREAK_ALL);
}

/* One loop iteration; fails the test if nothing happens for long. */
static inline void turn(const char *what)
{
	bool late = false;
	ev_timer guard;

	ev_timer_init(&guard, too_late, stretched(20), 0);
	guard.data = &late;
	ev_timer_start(loop.ev, &guard);
	ev_run(loop.ev, EVRUN_ONCE);
	ev_timer_stop(loop.ev, &guard);
	if (late)
		fail_msg("waited in vain for %s", what);
}

#define WAIT_FOR(condition)               \
	do {                              \
		while (!(condition))      \
			turn(#condition); \
	} while (0)

/* Runs until everything pending has been handled. */
static inline void settle(void)
{
	for (int i = 0; i < 8; i++)
		ev_run(loop.ev, EVRUN_NOWAIT);
}

/* --- clients ----------------------------------------------------------------------------- */

struct client {
	int fd;
	ev_io io;
	struct buf in;
	bool end; /* the server closed */
};

static inline void client_ready(struct ev_loop *ev, ev_io *w, int revents)
{
	struct client *c = container_of(w, struct client, io);
	char chunk[65536];
	ssize_t n = recv(c->fd, chunk, sizeof chunk, MSG_DONTWAIT);

	(void)revents;
	if (n > 0) {
		buf_add(&c->in, chunk, (size_t)n);
	} else if (n == 0 || errno != EAGAIN) {
		c->end = true;
		ev_io_stop(ev, w);
	}
}

static inline int dial(const char *where)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_true(strlen(where) < sizeof a.sun_path);
	strcpy(a.sun_path, where);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		fail_msg("connect %s: %s", where, strerror(errno));
	return fd;
}

static inline void hang_up(struct client *c)
{
	ev_io_stop(loop.ev, &c->io);
	close_fd(&c->fd);
	buf_release(&c->in);
}

/* The next line in c->in as JSON, or NULL. */
static inline json_t *next_line(struct client *c)
{
	char *end = c->in.len ? memchr(c->in.data, '\n', c->in.len) : NULL;
	json_error_t why;
	json_t *o;

	if (!end)
		return NULL;
	o = json_loadb(c->in.data, (size_t)(end - c->in.data), JSON_ALLOW_NUL, &why);
	if (!o)
		fail_msg("server said: %.*s: %s", (int)(end - c->in.data), c->in.data, why.text);
	buf_drop(&c->in, (size_t)(end - c->in.data) + 1);
	return o;
}

static inline json_t *read_line(struct client *c)
{
	json_t *o;

	while (!(o = next_line(c))) {
		assert_false(c->end);
		turn("a line");
	}
	return o;
}

static inline void call_on(struct client *c, int fd)
{
	*c = (struct client){ .fd = fd };
	ev_io_init(&c->io, client_ready, fd, EV_READ);
	ev_io_start(loop.ev, &c->io);
}

static inline void call(struct client *c)
{
	call_on(c, dial(path));
	json_decref(read_line(c));
}

/* The kernel records the credentials at connect(). */
static inline void call_as(struct client *c, uid_t uid, gid_t extra)
{
	gid_t groups[1] = { extra };
	int fd;

	assert_int_equal(setgroups(extra ? 1 : 0, groups), 0);
	assert_int_equal(setegid(NOBODY), 0);
	assert_int_equal(seteuid(uid), 0);
	fd = dial(path);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(setegid(0), 0);
	assert_int_equal(setgroups(0, NULL), 0);
	call_on(c, fd);
}

static inline void need_root(void)
{
	if (geteuid() != 0) {
		print_message("skipped: only root can be somebody else\n");
		skip();
	}
}

static inline void say_bytes(struct client *c, const char *data, size_t len)
{
	assert_int_equal(send(c->fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

static inline void say(struct client *c, const char *text)
{
	say_bytes(c, text, strlen(text));
}

static inline json_t *ask(struct client *c, const char *text)
{
	say(c, text);
	return read_line(c);
}

/* A member of {"error": ...}, borrowed. */
static inline const char *error_text(const json_t *reply, const char *member)
{
	return json_string_value(json_object_get(json_object_get(reply, "error"), member));
}

/* A new client gets its answer. */
static inline void others_are_served(void)
{
	struct client c;
	json_t *o;

	call(&c);
	o = ask(&c, "{\"execute\":\"job-list\"}\n");
	assert_non_null(json_object_get(o, "return"));
	json_decref(o);
	hang_up(&c);
}

/* The error contains this, and then the connection ends. */
static inline void assert_refused(struct client *c, const char *desc)
{
	json_t *o = read_line(c);

	assert_non_null(error_text(o, "desc"));
	if (!strstr(error_text(o, "desc"), desc))
		fail_msg("'%s' not in '%s'", desc, error_text(o, "desc"));
	json_decref(o);
	WAIT_FOR(c->end);
	hang_up(c);
}

#endif
