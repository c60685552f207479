/* SPDX-License-Identifier: MIT */
/*
 * Proves the control socket's protocol with a real server and real clients: greeting, requests in
 * any chunks and any number, answers in order of completion with their ids, errors with class and
 * hint, events, streams, and clients that disconnect at any moment. Limits are tested in
 * control_limits.c, roles in control_roles.c.
 */
#include "tests/unit/control.h"

static void the_greeting_is_qmps(void **state)
{
	struct client c;
	json_t *o, *qmp;

	(void)state;
	call_on(&c, dial(path));
	o = read_line(&c);
	qmp = json_object_get(o, "QMP");
	assert_true(json_is_array(json_object_get(qmp, "capabilities")));
	assert_true(json_is_integer(json_object_get(
		json_object_get(json_object_get(qmp, "version"), "qemu"), "major")));
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(o, "vmkeep"), "version")),
		VMKEEP_VERSION);
	json_decref(o);
	o = ask(&c, "{\"execute\":\"qmp_capabilities\"}\n");
	assert_int_equal(json_object_size(json_object_get(o, "return")), 0);
	json_decref(o);
	o = ask(&c, "{\"execute\":\"query-schema\"}\n");
	assert_int_equal(json_array_size(json_object_get(json_object_get(o, "return"), "verbs")),
		api_verbs_n);
	json_decref(o);
	hang_up(&c);
}

static void a_request_may_come_in_any_pieces(void **state)
{
	static const char request[] = "{\"execute\": \"vm-set-memory\", \"id\": \"a}b\\\"\", "
				      "\"arguments\": {\"name\": \"w\", \"size\": \"1K\"}}\n";
	const size_t len = sizeof request - 1;
	struct client c;

	(void)state;
	call(&c);
	for (size_t cut = 0; cut <= len + 1; cut++) { /* len + 1: each byte by itself */
		json_t *o, *arguments;

		for (size_t i = 0; i < len;) {
			size_t n = cut > len ? 1 : i < cut ? cut : len - cut;

			say_bytes(&c, request + i, n);
			settle();
			i += n;
		}
		o = read_line(&c);
		arguments = json_object_get(json_object_get(o, "return"), "arguments");
		assert_string_equal(json_string_value(json_object_get(o, "id")), "a}b\"");
		assert_int_equal(json_integer_value(json_object_get(arguments, "size")), 1024);
		json_decref(o);
	}
	assert_int_equal(c.in.len, 0);
	hang_up(&c);
}

static void ids_come_back_as_they_were(void **state)
{
	static const char *const ids[] = { "1", "\"x\"", "null", "[1,{\"a\":2}]", "1.5", "false",
		"{}", "18446744073709551616", "\"\\u0000\"" };
	struct client c;

	(void)state;
	call(&c);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		char text[128];
		json_t *o,
			*id = json_loads(ids[i],
				JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);

		snprintf(text, sizeof text, "{\"execute\":\"job-list\",\"id\":%s}\n", ids[i]);
		o = ask(&c, text);
		assert_non_null(json_object_get(o, "return"));
		if (json_is_real(id))
			assert_true(
				json_number_value(json_object_get(o, "id")) == json_real_value(id));
		else
			assert_int_equal(json_typeof(json_object_get(o, "id")), json_typeof(id));
		json_decref(id);
		json_decref(o);
		snprintf(text, sizeof text, "{\"execute\":\"no-such\",\"id\":%s}\n", ids[i]);
		o = ask(&c, text);
		assert_non_null(json_object_get(o, "error"));
		assert_non_null(json_object_get(o, "id"));
		json_decref(o);
	}
	hang_up(&c);
}

static void answers_come_in_order_of_completion(void **state)
{
	static const int order[] = { 2, 0, 1 };
	struct client c;
	json_t *o;

	(void)state;
	call(&c);
	say(&c, "{\"execute\":\"vm-wait\",\"arguments\":{\"name\":\"a\",\"condition\":\"ip\"},\"id\":0}"
		"{\"execute\":\"vm-wait\",\"arguments\":{\"name\":\"a\",\"condition\":\"ip\"},\"id\":1}\n"
		"{\"execute\":\"vm-wait\",\"arguments\":{\"name\":\"a\",\"condition\":\"ip\"},\"id\":2}\r\n"
		"{\"execute\":\"job-list\",\"id\":3}\n");
	o = read_line(&c);
	assert_int_equal(json_integer_value(json_object_get(o, "id")), 3);
	json_decref(o);
	assert_int_equal(n_kept, 3);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		answer_kept((size_t)order[i]);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		o = read_line(&c);
		assert_int_equal(json_integer_value(json_object_get(o, "id")), order[i]);
		assert_int_equal(json_integer_value(json_object_get(o, "return")), order[i]);
		json_decref(o);
	}
	hang_up(&c);
	settle();
	assert_int_equal(n_gone, 0);
}

static void a_bad_request_is_answered_and_the_next_works(void **state)
{
	/* clang-format off */
	static const struct {
		const char *text, *desc, *hint;
	} rows[] = {
		{"{}",							  "a request needs a string \"execute\"",     NULL			   },
		{ "[]",							 "a request must be an object",		  NULL		       },
		{ "{\"execute\":7}",					    "a request needs a string \"execute\"",	   NULL			},
		{ "{\"execute\":\"vm-strat\"}",					"unknown verb 'vm-strat'",
			"did you mean 'vm-start'?"													},
		{ "{\"execute\":\"vm-list\\u0000x\"}",			       "unknown verb 'vm-list'",		 NULL		      },
		{ "{\"execute\":\"\\u001b[2J\xff\"}",			      "unknown verb",			      NULL			   },
		{ "{\"exec-oob\":\"vm-list\"}",					"unknown member 'exec-oob' in a request", NULL		       },
		{ "{\"execute\":\"vm-list\",\"arguments\":3}",		       "\"arguments\" is not an object",
			NULL															      },
		{ "{\"execute\":\"vm-list\",\"arguments\":{\"patern\":\"x\"}}",
			"vm-list: unknown argument 'patern'",								    "did you mean 'pattern'?"},
		{ "{\"execute\":\"vm-start\"}",					"vm-start: argument 'name' is missing",	NULL		     },
	};
	/* clang-format on */
	struct client c;

	(void)state;
	call(&c);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_t *o = ask(&c, rows[i].text);

		assert_string_equal(error_text(o, "class"), "Usage");
		if (!strstr(error_text(o, "desc"), rows[i].desc))
			fail_msg("'%s' not in '%s'", rows[i].desc, error_text(o, "desc"));
		if (rows[i].hint)
			assert_string_equal(error_text(o, "hint"), rows[i].hint);
		json_decref(o);
	}
	json_decref(ask(&c, "{\"execute\":\"job-list\"}\n"));
	hang_up(&c);
}

static void what_is_no_json_ends_the_connection(void **state)
{
	static const char *const rows[] = { "hello\n", "GET / HTTP/1.1\r\n", "{\"execute\" \"x\"}",
		"{\"a\":1,\"a\":2}", "{]}", "\x16\x03\x01" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct client c;
		json_t *o;

		call(&c);
		/* earlier requests are answered */
		say(&c, "{\"execute\":\"job-list\",\"id\":1}");
		say(&c, rows[i]);
		o = read_line(&c);
		assert_non_null(json_object_get(o, "return"));
		json_decref(o);
		o = read_line(&c);
		assert_string_equal(error_text(o, "class"), "Usage");
		json_decref(o);
		WAIT_FOR(c.end);
		hang_up(&c);
	}
	assert_int_equal(server_clients(server), 0);
}

static void events_go_to_who_asked(void **state)
{
	struct client all, next, none;
	json_t *o;

	(void)state;
	call(&all);
	call(&next);
	call(&none);
	json_decref(ask(&all, "{\"execute\":\"subscribe\"}"));
	json_decref(ask(&next, "{\"execute\":\"subscribe\",\"arguments\":{\"follow\":false}}"));
	for (int i = 0; i < 3; i++)
		server_event(server, "VM_STATE", json_pack("{s:i}", "n", i));
	for (int i = 0; i < 3; i++) {
		o = read_line(&all);
		assert_string_equal(json_string_value(json_object_get(o, "event")), "VM_STATE");
		assert_int_equal(
			json_integer_value(json_object_get(json_object_get(o, "data"), "n")), i);
		assert_true(json_is_integer(
			json_object_get(json_object_get(o, "timestamp"), "microseconds")));
		json_decref(o);
	}
	o = read_line(&next);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "data"), "n")), 0);
	json_decref(o);
	settle();
	assert_int_equal(next.in.len, 0);
	assert_int_equal(none.in.len, 0);
	hang_up(&all);
	hang_up(&next);
	hang_up(&none);
}

static void progress_goes_to_who_waits(void **state)
{
	struct client a, b;
	json_t *o;

	(void)state;
	call(&a);
	call(&b);
	say(&a, "{\"execute\":\"vm-wait\",\"arguments\":{\"name\":\"a\",\"condition\":\"ip\"}}");
	WAIT_FOR(n_kept == 1);
	request_event(kept[0], "JOB_PROGRESS", NULL);
	answer_kept(0);
	o = read_line(&a);
	assert_string_equal(json_string_value(json_object_get(o, "event")), "JOB_PROGRESS");
	json_decref(o);
	o = read_line(&a);
	assert_non_null(json_object_get(o, "return"));
	json_decref(o);
	assert_int_equal(b.in.len, 0);
	hang_up(&a);
	hang_up(&b);
}

/* Bytes sent early reach the console; the newline that ends the request does not. */
static void a_stream_takes_the_connection_over(void **state)
{
	struct client c, other;
	char got[16] = "";
	json_t *o;

	(void)state;
	call(&c);
	say(&c, "{\"execute\":\"vm-wait\",\"arguments\":{\"name\":\"a\",\"condition\":\"ip\"}}\n"
		"{\"execute\":\"vm-console\",\"arguments\":{\"name\":\"a\"}}\r\n\nroot\n{\"exe");
	o = read_line(&c);
	assert_non_null(json_object_get(o, "return"));
	json_decref(o);
	assert_true(stream >= 0);
	assert_int_equal(stream_leftover.len, strlen("\nroot\n{\"exe"));
	assert_memory_equal(stream_leftover.data, "\nroot\n{\"exe", stream_leftover.len);
	assert_int_equal(write(stream, "login: ", 7), 7);
	WAIT_FOR(c.in.len == 7);
	assert_memory_equal(c.in.data, "login: ", 7);
	say(&c, "joe");
	assert_int_equal(read(stream, got, sizeof got), 3);
	assert_string_equal(got, "joe");
	/* the client's other request has nobody to return to */
	WAIT_FOR(n_gone == 1);
	assert_int_equal(server_clients(server), 0);
	call(&other);
	json_decref(ask(&other, "{\"execute\":\"job-list\"}"));
	hang_up(&other);
	hang_up(&c);
}

static void a_client_may_leave_at_any_byte(void **state)
{
	static const char text[] =
		"{\"execute\":\"vm-wait\",\"arguments\":{\"name\":\"a\",\"condition\":\"ip\"}}"
		"{\"execute\":\"vm-list\"}";

	(void)state;
	for (size_t n = 0; n <= sizeof text - 1; n++) {
		struct client c;

		call(&c);
		say_bytes(&c, text, n);
		if (n % 2) /* with and without the data having been read before */
			settle();
		hang_up(&c);
		WAIT_FOR(server_clients(server) == 0);
		settle();
		assert_int_equal(n_gone, n_kept);
	}
	assert_true(n_gone > 0);
}

static void a_handler_need_not_care_that_its_client_went(void **state)
{
	struct client c;

	(void)state;
	careless = true;
	call(&c);
	say(&c, "{\"execute\":\"vm-wait\",\"arguments\":{\"name\":\"a\",\"condition\":\"ip\"}}"
		"{\"execute\":\"vm-wait\",\"arguments\":{\"name\":\"b\",\"condition\":\"ip\"}}");
	WAIT_FOR(n_kept == 2);
	hang_up(&c);
	WAIT_FOR(server_clients(server) == 0);
	/* before and after the connection is freed */
	request_event(kept[0], "JOB_PROGRESS", NULL);
	answer_kept(0);
	settle();
	request_event(kept[1], "JOB_PROGRESS", NULL);
	assert_int_equal(request_stream(kept[1], NULL, &stream_leftover, &stream_hold), -1);
	kept[1] = NULL;
}

static size_t n_callbacks;

static void leave_nothing(void *data)
{
	struct request **r = data;

	n_callbacks++;
	request_return(*r, NULL);
	*r = NULL;
}

static void a_request_may_be_completed_while_its_client_goes(void **state)
{
	struct client c;

	(void)state;
	call(&c);
	say(&c, "{\"execute\":\"vm-wait\",\"arguments\":{\"name\":\"a\",\"condition\":\"ip\"}}"
		"{\"execute\":\"vm-wait\",\"arguments\":{\"name\":\"b\",\"condition\":\"ip\"}}");
	WAIT_FOR(n_kept == 2);
	request_on_gone(kept[0], leave_nothing, &kept[0]);
	request_on_gone(kept[1], leave_nothing, &kept[1]);
	n_callbacks = 0;
	hang_up(&c);
	WAIT_FOR(n_callbacks == 2);
}

static void the_server_may_end_with_requests_under_way(void **state)
{
	struct client c;

	(void)state;
	call(&c);
	say(&c, "{\"execute\":\"vm-wait\",\"arguments\":{\"name\":\"a\",\"condition\":\"ip\"}}");
	WAIT_FOR(n_kept == 1);
	server_free(server);
	server = NULL;
	assert_int_equal(n_gone, 1);
	WAIT_FOR(c.end);
	hang_up(&c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_greeting_is_qmps),
		TEST(a_request_may_come_in_any_pieces),
		TEST(ids_come_back_as_they_were),
		TEST(answers_come_in_order_of_completion),
		TEST(a_bad_request_is_answered_and_the_next_works),
		TEST(what_is_no_json_ends_the_connection),
		TEST(events_go_to_who_asked),
		TEST(progress_goes_to_who_waits),
		TEST(a_stream_takes_the_connection_over),
		TEST(a_client_may_leave_at_any_byte),
		TEST(a_handler_need_not_care_that_its_client_went),
		TEST(a_request_may_be_completed_while_its_client_goes),
		TEST(the_server_may_end_with_requests_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
