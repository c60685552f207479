/* SPDX-License-Identifier: MIT */
/*
 * F42, F44: proves that a session understands its QEMU however the bytes arrive, and that whatever
 * QEMU does (sends nothing, sends garbage, dies at any byte) each call is completed exactly once.
 * For excesses see qmp_limits.c.
 */
#include <malloc.h>

#include "qmp/calls.h"
#include "tests/unit/qmp_lab.h"

#define SAY(n, text) "{\"return\": \"" text "\", \"id\": $" #n "}\r\n"
#define EVENT(name) \
	"{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"" name "\"}\r\n"

static const struct {
	const char *name;
	struct step steps[LAB_STEPS];
	const char *calls; /* calls made at once, before ready */
	const char *log;
	double greeting_timeout;
} cases[] = {
	{ .name = "greeting only", .steps = { HELLO }, .calls = "", .log = "ready" },
	{ .name = "one call",
		.steps = { HELLO, { 2, SAY(1, "x") } },
		.calls = "a",
		.log = "ready a=\"x\"" },
	{ .name = "no greeting",
		.calls = "a b",
		.greeting_timeout = 0.05,
		.log = "a!unreachable b!unreachable closed!timeout" },
	{ .name = "greeting, then silence",
		.steps = { { 0, GREETING } },
		.calls = "a",
		.greeting_timeout = 0.05,
		.log = "a!unreachable closed!timeout" },
	{ .name = "no greeting, and the call was shorter",
		.calls = "a/20",
		.greeting_timeout = 0.1,
		.log = "a!timeout closed!timeout" },
	{ .name = "half a greeting",
		.steps = { { 0, "{\"QMP\": {" } },
		.calls = "a",
		.greeting_timeout = 0.05,
		.log = "a!unreachable closed!timeout" },
	{ .name = "event before the greeting",
		.steps = { { 0, EVENT("RESUME") GREETING }, { 1, OK(0) } },
		.calls = "",
		.log = "RESUME ready" },
	{ .name = "event between greeting and ready",
		.steps = { { 0, GREETING }, { 1, EVENT("STOP") OK(0) } },
		.calls = "",
		.log = "STOP ready" },
	{ .name = "reply before the greeting",
		.steps = { { 0, "{\"return\": {}, \"id\": 1}" GREETING }, { 1, OK(0) } },
		.calls = "",
		.log = "ready" },
	{ .name = "capabilities refused",
		.steps = { { 0, GREETING }, { 1, NO(0, "no") } },
		.calls = "a",
		.log = "a!unreachable closed!qemu" },
	{ .name = "second greeting",
		.steps = { HELLO, { 1, GREETING } },
		.calls = "",
		.log = "ready closed!qemu" },
	{ .name = "three replies in one write",
		.steps = { HELLO, { 4, SAY(1, "x") NO(2, "bad-luck") EVENT("STOP") SAY(3, "z") } },
		.calls = "a b c",
		.log = "ready a=\"x\" b!failed(bad-luck) STOP c=\"z\"" },
	{ .name = "answered out of order",
		.steps = { HELLO, { 4, SAY(3, "z") SAY(1, "x") SAY(2, "y") } },
		.calls = "a b c",
		.log = "ready c=\"z\" a=\"x\" b=\"y\"" },
	{ .name = "without line ends",
		.steps = { { 0, GREETING }, { 1, "{\"return\":{},\"id\":$0}" },
			{ 2, "{\"return\":1,\"id\":$1}{\"event\":\"E\"}" } },
		.calls = "a",
		.log = "ready a=1 E" },
	{ .name = "reply without id",
		.steps = { HELLO, { 2, "{\"return\": {}}" } },
		.calls = "a/300",
		.log = "ready a!timeout" },
	{ .name = "error without id",
		.steps = { HELLO, { 2, "{\"error\": {\"class\": \"GenericError\", "
				       "\"desc\": \"JSON parse error\"}}" SAY(1, "x") } },
		.calls = "a",
		.log = "ready a=\"x\"" },
	{ .name = "ids of nobody",
		.steps = { HELLO,
			{ 2, "{\"return\":{},\"id\":-1}{\"return\":{},\"id\":\"a\"}"
			     "{\"return\":{},\"id\":{}}{\"return\":{},\"id\":1e3}{\"return\":{},\"id\":99999999999}"
			     "{\"return\":{},\"id\":18446744073709551615}" SAY(1, "x") } },
		.calls = "a",
		.log = "ready a=\"x\"" },
	{ .name = "answered twice",
		.steps = { HELLO, { 2, SAY(1, "x") SAY(1, "y") EVENT("E") } },
		.calls = "a",
		.log = "ready a=\"x\" E" },
	{ .name = "capabilities answered twice",
		.steps = { { 0, GREETING }, { 1, OK(0) OK(0) EVENT("E") } },
		.calls = "",
		.log = "ready E" },
	{ .name = "too late",
		.steps = { HELLO, { 3, SAY(2, "y") } },
		.calls = "a/300 b",
		.log = "ready b=\"y\" a!timeout" },
	{ .name = "QEMU's classes",
		.steps = { HELLO,
			{ 2, "{\"error\":{\"class\":\"DeviceNotFound\",\"desc\":\"d\"},\"id\":$1}" },
			{ 3, "{\"error\":{\"class\":\"DeviceNotActive\",\"desc\":\"d\"},\"id\":$2}" },
			{ 4, "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"d\"},\"id\":$3}" },
			{ 5, "{\"error\":{},\"id\":$4}" } },
		.calls = "a b c d",
		.log = "ready a!not-found(d) b!wrong-state(d) c!failed(d) d!failed" },
	{ .name = "an event's name is no string",
		.steps = { HELLO, { 2, "{\"event\": 5}" } },
		.calls = "a",
		.log = "ready a!unreachable closed!qemu" },
	{ .name = "neither reply nor event",
		.steps = { HELLO, { 2, "{\"hello\": 5}" } },
		.calls = "a",
		.log = "ready a!unreachable closed!qemu" },
	{ .name = "an array",
		.steps = { HELLO, { 2, "[1]" } },
		.calls = "a",
		.log = "ready a!unreachable closed!qemu" },
	{ .name = "garbage",
		.steps = { HELLO, { 2, "qemu: oops\n" } },
		.calls = "a b",
		.log = "ready a!unreachable b!unreachable closed!qemu" },
	{ .name = "quit",
		.steps = { HELLO, { 2, OK(1) EVENT("SHUTDOWN") }, { 2, "" } },
		.calls = "quit",
		.log = "ready quit={} SHUTDOWN closed!unreachable" },
	{ .name = "quit without a reply",
		.steps = { HELLO, { 2, "" } },
		.calls = "quit",
		.log = "ready quit!unreachable closed!unreachable" },
	{ .name = "balloon without a driver",
		.steps = { HELLO, { 2, "{\"return\":[18446744073709551615,7],\"id\":$1}" } },
		.calls = "a",
		.log = "ready a=[1.8446744073709552e19,7]" },
	{ .name = "closes at once",
		.steps = { { 0, "" } },
		.calls = "a",
		.log = "a!unreachable closed!unreachable" },
};

static void run_case(size_t i, size_t chunk)
{
	double greeting_timeout =
		cases[i].greeting_timeout > 0 ? cases[i].greeting_timeout : LAB_SECONDS;
	struct lab lab;

	lab_init(&lab, cases[i].steps, chunk, SIZE_MAX, greeting_timeout);
	lab_call(&lab, cases[i].calls);
	lab_run_until(&lab, lab_count_words(cases[i].log));
	lab_settle(&lab);
	if (strcmp(lab.log.data, cases[i].log) != 0)
		fail_msg("%s (chunks of %zu): '%s', not '%s'", cases[i].name, chunk, lab.log.data,
			cases[i].log);
	lab_release(&lab);
}

static void whole_writes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		run_case(i, 0);
}

static void one_byte_per_turn(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		run_case(i, 1);
}

/* A command that changes something is up to QEMU, whether it answers in time or not. */
static void silence_is_no_refusal(void **state)
{
	static const struct {
		const char *command;
		bool may;
	} commands[] = { { "stop", true }, { "balloon", true }, { "query-status", false },
		{ "qom-get", false }, { "qom-set", true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct err e = ERR_INIT;
		struct calls l;
		struct call *c;

		calls_init(&l);
		c = calls_add(&l, commands[i].command, 10);
		c->outcome = CALL_EXPIRED;
		call_describe(c, "", &e);
		assert_int_equal(e.class, ERR_TIMEOUT);
		assert_int_equal(strstr(e.text, "may still take effect") != NULL, commands[i].may);
		calls_remove(&l, c);
		free(c);
	}
}

/* A dialogue in which everything occurs; QEMU dies after each of its bytes in turn. */
static void eof_at_every_byte(void **state)
{
	static const struct step talk[] = { HELLO, { 2, EVENT("STOP") SAY(1, "x") },
		{ 4, NO(3, "no") SAY(2, "y") EVENT("SHUTDOWN") }, { 4, "" }, { 0, NULL } };
	bool whole = false;
	size_t cuts = 0;

	(void)state;
	for (; !whole; cuts++) {
		unsigned closed = 0;
		struct lab lab;
		const char *at;

		lab_init(&lab, talk, cuts % 2 ? 0 : 7, cuts, LAB_SECONDS);
		lab_call(&lab, "a b c d");
		while (!lab.log.data || !strstr(lab.log.data, "closed!"))
			ev_run(lab.ev, EVRUN_ONCE);
		for (at = lab.log.data; (at = strstr(at, "closed!")); at++)
			closed++;
		assert_int_equal(closed, 1);
		assert_int_equal(lab.completed, 4);
		assert_non_null(strstr(lab.log.data, " closed!unreachable"));
		assert_non_null(strstr(lab.log.data, "d!unreachable"));
		whole = strstr(lab.log.data, "SHUTDOWN") != NULL;
		lab_release(&lab);
	}
	assert_true(cuts > 300);
}

/* We were stopped for longer than the deadline; the answer is in the socket: QEMU was not late. */
static void deadline_passes_while_we_are_away(void **state)
{
	static const struct step steps[] = { HELLO, { 0, NULL } };
	struct lab lab;
	char text[64];

	(void)state;
	lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
	lab_run_until(&lab, 1);
	lab_call(&lab, "a/30");
	snprintf(text, sizeof text, "{\"return\": 1, \"id\": %u}", (unsigned)lab.peer.ids[0] + 1);
	assert_true(send(lab.peer.fd, text, strlen(text), 0) > 0);
	usleep(60000);
	lab_run_until(&lab, 2);
	assert_string_equal(lab.log.data, "ready a=1");
	lab_release(&lab);
}

static void stop(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)w, (void)revents;
	ev_break(ev, EVBREAK_ALL);
}

static void idle_never_wakes(void **state)
{
	static const struct step steps[] = { HELLO, { 4, OK(1) OK(2) OK(3) }, { 0, NULL } };
	struct lab lab;
	ev_timer end;
	unsigned before;

	(void)state;
	lab_init(&lab, steps, 0, SIZE_MAX, 0.2);
	lab_call(&lab, "a/150 b/250 c/200");
	lab_run_until(&lab, 4);
	lab_settle(&lab);
	ev_timer_init(&end, stop, 0.4, 0);
	ev_timer_start(lab.ev, &end);
	before = ev_iteration(lab.ev);
	ev_run(lab.ev, 0);
	assert_int_equal(ev_iteration(lab.ev) - before, 1);
	lab_release(&lab);
}

static void idle_holds_little(void **state)
{
	static const struct step steps[] = { HELLO, { 2, OK(1) }, { 0, NULL } };
	enum { SESSIONS = 100 };
	static struct lab labs[SESSIONS];
	size_t before, held;

	(void)state;
	for (int i = 0; i < SESSIONS; i++) {
		lab_init(&labs[i], steps, 0, SIZE_MAX, LAB_SECONDS);
		lab_call(&labs[i], "a");
		lab_run_until(&labs[i], 2);
	}
	held = mallinfo2().uordblks;
	for (int i = 0; i < SESSIONS; i++) {
		qmp_close(labs[i].q);
		lab_settle(&labs[i]);
		labs[i].q = NULL;
	}
	before = mallinfo2().uordblks;
	if (held == 0)
		print_message("not measured: this malloc does not count\n");
	else
		print_message("an idle session holds %zu bytes\n", (held - before) / SESSIONS);
	assert_true(held - before < SESSIONS * 2048);
	assert_true(held == 0 || held > before);
	for (int i = 0; i < SESSIONS; i++)
		lab_release(&labs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_writes),
		cmocka_unit_test(one_byte_per_turn),
		cmocka_unit_test(silence_is_no_refusal),
		cmocka_unit_test(eof_at_every_byte),
		cmocka_unit_test(deadline_passes_while_we_are_away),
		cmocka_unit_test(idle_never_wakes),
		cmocka_unit_test(idle_holds_little),
	};

	return cmocka_run_group_tests_name("qmp/session", tests, NULL, NULL);
}
