/* SPDX-License-Identifier: MIT */
/*
 * F42, F44: proves that a session understands its QEMU however the bytes come, and that whatever QEMU does
 * (says nothing, says nonsense, floods, dies at any byte) each call is completed exactly once.
 */
#include <malloc.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "qmp/calls.h"
#include "qmp/rate.h"
#include "tests/unit/qmp_lab.h"

#define SAY(n, text) "{\"return\": \"" text "\", \"id\": $" #n "}\r\n"
#define EVENT(name) \
	"{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"" name "\"}\r\n"

static const struct {
	const char *name;
	struct step steps[LAB_STEPS];
	const char *calls; /* made at once, before ready */
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

/* A command that changes something is in QEMU's hands, whether it answers in time or not. */
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

/* A talk in which everything occurs; QEMU dies after each of its bytes in turn. */
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

struct turns {
	ev_check check;
	struct lab *lab;
	unsigned words, most, n;
};

static void on_turn(struct ev_loop *ev, ev_check *w, int revents)
{
	struct turns *t = container_of(w, struct turns, check);
	unsigned words = t->lab->words - t->words;

	(void)ev, (void)revents;
	t->words = t->lab->words;
	t->most = words > t->most ? words : t->most;
	t->n++;
}

/* Whatever lies in the socket, others in the loop get their turn; and nothing is lost. */
static void a_flood_does_not_hog_the_loop(void **state)
{
	static const struct step steps[] = { HELLO, { 0, NULL } };
	enum { EVENTS = QMP_RATE_UNASKED };
	struct turns turns = { 0 };
	struct lab lab;

	(void)state;
	lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
	lab_run_until(&lab, 1);
	turns.lab = &lab;
	turns.words = 1;
	ev_check_init(&turns.check, on_turn);
	ev_check_start(lab.ev, &turns.check);
	for (int i = 0; i < EVENTS; i++)
		peer_send(&lab.peer, "{\"event\":\"E\"}");
	lab_run_until(&lab, 1 + EVENTS);
	assert_true(turns.most <= 128);
	assert_true(turns.n >= EVENTS / 128);
	ev_check_stop(lab.ev, &turns.check);
	lab_release(&lab);
}

/* While it all but stands, whatever is read is read within one second, however busy the machine. */
static struct timespec standing;

int clock_gettime(clockid_t which, struct timespec *t)
{
	if (which == CLOCK_MONOTONIC && standing.tv_sec) {
		standing.tv_nsec += 10;
		*t = standing;
		return 0;
	}
	return (int)syscall(SYS_clock_gettime, which, t);
}

/* What a QEMU in order never says ends its session, and nobody else's. */
static void a_flood_ends_the_session(void **state)
{
	static const struct step steps[] = { HELLO, { 0, NULL } };
	static const char *const floods[] = { "{\"event\":\"E\"}", "{\"return\":{}}",
		"{\"return\":{},\"id\":-1}", "{\"error\":{},\"id\":\"x\"}", NULL /* bytes */ };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(floods); i++) {
		enum { BIG = QMP_REPLY_MAX / 2 };
		struct lab lab;
		char *big = NULL;

		lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
		lab.jobs_only = true;
		lab_call(&lab, "waits");
		lab_run_until(&lab, 1);
		alarm((unsigned)LAB_SECONDS); /* the lab's own guard stands too */
		clock_gettime(CLOCK_MONOTONIC, &standing);
		standing.tv_sec++;
		standing.tv_nsec = 0;
		if (!floods[i]) {
			big = xcalloc(1, BIG + 1);
			memset(big, ' ', BIG);
		}
		for (int n = 0; big ? n <= QMP_RATE_BYTES / BIG : n <= QMP_RATE_UNASKED; n++)
			peer_send(&lab.peer, big ? big : floods[i]);
		lab_run_until(&lab, 3);
		standing = (struct timespec){ 0 };
		alarm(0);
		assert_string_equal(lab.log.data, "ready waits!unreachable closed!qemu");
		free(big);
		lab_release(&lab);
	}
}

static void rates(void **state)
{
	struct rate r = { 0 };

	(void)state;
	for (double now = 10; now < 13; now++) {
		assert_null(rate_count(&r, now, QMP_RATE_UNASKED, 0));
		assert_null(rate_count(&r, now + 0.9, 0, QMP_RATE_BYTES));
	}
	assert_non_null(rate_count(&r, 12.95, 1, 0));
	assert_null(rate_count(&r, 13, 0, QMP_RATE_BYTES));
	assert_string_equal(rate_count(&r, 13.5, 0, 1), "bytes");
}

static void large_replies(void **state)
{
	static const struct step steps[] = { HELLO, { 0, NULL } };

	(void)state;
	for (int over = 0; over < 2; over++) {
		struct lab lab;
		char *text;

		lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
		lab_call(&lab, "a b");
		lab_run_until(&lab, 1);
		while (lab.peer.commands < 3)
			ev_run(lab.ev, EVRUN_ONCE);
		text = xcalloc(1, QMP_REPLY_MAX);
		memset(text, 'x', QMP_REPLY_MAX - (over ? 1 : 100));
		peer_send(&lab.peer, "{\"id\": $1, \"return\": \"");
		peer_send(&lab.peer, text);
		peer_send(&lab.peer, "\"}\r\n" SAY(2, "y"));
		lab_run_until(&lab, 3);
		lab_settle(&lab);
		assert_string_equal(
			lab.log.data, over ? "ready a!unreachable b!unreachable closed!qemu"
					   : "ready a=... b=\"y\"");
		free(text);
		lab_release(&lab);
	}
}

static void many_pipelined_calls(void **state)
{
	static const struct step steps[] = { HELLO, { 0, NULL } };
	struct lab lab;

	(void)state;
	lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
	for (int i = 0; i < QMP_CALLS_MAX + 3; i++)
		lab_call(&lab, i < QMP_CALLS_MAX ? "a" : "over");
	lab_run_until(&lab, 4);
	assert_non_null(
		strstr(lab.log.data, "over!no-resources over!no-resources over!no-resources"));
	while (lab.peer.commands < 1 + QMP_CALLS_MAX)
		ev_run(lab.ev, EVRUN_ONCE);
	for (int i = 1; i <= QMP_CALLS_MAX; i++)
		buf_printf(&lab.peer.out, "{\"return\":%d,\"id\":%lld}", i,
			(long long)lab.peer.ids[i]);
	ev_io_start(lab.ev, &lab.peer.writable);
	lab_run_until(&lab, 4 + QMP_CALLS_MAX);
	assert_non_null(strstr(lab.log.data, "a=1 a=2 a=3"));
	assert_non_null(strstr(lab.log.data, " a=256"));
	lab_call(&lab, "again");
	while (lab.peer.commands < 2 + QMP_CALLS_MAX)
		ev_run(lab.ev, EVRUN_ONCE);
	lab_release(&lab);
}

/* QEMU that does not read: what its socket does not take waits, expires and is then never sent. */
static void a_deaf_qemu(void **state)
{
	static const struct step steps[] = { HELLO, { 0, NULL } };
	enum { CALLS = 200 };
	struct lab lab;
	static char big[400000]; /* more than the socket holds: the first goes out in part */
	struct peer *p = &lab.peer;

	(void)state;
	memset(big, 'x', sizeof big);
	lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
	lab_run_until(&lab, 1);
	ev_io_stop(lab.ev, &p->readable);
	for (int i = 0; i < CALLS; i++) {
		struct lab_call *call = xcalloc(1, sizeof *call);

		call->lab = &lab;
		lab.calls++;
		qmp_call(lab.q, "big", json_pack("{s:s%}", "a", big, i ? 8192 : sizeof big), -1,
			0.05, lab_reply, call);
	}
	lab_run_until(&lab, 1 + CALLS);
	lab_call(&lab, "last");
	ev_io_start(lab.ev, &p->readable);
	while ((unsigned)p->ids[p->commands - 1] != (unsigned)p->ids[0] + CALLS + 1)
		ev_run(lab.ev, EVRUN_ONCE);
	assert_in_range(p->commands, 3, CALLS / 2);
	lab_release(&lab);
}

/* We were stopped for longer than the deadline; the answer lies in the socket: QEMU was not late.
 */
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
		cmocka_unit_test(a_flood_does_not_hog_the_loop),
		cmocka_unit_test(a_flood_ends_the_session),
		cmocka_unit_test(rates),
		cmocka_unit_test(large_replies),
		cmocka_unit_test(many_pipelined_calls),
		cmocka_unit_test(a_deaf_qemu),
		cmocka_unit_test(deadline_passes_while_we_are_away),
		cmocka_unit_test(idle_never_wakes),
		cmocka_unit_test(idle_holds_little),
	};

	return cmocka_run_group_tests_name("qmp/session", tests, NULL, NULL);
}
