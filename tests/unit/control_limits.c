/* SPDX-License-Identifier: MIT */
/*
 * Proves that a client of the control socket can harm only itself: too large, too deep, too many,
 * never read, incomplete, descriptors sent along, no descriptors left; and that the loop does not
 * run while nothing happens.
 */
#include "tests/unit/control.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>

static void a_request_of_100_mb_is_cut_at_the_limit(void **state)
{
	static const char *const begin[] = { "{\"execute\":\"", "{\"a\":1.", "{", "{\"a\":\"\\" };
	static char block[1 << 16];

	(void)state;
	memset(block, '1', sizeof block);
	for (size_t i = 0; i < ARRAY_SIZE(begin); i++) {
		struct client c;
		size_t sent = 0;
		ssize_t n;

		call(&c);
		say(&c, begin[i]);
		while (sent < 100 << 20) {
			n = send(c.fd, block, sizeof block, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN)
				break;
			sent += n > 0 ? (size_t)n : 0;
			ev_run(loop.ev, EVRUN_NOWAIT);
		}
		assert_true(sent < SERVER_REQUEST_MAX + (1 << 20));
		assert_refused(&c, "longer than 1048576 bytes");
		others_are_served();
	}
}

static void who_has_no_role_may_say_little(void **state)
{
	static char text[2 * SERVER_REQUEST_NO_ROLE_MAX];
	struct client c;

	(void)state;
	need_root();
	memset(text, ' ', sizeof text);
	text[0] = '{';
	call_as(&c, NOBODY, 0);
	json_decref(read_line(&c));
	say_bytes(&c, text, sizeof text);
	assert_refused(&c, "longer than 4096 bytes");
}

static void what_nests_too_deep_is_refused(void **state)
{
	static char text[100];
	struct client c;

	(void)state;
	memset(text, '[', sizeof text);
	call(&c);
	say_bytes(&c, text, sizeof text);
	assert_refused(&c, "deeper than 64");
	others_are_served();
}

static void too_many_requests_under_way_end_the_connection(void **state)
{
	static const char wait[] =
		"{\"execute\":\"vm-wait\",\"arguments\":{\"name\":\"a\",\"condition\":\"ip\"}}";
	struct client c;

	(void)state;
	call(&c);
	for (int i = 0; i < SERVER_IN_FLIGHT_MAX; i++)
		say(&c, wait);
	WAIT_FOR(n_kept == SERVER_IN_FLIGHT_MAX);
	/* a connection that has been freed can be used again */
	answer_kept(0);
	json_decref(read_line(&c));
	say(&c, wait);
	WAIT_FOR(n_kept == SERVER_IN_FLIGHT_MAX + 1);
	assert_false(c.end);
	say(&c, wait);
	assert_refused(&c, "more than 64 requests under way");
	WAIT_FOR(n_gone == SERVER_IN_FLIGHT_MAX);
	others_are_served();
}

/* Its requests wait until it reads; then all are answered. */
static void a_client_that_does_not_read_waits(void **state)
{
	static const char list[] = "{\"execute\":\"vm-list\"}\n";
	size_t before = mallinfo2().uordblks, sent = 0, answers = 0;
	struct client c;

	(void)state;
	call(&c);
	ev_io_stop(loop.ev, &c.io);
	list_bytes = 100 << 10;
	for (int i = 0; i < 10000; i++) {
		if (send(c.fd, list, sizeof list - 1, MSG_NOSIGNAL | MSG_DONTWAIT) ==
			sizeof list - 1)
			sent++;
		if (i % 16 == 0)
			settle();
	}
	assert_true(sent > 50);
	assert_true(mallinfo2().uordblks - before < 1 << 20);
	others_are_served();
	ev_io_start(loop.ev, &c.io);
	while (answers < sent) {
		json_t *o = read_line(&c);

		assert_int_equal(json_string_length(json_object_get(o, "return")), list_bytes);
		json_decref(o);
		answers++;
	}
	assert_int_equal(c.in.len, 0);
	hang_up(&c);
	WAIT_FOR(server_clients(server) == 0);
	settle();
	assert_true(mallinfo2().uordblks < before + (64 << 10));
}

static void a_subscriber_that_does_not_read_is_dropped(void **state)
{
	static char filler[64 << 10];
	struct client mute, reader;

	(void)state;
	memset(filler, 'x', sizeof filler - 1);
	call(&mute);
	call(&reader);
	json_decref(ask(&mute, "{\"execute\":\"subscribe\"}"));
	json_decref(ask(&reader, "{\"execute\":\"subscribe\"}"));
	ev_io_stop(loop.ev, &mute.io);
	for (int i = 0; i < 100; i++) {
		json_t *o;

		server_event(server, "VM_STATE", json_pack("{s:i,s:s}", "n", i, "x", filler));
		o = read_line(&reader);
		assert_int_equal(
			json_integer_value(json_object_get(json_object_get(o, "data"), "n")), i);
		json_decref(o);
		/* not at once: a client may be slow for a while */
		if (i < 32)
			assert_int_equal(server_clients(server), 2);
	}
	assert_int_equal(server_clients(server), 1);
	hang_up(&mute);
	hang_up(&reader);
}

/* The reply must have been sent before raw bytes follow it. */
static void a_stream_needs_a_client_that_reads(void **state)
{
	struct client c;

	(void)state;
	call(&c);
	ev_io_stop(loop.ev, &c.io);
	list_bytes = 150 << 10;
	say(&c, "{\"execute\":\"vm-list\"}{\"execute\":\"vm-list\"}"
		"{\"execute\":\"vm-console\",\"arguments\":{\"name\":\"a\"}}");
	WAIT_FOR(stream != -2);
	assert_int_equal(stream, -1);
	settle();
	assert_int_equal(server_clients(server), 0);
	hang_up(&c);
}

static void half_a_request_costs_nothing(void **state)
{
	struct client half[20];
	size_t before = mallinfo2().uordblks;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(half); i++) {
		call(&half[i]);
		say(&half[i], "{\"execute\":\"vm-li");
	}
	settle();
	others_are_served();
	assert_true(mallinfo2().uordblks - before < ARRAY_SIZE(half) * 4096);
	for (size_t i = 0; i < ARRAY_SIZE(half); i++) {
		json_decref(ask(&half[i], "st\"}"));
		hang_up(&half[i]);
	}
}

static void two_hundred_clients_at_once(void **state)
{
	static struct client c[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		call_on(&c[i], dial(path));
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		json_decref(read_line(&c[i]));
	assert_int_equal(server_clients(server), ARRAY_SIZE(c));
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		char text[64];

		snprintf(text, sizeof text, "{\"execute\":\"vm-list\",\"id\":%zu}\n", i);
		say(&c[i], text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		json_t *o = read_line(&c[i]);

		assert_int_equal(json_integer_value(json_object_get(o, "id")), i);
		json_decref(o);
		hang_up(&c[i]);
	}
	WAIT_FOR(server_clients(server) == 0);
}

static void places_are_few_but_not_for_root(void **state)
{
	struct client c[6], late;

	(void)state;
	need_root();
	server_reload(server, 6, 3);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		call_as(&c[i], i < 3 ? NOBODY : 1234, 0);
		json_decref(read_line(&c[i]));
	}
	call_as(&late, NOBODY, 0);
	assert_refused(&late, "too many clients of uid 65534");
	call_as(&late, 1235, 0);
	assert_refused(&late, "too many clients, 6 are connected");
	others_are_served();
	/* a client with a role replaces one without */
	call_as(&late, 2000, OPERATORS);
	json_decref(read_line(&late));
	hang_up(&late);
	WAIT_FOR(server_clients(server) == 5);
	/* a connection that has been freed can be used again */
	call_as(&late, 1235, 0);
	json_decref(read_line(&late));
	hang_up(&late);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		hang_up(&c[i]);
}

static size_t count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void thrown_descriptors_are_not_kept(void **state)
{
	char text[] = "{\"execute\":\"job-list\"}", control[CMSG_SPACE(3 * sizeof(int))] = "";
	struct iovec iov = { text, sizeof text - 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	int fd = memfd_create("thrown", MFD_CLOEXEC), fds[3] = { fd, fd, fd };
	struct client c;
	size_t before;

	(void)state;
	call(&c);
	before = count_descriptors();
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof fds);
	memcpy(CMSG_DATA(h), fds, sizeof fds);
	assert_int_equal(sendmsg(c.fd, &m, 0), sizeof text - 1);
	json_decref(read_line(&c));
	assert_int_equal(count_descriptors(), before);
	close(fd);
	hang_up(&c);
}

/* Sockets created beforehand, because clients and server share this process's descriptors. */
static int unconnected(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static void connect_late(struct client *c, int fd)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strcpy(a.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	call_on(c, fd);
}

static void count_turn(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)w, (void)revents;
	ev_break(ev, EVBREAK_ALL);
}

/* How often the loop woke up in this many seconds. */
static unsigned turns_in(double seconds)
{
	unsigned before = ev_iteration(loop.ev);
	ev_timer end;

	ev_timer_init(&end, count_turn, seconds, 0);
	ev_timer_start(loop.ev, &end);
	ev_run(loop.ev, 0);
	return ev_iteration(loop.ev) - before;
}

static void without_descriptors_clients_are_told(void **state)
{
	struct rlimit old, few;
	int fill[64], late[4];
	size_t n = 0;
	struct client c, stays;

	(void)state;
	call(&stays);
	for (size_t i = 0; i < ARRAY_SIZE(late); i++)
		late[i] = unconnected();
	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){ .rlim_cur = 60, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (n < ARRAY_SIZE(fill) && (fill[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	for (size_t i = 0; i < 3; i++) {
		connect_late(&c, late[i]);
		assert_refused(&c, "no descriptors left");
		/* its descriptor was returned to us: remove it again */
		fill[n++] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	json_decref(ask(&stays, "{\"execute\":\"job-list\"}"));
	assert_true(turns_in(0.2) <= 3);
	while (n > 0)
		close(fill[--n]);
	connect_late(&c, late[3]);
	json_decref(read_line(&c));
	hang_up(&c);
	hang_up(&stays);
	setrlimit(RLIMIT_NOFILE, &old);
}

static void without_any_descriptor_nothing_turns(void **state)
{
	struct rlimit old, none;
	int late[2] = { unconnected(), unconnected() };
	struct client c, stays;

	(void)state;
	call(&stays);
	getrlimit(RLIMIT_NOFILE, &old);
	none = (struct rlimit){ .rlim_cur = 3, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	connect_late(&c, late[0]);
	assert_true(turns_in(0.3) <= 4);
	json_decref(ask(&stays, "{\"execute\":\"job-list\"}"));
	setrlimit(RLIMIT_NOFILE, &old);
	json_decref(read_line(&c)); /* after a second */
	hang_up(&c);
	WAIT_FOR(server_clients(server) == 1);

	/* at once when another client disconnects */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	connect_late(&c, late[1]);
	settle();
	setrlimit(RLIMIT_NOFILE, &old);
	hang_up(&stays);
	settle(); /* does not wait */
	assert_true(c.in.len > 0);
	json_decref(read_line(&c));
	hang_up(&c);
}

static void nothing_turns_while_nothing_happens(void **state)
{
	struct client c[50];
	size_t before;

	(void)state;
	before = mallinfo2().uordblks;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		call(&c[i]);
		json_decref(ask(&c[i], "{\"execute\":\"vm-list\"}"));
		buf_clear(&c[i].in);
	}
	settle();
	assert_true(mallinfo2().uordblks - before < ARRAY_SIZE(c) * 1024);
	assert_true(turns_in(0.3) <= 2);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		hang_up(&c[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_of_100_mb_is_cut_at_the_limit),
		TEST(who_has_no_role_may_say_little),
		TEST(what_nests_too_deep_is_refused),
		TEST(too_many_requests_under_way_end_the_connection),
		TEST(a_client_that_does_not_read_waits),
		TEST(a_subscriber_that_does_not_read_is_dropped),
		TEST(a_stream_needs_a_client_that_reads),
		TEST(half_a_request_costs_nothing),
		TEST(two_hundred_clients_at_once),
		TEST(places_are_few_but_not_for_root),
		TEST(thrown_descriptors_are_not_kept),
		TEST(without_descriptors_clients_are_told),
		TEST(without_any_descriptor_nothing_turns),
		TEST(nothing_turns_while_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
