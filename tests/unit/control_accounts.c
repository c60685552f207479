/* SPDX-License-Identifier: MIT */
/*
 * Proves that the resources of a local user are counted over all connections of that user:
 * requests, jobs, streams, memory; that the user who holds most pays; and that others are still
 * served.
 */
#include "tests/unit/control.h"

#include <malloc.h>

static void jobs_are_bounded_by_role(void **state)
{
	static const struct {
		uid_t uid;
		gid_t group;
		unsigned begun, refused;
	} cases[] = { { NOBODY, 0, 15, 16 }, { 2000, OPERATORS, 31, 32 }, { 0, 0, 100000, 0 } };
	static const char start[] = "{\"execute\":\"vm-start\",\"arguments\":{\"name\":\"his\"}}";
	struct client c;
	json_t *o;

	(void)state;
	need_root();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		call_as(&c, cases[i].uid, cases[i].group);
		json_decref(read_line(&c));
		vm_jobs = cases[i].begun;
		o = ask(&c, start);
		assert_non_null(json_object_get(o, "return"));
		json_decref(o);
		vm_jobs = cases[i].refused;
		o = cases[i].refused ? ask(&c, start) : NULL;
		if (o) {
			assert_string_equal(error_text(o, "class"), "NoResources");
			assert_non_null(strstr(error_text(o, "desc"), "jobs for 'his'"));
		}
		json_decref(o);
		hang_up(&c);
	}
}

static void requests_of_a_user_are_counted_together(void **state)
{
	static const char wait[] =
		"{\"execute\":\"vm-wait\",\"arguments\":{\"name\":\"a\",\"condition\":\"ip\"}}";
	struct client c[8], other;
	json_t *o;

	(void)state;
	need_root();
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		call_as(&c[i], 2000, VIEWERS);
		json_decref(read_line(&c[i]));
		for (size_t k = 0; i < 7 && k < (i < 6 ? 10 : 4); k++)
			say(&c[i], wait);
	}
	WAIT_FOR(n_kept == 64);
	o = ask(&c[7], wait);
	assert_non_null(strstr(error_text(o, "desc"), "64 requests of uid 2000 are under way"));
	json_decref(o);
	/* this affects neither other users nor root */
	call_as(&other, 2001, VIEWERS);
	json_decref(read_line(&other));
	json_decref(ask(&other, "{\"execute\":\"vm-list\"}"));
	others_are_served();
	answer_kept(0);
	json_decref(read_line(&c[0]));
	say(&c[7], wait);
	WAIT_FOR(n_kept == 65);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		hang_up(&c[i]);
	hang_up(&other);
	WAIT_FOR(server_clients(server) == 0);
	settle();
	assert_null(accounts.first);
}

/* A few per user at a time, and a few over all users; further ones wait, but not root's. */
static void programs_take_turns(void **state)
{
	static const char check[] = "{\"execute\":\"vm-check\"}\n";
	static const struct {
		uid_t uid;
		gid_t group;
		size_t begun; /* at that point, over all users */
	} who[] = { { 2000, VIEWERS, 2 }, { 2001, VIEWERS, 4 }, { 2002, VIEWERS, 4 },
		{ 0, 0, 14 } };
	struct client c[ARRAY_SIZE(who)];

	(void)state;
	need_root();
	for (size_t i = 0; i < ARRAY_SIZE(who); i++) {
		call_as(&c[i], who[i].uid, who[i].group);
		json_decref(read_line(&c[i]));
		for (int k = 0; k < 10; k++)
			say(&c[i], check);
		WAIT_FOR(n_kept == who[i].begun);
		settle();
		assert_int_equal(n_kept, who[i].begun);
		/* verbs that run no programs are not delayed */
		json_decref(ask(&c[i], "{\"execute\":\"vm-list\"}"));
	}
	answer_kept(0);
	WAIT_FOR(n_kept == 15);
	/* a client that disconnects makes room, and its waiting requests are dropped */
	hang_up(&c[0]);
	WAIT_FOR(n_kept == 17);
	/* all others are served, four at a time */
	for (size_t i = 1; i < 33; i++) {
		WAIT_FOR(n_kept > i);
		assert_true(accounts.programs <= ACCOUNTS_PROGRAMS_MAX);
		if (kept[i])
			answer_kept(i);
	}
	for (size_t i = 1; i < ARRAY_SIZE(who); i++)
		hang_up(&c[i]);
	WAIT_FOR(server_clients(server) == 0);
	settle();
	assert_int_equal(accounts.programs, 0);
	assert_null(accounts.first);
}

static void what_the_slow_leave_is_counted_together(void **state)
{
	static const char list[] = "{\"execute\":\"vm-list\"}\n";
	static struct client slow[6][20], fair;
	size_t before = mallinfo2().uordblks;

	(void)state;
	need_root();
	list_bytes = 200 << 10;
	for (size_t u = 0; u < 6; u++)
		for (size_t i = 0; i < ARRAY_SIZE(slow[u]); i++) {
			call_as(&slow[u][i], (uid_t)(3000 + u), VIEWERS);
			json_decref(read_line(&slow[u][i]));
			ev_io_stop(loop.ev, &slow[u][i].io);
			for (int k = 0; k < 4; k++)
				send(slow[u][i].fd, list, sizeof list - 1,
					MSG_NOSIGNAL | MSG_DONTWAIT);
			settle();
			assert_true(accounts.bytes <= ACCOUNTS_BYTES_MAX);
		}
	assert_true(accounts.bytes > 1 << 20);
	for (const struct account *a = accounts.first; a; a = a->next)
		assert_true(a->bytes <= account_bounds(API_ROLE_VIEW)->bytes);
	assert_true(mallinfo2().uordblks - before < (size_t)2 * ACCOUNTS_BYTES_MAX);
	/* a user who holds little is served all the same */
	call_as(&fair, 4000, VIEWERS);
	json_decref(read_line(&fair));
	for (int i = 0; i < 20; i++)
		json_decref(ask(&fair, list));
	hang_up(&fair);
	for (size_t u = 0; u < 6; u++)
		for (size_t i = 0; i < ARRAY_SIZE(slow[u]); i++)
			hang_up(&slow[u][i]);
	WAIT_FOR(server_clients(server) == 0);
	settle();
	assert_int_equal(accounts.bytes, 0);
	assert_int_equal(accounts.clients, 0);
	assert_null(accounts.first);
}

static void streams_are_counted(void **state)
{
	static const char console[] =
		"{\"execute\":\"vm-console\",\"arguments\":{\"name\":\"his\"}}";
	struct hold *hold[8];
	struct client c[10];
	int fd[8];
	json_t *o;

	(void)state;
	need_root();
	server_reload(server, 0, 9);
	for (size_t i = 0; i < 8; i++) {
		call_as(&c[i], NOBODY, 0);
		json_decref(read_line(&c[i]));
		stream = -2;
		json_decref(ask(&c[i], console));
		assert_true(stream >= 0);
		fd[i] = stream;
		hold[i] = stream_hold;
		hold_stream(hold[i], NULL, NULL);
	}
	stream_hold = NULL;
	stream = -2;
	call_as(&c[8], NOBODY, 0);
	json_decref(read_line(&c[8]));
	o = ask(&c[8], console);
	assert_non_null(strstr(error_text(o, "desc"), "too many streams of uid 65534, 8 are open"));
	json_decref(o);
	assert_int_equal(stream, -1);
	/* it still counts as a connection, and a tenth one is refused */
	json_decref(ask(&c[8], "{\"execute\":\"query-version\"}"));
	call_as(&c[9], NOBODY, 0);
	assert_refused(&c[9], "too many clients of uid 65534, 9 are connected");
	close(fd[0]);
	hold_free(hold[0]);
	call_as(&c[9], NOBODY, 0);
	json_decref(read_line(&c[9]));
	json_decref(ask(&c[9], console));
	assert_true(stream >= 0);
	for (size_t i = 1; i < 8; i++) {
		close(fd[i]);
		hold_free(hold[i]);
	}
	for (size_t i = 0; i < 10; i++)
		hang_up(&c[i]);
}

static void a_higher_role_finds_a_place(void **state)
{
	struct client c[6], late;

	(void)state;
	need_root();
	server_reload(server, 6, 4);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		call_as(&c[i], i < 2 ? 3000 : 3001, VIEWERS);
		json_decref(read_line(&c[i]));
	}
	call_as(&late, 4000, VIEWERS);
	assert_refused(&late, "too many clients, 6 are connected");
	/* an operator replaces a viewer, of the user with most connections */
	call_as(&late, 4000, OPERATORS);
	json_decref(read_line(&late));
	settle();
	for (size_t i = 0; i < 2; i++)
		assert_false(c[i].end);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		hang_up(&c[i]);
	hang_up(&late);
}

static void an_id_is_short(void **state)
{
	static char text[3000];
	struct client c;
	json_t *o;

	(void)state;
	call(&c);
	snprintf(text, sizeof text, "{\"execute\":\"vm-list\",\"id\":\"%02000d\"}", 0);
	o = ask(&c, text);
	assert_non_null(
		strstr(error_text(o, "desc"), "id of a request may have at most 1024 bytes"));
	assert_null(json_object_get(o, "id"));
	json_decref(o);
	hang_up(&c);
}

static void an_answer_too_long_is_an_error(void **state)
{
	struct client c;
	json_t *o;

	(void)state;
	call(&c);
	list_bytes = SERVER_OUTPUT_MAX;
	o = ask(&c, "{\"execute\":\"vm-list\",\"id\":7}");
	assert_non_null(strstr(error_text(o, "desc"), "longer than"));
	assert_int_equal(json_integer_value(json_object_get(o, "id")), 7);
	json_decref(o);
	others_are_served();
	hang_up(&c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(jobs_are_bounded_by_role),
		TEST(requests_of_a_user_are_counted_together),
		TEST(programs_take_turns),
		TEST(what_the_slow_leave_is_counted_together),
		TEST(streams_are_counted),
		TEST(a_higher_role_finds_a_place),
		TEST(an_id_is_short),
		TEST(an_answer_too_long_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
