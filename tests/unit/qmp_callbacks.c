/* SPDX-License-Identifier: MIT */
/*
 * Proves that callbacks may call, forget and close at any time, that no callback is called from
 * inside a function of the session, and that a descriptor arrives with its own command.
 */
#include <sys/stat.h>

#include "tests/unit/qmp_lab.h"

/* clang-format off */
#define BOTH { 3, OK(1) OK(2) }
/* clang-format on */
#define EVENT "{\"event\": \"STOP\"}\r\n"

static void call_c(struct lab *lab)
{
	lab_call(lab, "c");
}

static void close_and_call(struct lab *lab)
{
	lab_close(lab);
	lab_close(lab);
	lab_call(lab, "c");
}

static void call_and_close(struct lab *lab)
{
	lab_call(lab, "c");
	lab_close(lab);
}

static const struct {
	const char *name;
	struct step steps[LAB_STEPS];
	const char *on; /* the log entry at which act() is called, in the callback */
	void (*act)(struct lab *lab);
	const char *log;   /* calls a and b are made before ready */
	unsigned commands; /* received by QEMU; 0: not checked */
} cases[] = {
	{ "close in ready", { HELLO, BOTH }, "ready", lab_close,
		"ready a!unreachable b!unreachable", 0 },
	{ "close in an event", { HELLO, { 3, EVENT OK(1) OK(2) } }, "STOP", lab_close,
		"ready STOP a!unreachable b!unreachable", 3 },
	{ "close in a reply", { HELLO, BOTH }, "a={}", lab_close, "ready a={} b!unreachable", 3 },
	{ "close in the last reply", { HELLO, BOTH }, "b={}", lab_close, "ready a={} b={}", 3 },
	{ "close when the connection goes", { HELLO, { 3, OK(1) }, { 3, "" } }, "b!unreachable",
		lab_close, "ready a={} b!unreachable", 3 },
	{ "close in the first of two lost calls", { HELLO, { 3, "" } }, "a!unreachable", lab_close,
		"ready a!unreachable b!unreachable", 3 },
	{ "close in closed", { HELLO, { 3, "" } }, "closed!unreachable", lab_close,
		"ready a!unreachable b!unreachable closed!unreachable", 3 },
	{ "call in ready", { HELLO, { 4, OK(1) OK(2) OK(3) } }, "ready", call_c,
		"ready a={} b={} c={}", 4 },
	{ "call in a reply", { HELLO, BOTH, { 4, OK(3) } }, "a={}", call_c, "ready a={} b={} c={}",
		4 },
	{ "call when the connection goes", { HELLO, { 3, "" } }, "a!unreachable", call_c,
		"ready a!unreachable b!unreachable closed!unreachable c!unreachable", 3 },
	{ "call in closed", { HELLO, { 3, "" } }, "closed!unreachable", call_c,
		"ready a!unreachable b!unreachable closed!unreachable c!unreachable", 3 },
	{ "close, then call", { HELLO, BOTH }, "a={}", close_and_call,
		"ready a={} b!unreachable c!unreachable", 3 },
	{ "call, then close", { HELLO, BOTH }, "a={}", call_and_close,
		"ready a={} b!unreachable c!unreachable", 0 },
	{ "forget while the reply is in the buffer", { HELLO, { 3, OK(1) OK(2) EVENT } }, "a={}",
		lab_forget, "ready a={} STOP", 3 },
	{ "forget when the connection goes", { HELLO, { 3, "" } }, "a!unreachable", lab_forget,
		"ready a!unreachable closed!unreachable", 3 },
};

static size_t current;

static void act(struct lab *lab, const char *word)
{
	if (strcmp(word, cases[current].on) == 0)
		cases[current].act(lab);
}

static void in_callbacks(void **state)
{
	(void)state;
	for (current = 0; current < ARRAY_SIZE(cases); current++) {
		struct lab lab;

		lab_init(&lab, cases[current].steps, 0, SIZE_MAX, LAB_SECONDS);
		lab.after = act;
		lab_call(&lab, "a b");
		lab_run_until(&lab, lab_count_words(cases[current].log));
		lab_settle(&lab);
		if (strcmp(lab.log.data, cases[current].log) != 0)
			fail_msg("%s: '%s', not '%s'", cases[current].name, lab.log.data,
				cases[current].log);
		if (cases[current].commands)
			assert_int_equal(lab.peer.commands, cases[current].commands);
		lab_release(&lab);
	}
}

/* From outside the loop's callbacks; "inside" in the lab checks that nothing is called back. */
static void from_outside(void **state)
{
	static const struct step steps[] = { HELLO, { 2, OK(1) }, { 0, NULL } };
	struct lab lab;

	(void)state;
	lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
	lab_call(&lab, "a b");
	lab_forget(&lab);
	assert_int_equal(lab.words, 0);
	lab_run_until(&lab, 2);
	assert_string_equal(lab.log.data, "ready a={}");
	lab_call(&lab, "c d");
	lab_forget(&lab);
	lab_close(&lab);
	assert_int_equal(lab.words, 2);
	lab_call(&lab, "e");
	lab_run_until(&lab, 4);
	assert_string_equal(lab.log.data, "ready a={} c!unreachable e!unreachable");
	lab_release(&lab);
	qmp_close(NULL);
}

static void again_and_again(struct lab *lab, const char *word)
{
	(void)word;
	if (lab->words < 10)
		lab_call(lab, "c");
}

/* A caller that at once repeats a call that fails does not stop the loop. */
static void calls_on_a_lost_connection(void **state)
{
	static const struct step steps[] = { { 0, "" }, { 0, NULL } };
	struct lab lab;

	(void)state;
	lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
	lab_run_until(&lab, 1);
	lab.after = again_and_again;
	lab_call(&lab, "c");
	for (unsigned words = lab.words; words < 10; words = lab.words) {
		ev_run(lab.ev, EVRUN_ONCE);
		assert_in_range(lab.words - words, 0, 1);
	}
	lab_release(&lab);
}

/* The session is not freed before calls made in the meantime are completed. */
static void calls_on_a_closing_session(void **state)
{
	static const struct step steps[] = { HELLO, { 0, NULL } };
	struct lab lab;

	(void)state;
	lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
	lab.after = again_and_again;
	lab_call(&lab, "a");
	lab_close(&lab);
	lab_run_until(&lab, 10);
	lab_release(&lab);
}

static void oldest_call(void **state)
{
	static const struct step steps[] = { HELLO, { 3, OK(1) }, { 4, OK(2) OK(3) }, { 0, NULL } };
	struct lab lab;
	double age = -1;

	(void)state;
	lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
	assert_false(qmp_is_ready(lab.q));
	assert_null(qmp_oldest_call(lab.q, &age));
	lab_call(&lab, "a b");
	assert_string_equal(qmp_oldest_call(lab.q, &age), "a");
	assert_true(age >= 0 && age < LAB_SECONDS);
	lab_run_until(&lab, 2);
	assert_true(qmp_is_ready(lab.q));
	assert_string_equal(qmp_oldest_call(lab.q, &age), "b");
	lab_call(&lab, "c");
	lab_run_until(&lab, 4);
	assert_null(qmp_oldest_call(lab.q, &age));
	lab_release(&lab);
}

/* A reply to an earlier client of the same monitor must not match. */
static void ids_differ_between_sessions(void **state)
{
	static const struct step steps[] = { HELLO, { 0, NULL } };
	struct lab labs[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		lab_init(&labs[i], steps, 0, SIZE_MAX, LAB_SECONDS);
		lab_run_until(&labs[i], 1);
	}
	assert_int_not_equal(labs[0].peer.ids[0], labs[1].peer.ids[0]);
	lab_release(&labs[0]);
	lab_release(&labs[1]);
}

struct ear {
	struct qmp_listener listener;
	struct lab *lab;
	struct qmp_listener *drop; /* taken off the list at the next event */
	const char *name;
};

static void ear_event(struct qmp_listener *l, const char *name, const json_t *data)
{
	struct ear *ear = container_of(l, struct ear, listener);

	assert_string_equal(name, "STOP");
	assert_null(data);
	lab_word(ear->lab, "%s", ear->name);
	if (ear->drop)
		qmp_unlisten(ear->lab->q, ear->drop);
	ear->drop = NULL;
}

static void ear_gone(struct qmp_listener *l, const struct err *e)
{
	struct ear *ear = container_of(l, struct ear, listener);

	lab_word(ear->lab, "%s!%s", ear->name, lab_class(e));
	qmp_unlisten(ear->lab->q, l); /* it has been removed already: no effect */
}

static void listeners(void **state)
{
	static const struct step steps[] = { HELLO, { 2, EVENT OK(1) }, { 3, EVENT OK(2) },
		{ 4, EVENT OK(3) }, { 0, NULL } };
	struct ear ears[4] = { { .name = "w" }, { .name = "x" }, { .name = "y" }, { .name = "z" } };

	(void)state;
	for (int by_us = 0; by_us < 2; by_us++) {
		struct lab lab;

		lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
		lab_run_until(&lab, 1);
		for (int i = 3; i >= 0; i--) {
			ears[i].listener =
				(struct qmp_listener){ .event = ear_event, .gone = ear_gone };
			ears[i].lab = &lab;
			qmp_listen(lab.q, &ears[i].listener);
		}
		lab_call(&lab, "1");
		lab_run_until(&lab, 7);
		assert_string_equal(lab.log.data, "ready w x y z STOP 1={}");
		ears[0].drop = &ears[1].listener; /* the next */
		ears[2].drop = &ears[2].listener; /* itself */
		lab_call(&lab, "2");
		lab_run_until(&lab, 12);
		assert_string_equal(lab.log.data + 24, "w y z STOP 2={}");
		if (by_us)
			lab_close(&lab);
		else
			peer_close(&lab);
		lab_run_until(&lab, by_us ? 14 : 15);
		assert_string_equal(lab.log.data + 40,
			by_us ? "w!unreachable z!unreachable"
			      : "w!unreachable z!unreachable closed!unreachable");
		lab_release(&lab);
	}
}

/* Reads like QEMU, byte by byte, and records with which byte a descriptor arrived. */
static void read_like_qemu(int fd, struct buf *in, size_t at[], ino_t inode[], size_t *n)
{
	for (;;) {
		char byte;
		struct iovec iov = { &byte, 1 };
		union {
			struct cmsghdr head;
			char room[CMSG_SPACE(sizeof(int) * 4)];
		} control;
		struct msghdr m = { .msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof control };
		const struct cmsghdr *c;
		struct stat st;
		int got;

		if (recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) <= 0)
			return;
		assert_int_equal(m.msg_flags & MSG_CTRUNC, 0);
		c = CMSG_FIRSTHDR(&m);
		if (c) {
			assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(int)));
			memcpy(&got, CMSG_DATA(c), sizeof got);
			assert_int_equal(fstat(got, &st), 0);
			close(got);
			at[*n] = in->len;
			inode[(*n)++] = st.st_ino;
		}
		buf_add(in, &byte, 1);
	}
}

static void descriptors_travel_with_their_command(void **state)
{
	static const struct step steps[] = { HELLO, { 0, NULL } };
	static const char *const commands[] = { "a", "getfd-0", "getfd-1", "b", "c", "getfd-2",
		"d" };
	size_t at[8], n = 0, seen = 0;
	ino_t inode[8], want[3];
	struct buf in = BUF_INIT;
	struct lab lab;
	struct stat st;

	(void)state;
	lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
	/* queued before ready, so that all of them go out together */
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		FILE *f = commands[i][0] == 'g' ? tmpfile() : NULL;

		if (f) {
			assert_int_equal(fstat(fileno(f), &st), 0);
			want[seen++] = st.st_ino;
		}
		lab_call_fd(&lab, commands[i], f ? fileno(f) : -1, LAB_SECONDS * 2);
		if (f)
			fclose(f);
	}
	ev_io_stop(lab.ev, &lab.peer.readable);
	while (!in.data || !strstr(in.data, "\"d\"")) {
		ev_run(lab.ev, EVRUN_NOWAIT);
		read_like_qemu(lab.peer.fd, &in, at, inode, &n);
	}
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++) {
		char line[64];

		snprintf(line, sizeof line, "{\"execute\":\"getfd-%zu\",", i);
		assert_int_equal(strncmp(in.data + at[i], line, strlen(line)), 0);
		assert_int_equal(inode[i], want[i]);
	}
	buf_release(&in);
	lab_release(&lab);
}

/* An invalid descriptor, or a socket with more reach than QEMU may have, fails only its own
 * call. */
static void a_bad_descriptor(void **state)
{
	static const struct step steps[] = { HELLO, { 2, OK(1) }, { 0, NULL } };
	const int bad[] = { 9999, socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_DGRAM, 0),
		socket(AF_NETLINK, SOCK_RAW, 0), socket(AF_UNIX, SOCK_DGRAM, 0),
		socket(AF_UNIX, SOCK_SEQPACKET, 0) };
	struct lab lab;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
		lab_run_until(&lab, 1);
		lab_call_fd(&lab, "getfd", bad[i], LAB_SECONDS);
		lab_run_until(&lab, 2);
		assert_string_equal(lab.log.data, "ready getfd!no-resources");
		assert_int_equal(lab.peer.commands, 1);
		lab_release(&lab);
		close(bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_callbacks),
		cmocka_unit_test(from_outside),
		cmocka_unit_test(calls_on_a_lost_connection),
		cmocka_unit_test(calls_on_a_closing_session),
		cmocka_unit_test(oldest_call),
		cmocka_unit_test(ids_differ_between_sessions),
		cmocka_unit_test(listeners),
		cmocka_unit_test(descriptors_travel_with_their_command),
		cmocka_unit_test(a_bad_descriptor),
	};

	return cmocka_run_group_tests_name("qmp/callbacks", tests, NULL, NULL);
}
