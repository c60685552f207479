/* SPDX-License-Identifier: MIT */
/*
 * F46: the agent protocol with a guest that lies: mute, late, with a stale sync, flooding, with
 * invalid bytes, with endless nesting. Each call ends once, in time and within its memory limit,
 * and the next call to an agent that has become honest is answered correctly. A command that might
 * take effect late is never sent to an agent that did not answer the sync.
 */
#include <math.h>
#include <sys/resource.h>

#include "tests/unit/agent_lab.h"

/* --- guests --- */

static void honest(struct lab *lab, const char *command, json_int_t id)
{
	if (id >= 0)
		say_sync(lab, id);
	else if (streq(command, "guest-bad"))
		say(lab,
			"{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\\u001b[31m\"}}\n");
	else
		say(lab, "{\"return\": {\"a\": 1}}\n");
}

static void mute(struct lab *lab, const char *command, json_int_t id)
{
	(void)lab, (void)command, (void)id;
}

static void other_sync(struct lab *lab, const char *command, json_int_t id)
{
	(void)command;
	say_sync(lab, id + 1);
	say(lab, "{\"return\": \"mine\"}\n");
}

static void mute_after_sync(struct lab *lab, const char *command, json_int_t id)
{
	(void)command;
	if (id >= 0)
		say_sync(lab, id);
}

static void leftovers(struct lab *lab, const char *command, json_int_t id)
{
	/* half an answer, complete ones, a stale sync, and marks in between */
	if (id >= 0)
		say(lab,
			"{\"return\": \"begun } \xff\xff{\"return\": 5}\n{\"return\": 6}\xff[]\xff\"\xff");
	honest(lab, command, id);
}

static void floods_first(struct lab *lab, const char *command, json_int_t id)
{
	(void)command, (void)id;
	lab->flood = 100 << 20;
	ev_io_start(lab->ev, &lab->writable);
}

static void floods_answer(struct lab *lab, const char *command, json_int_t id)
{
	(void)command;
	if (id >= 0) {
		say_sync(lab, id);
		return;
	}
	say(lab, "{\"return\": \"");
	lab->flood = 100 << 20;
}

static void bad_utf8(struct lab *lab, const char *command, json_int_t id)
{
	(void)command;
	if (id >= 0)
		say_sync(lab, id);
	else
		say(lab, "{\"return\": \"a\x80\xff"
			 "b\"}\n");
}

static void deep(struct lab *lab, const char *command, json_int_t id)
{
	(void)command;
	if (id >= 0) {
		say_sync(lab, id);
		return;
	}
	for (int i = 0; i < 1000; i++)
		say(lab, "[");
}

static void neither(struct lab *lab, const char *command, json_int_t id)
{
	(void)command;
	if (id >= 0)
		say_sync(lab, id);
	else
		say(lab, "{\"event\": \"HELLO\"}\n");
}

static void hangs_up(struct lab *lab, const char *command, json_int_t id)
{
	(void)command, (void)id;
	shutdown(lab->fd, SHUT_RDWR);
}

/* --- tests --- */

static void answers_and_errors(void **state)
{
	struct lab lab;

	(void)state;
	setup(&lab, honest);
	call(&lab, "guest-ping", patience);
	call(&lab, "guest-bad", patience);
	call(&lab, "guest-ping", patience);
	run(&lab);
	expect(&lab, "{\"a\":1};the guest agent refused guest-bad: no\\x1b[31m;{\"a\":1};");
	teardown(&lab);
}

/* Then it becomes honest, on the same connection. */
static void lies_end(void **state)
{
	static const struct {
		const char *name;
		guest_fn *guest;
		const char *told;
		unsigned commands; /* received by the guest */
		bool late;	   /* ends by its deadline */
	} rows[] = {
		{ "mute", mute, "the guest agent does not answer: guest-x was not sent in N s;", 0,
			true },
		{ "another sync", other_sync,
			"the guest agent does not answer: guest-x was not sent in N s;", 0, true },
		{ "floods before the sync", floods_first,
			"the guest agent does not answer: guest-x was not sent in N s;", 0, true },
		{ "mute after the sync", mute_after_sync,
			"the guest agent did not finish guest-x within N s, and may still complete it;",
			1, true },
		{ "leftovers", leftovers, "{\"a\":1};", 1, false },
		{ "floods in its answer", floods_answer,
			"the guest agent's answer to guest-x: message is longer than 3145728 bytes;",
			1, false },
		{ "no UTF-8", bad_utf8,
			"\"a\xef\xbf\xbd\xef\xbf\xbd"
			"b\";",
			1, false },
		{ "deep", deep,
			"the guest agent's answer to guest-x: message is nested deeper than 64;", 1,
			false },
		{ "neither result nor error", neither,
			"the guest agent's answer to guest-x: neither a result nor an error;", 1,
			false },
	};
	struct rusage before, after;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct lab lab;
		double begin;

		print_message("%s\n", rows[i].name);
		setup(&lab, rows[i].guest);
		getrusage(RUSAGE_SELF, &before);
		call(&lab, "guest-x", rows[i].late ? patience : GUARD_SECONDS);
		begin = ev_time();
		run(&lab);
		getrusage(RUSAGE_SELF, &after);
		expect(&lab, rows[i].told);
		assert_int_equal(lab.commands, rows[i].commands);
		if (rows[i].late)
			assert_true(ev_time() - begin >= patience - 0.05);
		assert_true(after.ru_maxrss - before.ru_maxrss < 32 << 10); /* KiB */

		/* the next sync drops what is still in transit */
		lab.flood = 0;
		lab.guest = honest;
		call(&lab, "guest-y", GUARD_SECONDS);
		run(&lab);
		expect(&lab, "{\"a\":1};");
		teardown(&lab);
	}
}

static json_int_t late_id;

static void say_late(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev, (void)revents;
	say_sync(w->data, late_id);
	((struct lab *)w->data)->guest = honest;
}

static void late(struct lab *lab, const char *command, json_int_t id)
{
	(void)command;
	late_id = id;
	lab->late.data = lab;
	ev_timer_init(&lab->late, say_late, patience * 1.5, 0);
	ev_timer_start(lab->ev, &lab->late);
}

/* The answer to an abandoned call arrives before that to the next one, and is not taken for it. */
static void late_answer(void **state)
{
	struct lab lab;

	(void)state;
	setup(&lab, late);
	call(&lab, "guest-x", patience);
	run(&lab);
	expect(&lab, "the guest agent does not answer: guest-x was not sent in N s;");
	/* an agent that wakes up answers everything that it was sent in the meantime, in order */
	lab.guest = mute;
	call(&lab, "guest-y", patience);
	run(&lab);
	expect(&lab, "the guest agent does not answer: guest-y was not sent in N s;");
	call(&lab, "guest-z", patience);
	run(&lab);
	expect(&lab, "{\"a\":1};");
	assert_int_equal(lab.commands, 1);
	teardown(&lab);
}

/* A long command delays others no longer than their own timeout, and their errors say why. */
static void one_at_a_time(void **state)
{
	struct lab lab;

	(void)state;
	setup(&lab, mute_after_sync);
	call(&lab, "guest-fstrim", patience * 3);
	call(&lab, "guest-ping", patience);
	run(&lab);
	expect(&lab,
		"the guest agent is busy with other commands: guest-ping was not sent;"
		"the guest agent did not finish guest-fstrim within N s, and may still complete it;");
	for (int i = 0; i < AGENT_CALLS_MAX + 1; i++)
		call(&lab, "guest-ping", patience);
	run(&lab);
	teardown(&lab);
}

static void say_at_last(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev, (void)revents;
	say(w->data, "{\"return\": {\"a\": 1}}\n");
}

/* Is paused when it has the command, and continues after the deadline. */
static void paused(struct lab *lab, const char *command, json_int_t id)
{
	(void)command;
	if (id >= 0) {
		say_sync(lab, id);
		return;
	}
	agent_extend(lab->agent, lab, INFINITY);
	lab->late.data = lab;
	ev_timer_init(&lab->late, say_at_last, patience * 2.5, 0);
	ev_timer_start(lab->ev, &lab->late);
}

static void never_continues(struct lab *lab, const char *command, json_int_t id)
{
	paused(lab, command, id);
	if (id >= 0)
		return;
	ev_timer_stop(lab->ev, &lab->late);
	agent_extend(lab->agent, lab, patience);
}

/* A command that was sent before a pause is answered after it; one that was not sent may fail. */
static void extended(void **state)
{
	struct lab lab;

	(void)state;
	setup(&lab, paused);
	call(&lab, "guest-x", patience * 1.5);
	call(&lab, "guest-y", patience);
	run(&lab);
	expect(&lab,
		"the guest agent is busy with other commands: guest-y was not sent;{\"a\":1};");
	lab.guest = never_continues;
	call(&lab, "guest-z", patience);
	run(&lab);
	expect(&lab,
		"the guest agent did not finish guest-z within N s, and may still complete it;");
	teardown(&lab);
}

static void gone(void **state)
{
	struct lab lab;

	(void)state;
	setup(&lab, hangs_up);
	call(&lab, "guest-x", patience);
	call(&lab, "guest-y", patience);
	run(&lab);
	expect(&lab, "the guest agent went away;the guest agent went away;");
	assert_true(agent_is_lost(lab.agent));
	call(&lab, "guest-z", patience);
	run(&lab);
	expect(&lab, "the guest agent went away;");
	teardown(&lab);
}

static void close_in_callback(void *data, const json_t *result, const struct err *e)
{
	struct lab *lab = data;

	agent_close(lab->agent);
	on_reply(data, result, e);
}

static void closed_from_inside(void **state)
{
	struct lab lab;

	(void)state;
	setup(&lab, honest);
	agent_call(lab.agent, "guest-x", NULL, patience, close_in_callback, &lab);
	lab.wanted++;
	call(&lab, "guest-y", patience);
	run(&lab);
	expect(&lab, "{\"a\":1};the guest agent went away;");
	lab.agent = NULL;
	teardown(&lab);
}

/* Nothing is read between calls: a flood fills the socket and stalls the guest, not us. */
static void idle_reads_nothing(void **state)
{
	struct lab lab;

	(void)state;
	setup(&lab, honest);
	call(&lab, "guest-x", patience);
	run(&lab);
	lab.flood = 100 << 20;
	while (send(lab.fd, "xxxxxxxxxxxxxxxx", 16, MSG_NOSIGNAL) > 0)
		lab.flood -= 16;
	assert_int_equal(errno, EAGAIN);
	ev_run(lab.ev, EVRUN_NOWAIT);
	assert_true(send(lab.fd, "x", 1, MSG_NOSIGNAL) < 0);
	teardown(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_and_errors),
		cmocka_unit_test(lies_end),
		cmocka_unit_test(late_answer),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(extended),
		cmocka_unit_test(gone),
		cmocka_unit_test(closed_from_inside),
		cmocka_unit_test(idle_reads_nothing),
	};

	return cmocka_run_group_tests_name("guest agent", tests, NULL, NULL);
}
