/* SPDX-License-Identifier: MIT */
/*
 * F42, F44: proves that a QEMU that sends too much, or reads too little, costs at most its own
 * session: floods, endless replies, more calls than it reads.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "qmp/rate.h"
#include "tests/unit/qmp_lab.h"

#define SAY(n, text) "{\"return\": \"" text "\", \"id\": $" #n "}\r\n"

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

/* However much is in the socket, other watchers are served in between; and nothing is lost. */
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

/* A nearly stopped clock: everything is read within one second, however busy the machine. */
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

/* What a healthy QEMU never sends ends its session, and no other. */
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
		alarm((unsigned)LAB_SECONDS); /* the lab's own timeout uses the stopped clock */
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

/* A QEMU that does not read: what does not fit into its socket waits, times out and is then never
 * sent. */
static void a_deaf_qemu(void **state)
{
	static const struct step steps[] = { HELLO, { 0, NULL } };
	enum { CALLS = 200 };
	struct lab lab;
	static char big[400000]; /* more than the socket holds: the first one is sent partially */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_does_not_hog_the_loop),
		cmocka_unit_test(a_flood_ends_the_session),
		cmocka_unit_test(rates),
		cmocka_unit_test(large_replies),
		cmocka_unit_test(many_pipelined_calls),
		cmocka_unit_test(a_deaf_qemu),
	};

	return cmocka_run_group_tests_name("qmp/session, limits", tests, NULL, NULL);
}
