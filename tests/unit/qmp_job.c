/* SPDX-License-Identifier: MIT */
/*
 * Proves that a QEMU job is followed to its end, which is reported exactly once, whatever arrives
 * late, early or not at all; with a scripted QEMU and then with the real one, with jobs that
 * succeed, fail and are cancelled.
 */
#include "tests/unit/qmp_lab.h"
#include "tests/unit/qmp_qemu.h"

#include "qmp/job.c" /* for poll_every and patience */

#define EVENT(id, st) \
	"{\"event\": \"JOB_STATUS_CHANGE\", \"data\": {\"status\": \"" st "\", \"id\": \"" id "\"}}"
#define JOBS(n, list) "{\"return\": [" list "], \"id\": $" #n "}"
#define JOB(id, rest) "{\"id\": \"" id "\", \"type\": \"create\", " rest "}"
#define RUNS(cur, tot) \
	JOB("j", "\"status\":\"running\",\"current-progress\":" #cur ",\"total-progress\":" #tot)
#define ENDED	     JOB("j", "\"status\":\"concluded\",\"current-progress\":9,\"total-progress\":9")
#define FAILED(text) JOB("j", "\"status\":\"concluded\",\"error\":\"" text "\"")

static const struct {
	const char *name;
	struct step steps[LAB_STEPS];
	const char *log;
	double patience;
	bool follow;	   /* the job was not started by us */
	bool keeps;	   /* its owner wants the error, and hears of a refusal */
	bool slow;	   /* the test does not wait for the next poll */
	unsigned commands; /* received by QEMU; 0: not checked */
} cases[] = {
	{ .name = "as it should be",
		.steps = { HELLO, { 2, EVENT("j", "created") EVENT("j", "running") OK(1) },
			{ 3, JOBS(2, RUNS(1, 9)) EVENT("j", "concluded") }, { 4, JOBS(3, ENDED) },
			{ 5, EVENT("j", "null") OK(4) } },
		.slow = true,
		.commands = 5,
		.log = "ready 1/9 done" },
	{ .name = "over while the query is under way",
		.steps = { HELLO, { 2, OK(1) }, { 3, EVENT("j", "concluded") JOBS(2, RUNS(1, 9)) },
			{ 4, JOBS(3, ENDED) }, { 5, OK(4) } },
		.slow = true,
		.log = "ready 1/9 done" },
	{ .name = "answered in another order",
		.steps = { HELLO, { 2, EVENT("j", "concluded") }, { 3, JOBS(2, ENDED) },
			{ 4, OK(3) OK(1) } },
		.log = "ready done" },
	{ .name = "without events",
		.steps = { HELLO, { 2, OK(1) }, { 3, JOBS(2, RUNS(1, 9)) },
			{ 4, JOBS(3, RUNS(1, 9)) }, { 5, JOBS(4, RUNS(5, 9)) },
			{ 6, JOBS(5, ENDED) }, { 7, OK(6) } },
		.log = "ready 1/9 5/9 done" },
	{ .name = "over before the reply, as snapshot-save is",
		.steps = { HELLO, { 2, EVENT("j", "running") EVENT("j", "concluded") OK(1) },
			{ 3, JOBS(2, ENDED) }, { 4, OK(3) } },
		.log = "ready done" },
	{ .name = "failed",
		.steps = { HELLO, { 2, EVENT("j", "concluded") OK(1) },
			{ 3, JOBS(2, FAILED("no-space")) }, { 4, OK(3) } },
		.log = "ready done!failed(no-space)" },
	{ .name = "failed for want of space",
		.steps = { HELLO, { 2, EVENT("j", "concluded") OK(1) },
			{ 3, JOBS(2, FAILED("remove it: No space left on device")) },
			{ 4, OK(3) } },
		.log = "ready done!no-resources" },
	{ .name = "refused",
		.steps = { HELLO, { 2, NO(1, "in-use") } },
		.log = "ready done!failed(in-use)" },
	{ .name = "refused, and told so",
		.keeps = true,
		.steps = { HELLO, { 2, NO(1, "in-use") } },
		.log = "ready refused" },
	{ .name = "failed, and kept",
		.keeps = true,
		.steps = { HELLO, { 2, EVENT("j", "concluded") OK(1) },
			{ 3, JOBS(2, FAILED("no-space")) } },
		.commands = 3,
		.log = "ready done!failed(no-space)" },
	{ .name = "well, and not kept",
		.keeps = true,
		.steps = { HELLO, { 2, EVENT("j", "concluded") OK(1) }, { 3, JOBS(2, ENDED) },
			{ 4, OK(3) } },
		.commands = 4,
		.log = "ready done" },
	{ .name = "gone before it was taken: nobody knows",
		.keeps = true,
		.steps = { HELLO, { 2, "" } },
		.log = "ready done!unreachable closed!unreachable" },
	{ .name = "among others",
		.steps = { HELLO, { 2, EVENT("k", "concluded") OK(1) },
			{ 3, JOBS(2, JOB("k", "\"status\":\"concluded\",\"error\":\"k\"") "," RUNS(
					     0, 0)) },
			{ 4, JOBS(3, ENDED "," JOB("k", "\"status\":\"running\"")) },
			{ 5, OK(4) } },
		.log = "ready done" },
	{ .name = "dismissed itself",
		.steps = { HELLO, { 2, OK(1) },
			{ 3, JOBS(2, RUNS(1, 9)) EVENT("j", "concluded") EVENT("j", "null") },
			{ 4, JOBS(3, "") } },
		.log = "ready 1/9 done!failed(lost)" },
	{ .name = "the list is none",
		.steps = { HELLO, { 2, OK(1) }, { 3, "{\"return\": {}, \"id\": $2}" } },
		.log = "ready done!failed(lost)" },
	{ .name = "dismiss refused: the result stands",
		.steps = { HELLO, { 2, OK(1) }, { 3, JOBS(2, ENDED) }, { 4, NO(3, "no") } },
		.log = "ready done" },
	{ .name = "gone while dismissing: the result stands",
		.steps = { HELLO, { 2, OK(1) }, { 3, JOBS(2, FAILED("bad")) }, { 4, "" } },
		.log = "ready done!failed(bad) closed!unreachable" },
	{ .name = "gone while it runs",
		.steps = { HELLO, { 2, OK(1) }, { 3, "" } },
		.log = "ready done!unreachable closed!unreachable" },
	{ .name = "gone between two looks",
		.steps = { HELLO, { 2, OK(1) }, { 3, JOBS(2, RUNS(1, 9)) }, { 3, "" } },
		.log = "ready 1/9 done!unreachable closed!unreachable" },
	{ .name = "late answers are no failure",
		.patience = 0.05,
		.steps = { HELLO, { 3, EVENT("k", "concluded") }, { 4, JOBS(3, RUNS(2, 9)) },
			{ 5, EVENT("j", "concluded") OK(1) JOBS(4, ENDED) }, { 6, OK(5) } },
		.log = "ready 2/9 done" },
	{ .name = "followed after a restart",
		.follow = true,
		.steps = { HELLO, { 2, JOBS(1, RUNS(3, 9)) }, { 3, JOBS(2, ENDED) }, { 4, OK(3) } },
		.log = "ready 3/9 done" },
	{ .name = "nothing to follow",
		.follow = true,
		.steps = { HELLO, { 2, JOBS(1, "") } },
		.log = "ready done!failed(lost)" },
};

static struct qmp_job *job;

static void on_progress(void *data, uint64_t current, uint64_t total)
{
	lab_word(data, "%d/%d", (int)current, (int)total);
}

static void on_done(void *data, const struct err *e)
{
	job = NULL;
	if (e && e->class == ERR_FAILED)
		lab_word(data, "done!failed(%s)", strstr(e->text, "lost") ? "lost" : e->text);
	else if (e)
		lab_word(data, "done!%s", lab_class(e));
	else
		lab_word(data, "done");
}

static void on_refused(void *data, const struct err *e)
{
	job = NULL;
	assert_non_null(e);
	lab_word(data, "refused");
}

static const struct qmp_job_handlers usual = { .progress = on_progress, .done = on_done };
static const struct qmp_job_handlers keeping = {
	.progress = on_progress, .done = on_done, .refused = on_refused, .keeps_failed = true
};
static const struct qmp_job_handlers *handlers = &usual;

static void start(struct lab *lab, const char *command, json_t *arguments)
{
	bool inside = lab->inside;

	lab->inside = lab->jobs_only = true;
	job = qmp_job_run(lab->q, command, arguments, "j", handlers, lab);
	lab->inside = inside;
}

static json_t *arguments(void)
{
	return json_pack("{s:s}", "job-id", "j");
}

static void scripted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lab lab;

		handlers = cases[i].keeps ? &keeping : &usual;
		poll_every = cases[i].slow ? 60 : 0.02;
		patience = cases[i].patience > 0 ? cases[i].patience : 60;
		lab_init(&lab, cases[i].steps, 0, SIZE_MAX, LAB_SECONDS);
		lab_run_until(&lab, 1);
		start(&lab, cases[i].follow ? NULL : "job", cases[i].follow ? NULL : arguments());
		lab_run_until(&lab, lab_count_words(cases[i].log));
		lab_settle(&lab);
		if (strcmp(lab.log.data, cases[i].log) != 0)
			fail_msg("%s: '%s', not '%s'", cases[i].name, lab.log.data, cases[i].log);
		if (cases[i].commands)
			assert_int_equal(lab.peer.commands, cases[i].commands);
		lab_release(&lab);
	}
	handlers = &usual;
	patience = 60;
	poll_every = 0.02;
}

static void eof_at_every_byte(void **state)
{
	static const struct step *const talk = cases[0].steps;
	bool whole = false;

	(void)state;
	for (size_t cut = 0; !whole; cut++) {
		struct lab lab;

		lab_init(&lab, talk, 0, cut, LAB_SECONDS);
		start(&lab, "job", arguments()); /* also before ready */
		while (!lab.log.data || !strstr(lab.log.data, "done") ||
			!(strstr(lab.log.data, "closed!") || strstr(lab.log.data, "9 done")))
			ev_run(lab.ev, EVRUN_ONCE);
		lab_settle(&lab);
		assert_null(strstr(strstr(lab.log.data, "done") + 4, "done"));
		whole = lab.peer.fd >= 0;
		lab_release(&lab);
	}
}

static void closed_here(void **state)
{
	static const struct step steps[] = { HELLO, { 2, OK(1) }, { 3, JOBS(2, RUNS(1, 9)) },
		{ 0, NULL } };

	(void)state;
	poll_every = 60;
	for (unsigned words = 0; words < 3; words++) {
		struct lab lab;

		lab_init(&lab, steps, 0, SIZE_MAX, LAB_SECONDS);
		start(&lab, "job", arguments());
		lab_run_until(&lab, words);
		lab_close(&lab);
		lab_run_until(&lab, words + 1);
		assert_non_null(strstr(lab.log.data, "done!unreachable"));
		lab_settle(&lab);
		assert_int_equal(lab.words, words + 1);
		lab_release(&lab);
	}
	poll_every = 0.02;
}

/* Runs a job on the real QEMU and returns the callbacks' log. */
static const char *real_job(struct lab *lab, const char *command, const char *json)
{
	size_t before = lab->log.len;
	const char *at;

	start(lab, command, json ? json_loads(json, 0, NULL) : NULL);
	while (!lab->log.data[before] || !(at = strstr(lab->log.data + before, "done")))
		ev_run(lab->ev, EVRUN_ONCE);
	return at;
}

static void cancel_at_progress(struct lab *lab, const char *word)
{
	if (strchr(word, '/') && job)
		qmp_call(lab->q, "job-cancel", json_pack("{s:s}", "id", "j"), -1, LAB_SECONDS, NULL,
			NULL);
}

static void real_snapshots(void **state)
{
	static const char save[] =
		"{\"job-id\": \"j\", \"tag\": \"s1\", \"vmstate\": \"d0\", \"devices\": [\"d0\"]}";
	static const char delete[] = "{\"job-id\": \"j\", \"tag\": \"s1\", \"devices\": [\"d0\"]}";
	struct lab lab = { .ev = ev_loop_new(EVFLAG_AUTO), .peer.fd = -1 };
	char command[128], disk[256];
	const char *extra[] = { "-machine", "pc", "-m", "32", "-blockdev", disk, "-device",
		"{\"driver\":\"virtio-blk-pci\",\"drive\":\"d0\",\"id\":\"dev0\"}", NULL };

	(void)state;
	qemu_make_dir();
	snprintf(command, sizeof command, "qemu-img create -q -f qcow2 %s/disk 16M", qemu.dir);
	if (system(command) != 0)
		fail_msg("qemu-img does not work");
	snprintf(disk, sizeof disk,
		"{\"driver\":\"qcow2\",\"node-name\":\"d0\",\"file\":"
		"{\"driver\":\"file\",\"filename\":\"%s/disk\"}}",
		qemu.dir);
	lab_start(&lab, qemu_start(extra), LAB_SECONDS);
	lab_run_until(&lab, 1);
	assert_string_equal(real_job(&lab, "snapshot-save", save), "done");
	assert_string_equal(real_job(&lab, "snapshot-save", save),
		"done!failed(Snapshot 's1' already exists in one or more devices)");
	assert_string_equal(real_job(&lab, "snapshot-load", save), "done");
	assert_string_equal(real_job(&lab, "snapshot-delete", delete), "done");
	assert_string_equal(real_job(&lab, "snapshot-load", save),
		"done!failed(Snapshot 's1' does not exist in one or more devices)");
	assert_string_equal(real_job(&lab, "snapshot-save", "{}"),
		"done!failed(Parameter 'job-id' is missing)");
	lab_call(&lab, "query-jobs"); /* all jobs have been dismissed */
	lab_run_until(&lab, lab.words + 1);
	assert_non_null(strstr(lab.log.data, " query-jobs=[]"));
	lab_release(&lab);
}

static void real_block_jobs(void **state)
{
	static const char *const extra[] = { "-machine", "none", "-blockdev",
		"{\"driver\":\"null-co\",\"node-name\":\"a\",\"size\":67108864,\"read-zeroes\":true}",
		"-blockdev",
		"{\"driver\":\"null-co\",\"node-name\":\"b\",\"size\":67108864,\"read-zeroes\":true}",
		NULL };
	static const char slow[] =
		"{\"job-id\": \"j\", \"device\": \"a\", \"target\": \"b\", "
		"\"sync\": \"full\", \"speed\": 1048576, \"auto-dismiss\": false}";
	struct lab lab = { .ev = ev_loop_new(EVFLAG_AUTO), .peer.fd = -1 };

	(void)state;
	lab_start(&lab, qemu_start(extra), LAB_SECONDS);
	lab_run_until(&lab, 1);
	assert_string_equal(real_job(&lab, "blockdev-create",
				    "{\"job-id\": \"j\", \"options\": "
				    "{\"driver\": \"qcow2\", \"file\": \"a\", \"size\": 1048576}}"),
		"done!failed(Image is not in qcow2 format)");
	lab.after = cancel_at_progress;
	assert_string_equal(
		real_job(&lab, "blockdev-backup", slow), "done!failed(Operation canceled)");
	lab.after = NULL;
	assert_string_equal(real_job(&lab, NULL, NULL), "done!failed(lost)");
	/* another client started it before us */
	qmp_call(lab.q, "blockdev-backup", json_loads(slow, 0, NULL), -1, LAB_SECONDS, NULL, NULL);
	start(&lab, NULL, NULL);
	while (!strchr(strrchr(lab.log.data, ' '), '/'))
		ev_run(lab.ev, EVRUN_ONCE);
	kill(qemu.pid, SIGKILL);
	while (!strstr(lab.log.data, "done!unreachable closed!unreachable"))
		ev_run(lab.ev, EVRUN_ONCE);
	lab_release(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scripted),
		cmocka_unit_test(eof_at_every_byte),
		cmocka_unit_test(closed_here),
		cmocka_unit_test_teardown(real_snapshots, qemu_end),
		cmocka_unit_test_teardown(real_block_jobs, qemu_end),
	};
	struct CMUnitTest without[3];

	if (qemu_is_here())
		return cmocka_run_group_tests_name("qmp/job", tests, NULL, NULL);
	memcpy(without, tests, sizeof without);
	return cmocka_run_group_tests_name("qmp/job", without, NULL, NULL);
}
