/* SPDX-License-Identifier: MIT */
/*
 * Compares the scripted QEMU of these tests with the real one: the same scenario must give the same
 * log on both. Then what only the real one can show: its large replies, a descriptor that it
 * actually receives, death by SIGKILL, and a second client.
 */
#include "tests/unit/qmp_lab.h"
#include "tests/unit/qmp_qemu.h"

/* QEMU before 9.0 reports singlestep mode in query-status; then the scripted one does too. */
static bool singlestep;

/* QEMU's answers in the scenario. */
static void play_qemu(struct peer *p, const json_t *message)
{
	const struct {
		const char *command, *answer;
	} talk[] = {
		{ "qmp_capabilities", "{\"return\": {}, \"id\": $}\r\n" },
		{ singlestep ? "query-status" : "",
			"{\"return\": {\"status\": \"prelaunch\", "
			"\"singlestep\": false, \"running\": false}, \"id\": $}\r\n" },
		{ "query-status", "{\"return\": {\"status\": \"prelaunch\", \"running\": false}, "
				  "\"id\": $}\r\n" },
		{ "cont",
			"{\"timestamp\": {\"seconds\": 1, \"microseconds\": 1}, \"event\": \"RESUME\"}\r\n"
			"{\"return\": {}, \"id\": $}\r\n" },
		{ "query-name", "{\"return\": {}, \"id\": $}\r\n" },
		{ "no-such", "{\"id\": $, \"error\": {\"class\": \"CommandNotFound\", "
			     "\"desc\": \"The command no-such has not been found\"}}\r\n" },
		{ "balloon", "{\"id\": $, \"error\": {\"class\": \"GenericError\", "
			     "\"desc\": \"Parameter 'value' is missing\"}}\r\n" },
		{ "query-balloon", "{\"id\": $, \"error\": {\"class\": \"DeviceNotActive\", "
				   "\"desc\": \"No balloon device has been activated\"}}\r\n" },
		{ "getfd", "{\"return\": {}, \"id\": $}\r\n" },
		{ "quit",
			"{\"return\": {}, \"id\": $}\r\n{\"timestamp\": {\"seconds\": 1, "
			"\"microseconds\": 1}, \"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, "
			"\"reason\": \"host-qmp-quit\"}}\r\n" },
	};
	const char *command = json_string_value(json_object_get(message, "execute"));

	for (size_t i = 0; i < ARRAY_SIZE(talk); i++) {
		const char *id = strchr(talk[i].answer, '$');

		if (!streq(talk[i].command, command))
			continue;
		buf_printf(&p->out, "%.*s%lld%s", (int)(id - talk[i].answer), talk[i].answer,
			(long long)p->ids[p->commands - 1], id + 1);
		ev_io_start(peer_lab(p)->ev, &p->writable);
		return;
	}
	fail_msg("the scripted QEMU has no answer to '%s'", command);
}

static void play_end(struct lab *lab, const char *word)
{
	if (strcmp(word, "SHUTDOWN") == 0)
		peer_close(lab);
}

static void scenario(struct lab *lab)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	lab_call(lab, "query-status cont query-name no-such balloon query-balloon");
	lab_call_fd(lab, "getfd", null, LAB_SECONDS * 2);
	close(null);
	while (lab->completed < 7)
		ev_run(lab->ev, EVRUN_ONCE);
	for (int i = 0; i < 40; i++)
		lab_call(lab, "query-name");
	while (lab->completed < 47)
		ev_run(lab->ev, EVRUN_ONCE);
	lab_call(lab, "query-name");
	lab_forget(lab); /* its reply arrives, and is not delivered */
	lab_call(lab, "query-name");
	while (lab->completed < 48)
		ev_run(lab->ev, EVRUN_ONCE);
}

/* quit races with its reply and the event: only the end is certain. */
static void quit(struct lab *lab)
{
	lab_call(lab, "quit");
	while (!strstr(lab->log.data, " closed!unreachable"))
		ev_run(lab->ev, EVRUN_ONCE);
	assert_int_equal(lab->completed, 49);
}

/* "QEMU emulator version 7.2.22 (...)" */
static bool is_before_9(void)
{
	FILE *f = popen("qemu-system-x86_64 --version", "re");
	unsigned major = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "QEMU emulator version %u.", &major), 1);
	pclose(f);
	return major < 9;
}

static void same_as_the_real_one(void **state)
{
	static const struct step steps[] = { { 0, GREETING }, { 0, NULL } };
	struct lab fake, lab = { .ev = ev_loop_new(EVFLAG_AUTO), .peer.fd = -1 };

	(void)state;
	singlestep = is_before_9();
	lab_init(&fake, steps, 0, SIZE_MAX, LAB_SECONDS);
	fake.peer.on_command = play_qemu;
	fake.after = play_end;
	scenario(&fake);
	lab_start(&lab, qemu_start(NULL), LAB_SECONDS);
	scenario(&lab);
	assert_string_equal(lab.log.data, fake.log.data);
	quit(&fake);
	quit(&lab);
	lab_release(&fake);
	lab_release(&lab);
}

static void large_replies(void **state)
{
	struct lab lab = { .ev = ev_loop_new(EVFLAG_AUTO), .peer.fd = -1 };

	(void)state;
	lab_start(&lab, qemu_start(NULL), LAB_SECONDS);
	lab_call(&lab, "query-qmp-schema query-name query-cpu-definitions query-qmp-schema");
	lab_run_until(&lab, 5);
	assert_string_equal(lab.log.data, "ready query-qmp-schema=... query-name={} "
					  "query-cpu-definitions=... query-qmp-schema=...");
	lab_release(&lab);
}

static void killed(void **state)
{
	struct lab lab = { .ev = ev_loop_new(EVFLAG_AUTO), .peer.fd = -1 };

	(void)state;
	lab_start(&lab, qemu_start(NULL), LAB_SECONDS);
	lab_run_until(&lab, 1);
	kill(qemu.pid, SIGSTOP);
	lab_call(&lab, "query-status/30 query-name");
	lab_run_until(&lab, 2);
	kill(qemu.pid, SIGKILL);
	lab_run_until(&lab, 4);
	assert_string_equal(lab.log.data,
		"ready query-status!timeout query-name!unreachable closed!unreachable");
	lab_release(&lab);
}

/* A monitor serves one client: the second gets nothing until the first has gone. */
static void second_client(void **state)
{
	struct lab lab = { .ev = ev_loop_new(EVFLAG_AUTO), .peer.fd = -1 }, second = lab,
		   third = lab;

	(void)state;
	second.ev = ev_loop_new(EVFLAG_AUTO);
	third.ev = ev_loop_new(EVFLAG_AUTO);
	lab_start(&lab, qemu_start(NULL), LAB_SECONDS);
	lab_run_until(&lab, 1);
	lab_start(&second, qemu_connect(), 0.1);
	lab_run_until(&second, 1);
	assert_string_equal(second.log.data, "closed!timeout");
	lab_start(&third, qemu_connect(), LAB_SECONDS);
	lab_close(&lab);
	lab_settle(&lab);
	lab_call(&third, "query-name");
	lab_run_until(&third, 2);
	assert_string_equal(third.log.data, "ready query-name={}");
	lab_release(&lab);
	lab_release(&second);
	lab_release(&third);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(same_as_the_real_one, qemu_end),
		cmocka_unit_test_teardown(large_replies, qemu_end),
		cmocka_unit_test_teardown(killed, qemu_end),
		cmocka_unit_test_teardown(second_client, qemu_end),
	};

	if (!qemu_is_here())
		return 0;
	return cmocka_run_group_tests_name("qmp/real", tests, NULL, NULL);
}
