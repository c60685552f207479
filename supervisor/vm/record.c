/* SPDX-License-Identifier: MIT */
/*
 * RUN/vms/NAME/record.json: what a new daemon must know to take the process back, and to unmake what
 * was made for it. Version 1. The effective configuration stands beside it in effective.vm.
 */
#include "supervisor/vm/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/nic.h"

/* As a daemon reads it that does not know the word beside it. */
static int ending_number(const struct vm *vm)
{
	return vm->st.ending == VM_END_QMP_QUIT ? VM_END_HOST_SIGNAL : (int)vm->st.ending;
}

/* What is not of the process, so that a crash loop is one also across daemons. */
static void add_policy(const struct vm *vm, json_t *doc)
{
	json_t *restarts = json_array(), *numbers = json_array();

	for (unsigned i = 0; i < vm->st.policy.n; i++) {
		json_array_append_new(restarts, json_real(vm->st.policy.past[i].at));
		json_array_append_new(numbers, json_integer(vm->st.policy.past[i].n));
	}
	json_object_set_new(doc, "restarts", restarts);
	json_object_set_new(doc, "restarts_n", numbers);
	json_object_set_new(doc, "ending_word", json_string(vm_ending_word(vm->st.ending)));
	json_object_set_new(doc, "in_row", json_integer(vm->st.policy.in_row));
	/* an older daemon takes it for one that is to run: it goes down, and up where that is sure */
	if (vm->st.want == VM_WANT_RESTART)
		json_object_set_new(doc, "restart", json_string(vm->st.again));
	if (vm->st.serves[0])
		json_object_set_new(doc, "serves", json_string(vm->st.serves));
	json_object_set_new(doc, "by_policy", json_boolean(vm->st.by_policy));
	json_object_set_new(doc, "due", json_real(vm->st.due));
	json_object_set_new(doc, "unresponsive", json_real(vm->mon.unresponsive_wall));
	if (vm->mon.trouble)
		json_object_set_new(doc, "trouble", json_string(vm->mon.trouble));
	if (vm->mon.io_error)
		json_object_set_new(doc, "io_error", json_string(vm->mon.io_error));
	json_object_set_new(doc, "ready", json_boolean(vm->ready_seen));
	json_object_set_new(doc, "ready_status", json_string(vm->ready_status));
	json_object_set_new(doc, "resets", json_integer(vm->log.resets.n));
	json_object_set_new(doc, "last_reset", json_real(vm->log.resets.last));
	if (vm->mon.balloon_back)
		json_object_set_new(doc, "balloon_back", json_integer(vm->mon.balloon_back));
	json_object_set_new(doc, "conf_hash", json_sprintf("%016" PRIx64, vm->proc.conf_hash));
	json_object_set_new(doc, "conf_lost", json_boolean(vm->proc.conf_lost));
}

/* Younger than version 1's first daemon: each may be missing. */
static void read_policy(struct vm *vm, const json_t *doc)
{
	const char *io_error = json_string_value(json_object_get(doc, "io_error"));
	const char *trouble = json_string_value(json_object_get(doc, "trouble"));
	const char *status = json_string_value(json_object_get(doc, "ready_status"));
	const char *restart = json_string_value(json_object_get(doc, "restart"));
	const char *serves = json_string_value(json_object_get(doc, "serves"));
	const json_t *restarts = json_object_get(doc, "restarts");
	const json_t *numbers = json_object_get(doc, "restarts_n");
	size_t n = json_array_size(restarts);

	vm->st.policy = (struct policy_memory){ 0 };
	for (size_t i = 0; i < n && i < POLICY_PAST; i++) {
		json_int_t many = json_integer_value(json_array_get(numbers, i));
		struct policy_past p = { json_number_value(json_array_get(restarts, i)),
			many > 1 && many <= POLICY_MANY ? (unsigned)many : 1 };
		unsigned at = vm->st.policy.n++;

		/* an earlier version wrote them from where its ring began */
		for (; at > 0 && vm->st.policy.past[at - 1].at > p.at; at--)
			vm->st.policy.past[at] = vm->st.policy.past[at - 1];
		vm->st.policy.past[at] = p;
	}
	vm_ending_parse(json_string_value(json_object_get(doc, "ending_word")), &vm->st.ending);
	vm->st.policy.in_row = (unsigned)json_integer_value(json_object_get(doc, "in_row"));
	/* whoever asked for it waits no more: where the host is the cause it is tried again */
	vm->st.by_policy = restart || json_is_true(json_object_get(doc, "by_policy"));
	if (restart)
		vm->st.want = VM_WANT_RESTART;
	snprintf(vm->st.again, sizeof vm->st.again, "%s", restart ? restart : "");
	snprintf(vm->st.serves, sizeof vm->st.serves, "%s", serves ? serves : "");
	vm->st.due = json_number_value(json_object_get(doc, "due"));
	vm->mon.unresponsive_wall = json_number_value(json_object_get(doc, "unresponsive"));
	free(vm->mon.trouble);
	vm->mon.trouble = xstrdup(trouble);
	free(vm->mon.io_error);
	vm->mon.io_error = xstrdup(io_error);
	vm->log.resets.n = (unsigned)json_integer_value(json_object_get(doc, "resets"));
	vm->log.resets.last = json_number_value(json_object_get(doc, "last_reset"));
	vm->mon.balloon_back = json_integer_value(json_object_get(doc, "balloon_back"));
	vm->ready_seen = json_is_true(json_object_get(doc, "ready"));
	snprintf(vm->ready_status, sizeof vm->ready_status, "%s", status ? status : "");
}

/* --- times: the wall clock's are shown, the others are reckoned with --- */

/* For a daemon that knows no stop_left: by the boot-time clock, and the same each time that it is written. */
static double stop_deadline(const struct vm *vm)
{
	return vm->st.state == VM_STOPPING ? (double)(json_int_t)(vm->stop.deadline + clock_lost() + 0.5) : 0;
}

static void add_times(const struct vm *vm, json_t *doc)
{
	json_object_set_new(doc, "since_boot", json_real(vm->st.since_boot));
	json_object_set_new(doc, "started_boot", json_real(vm->proc.started_boot));
	json_object_set_new(doc, "last_reset_boot", json_real(vm->log.resets.last_boot));
	json_object_set_new(doc, "unresponsive_boot", json_real(vm->mon.unresponsive));
	if (vm->st.state == VM_STOPPING)
		json_object_set_new(doc, "stop_left", json_integer((json_int_t)(vm->stop.deadline - daemon_now()) + 1));
}

/* The same moment by the boot-time clock: as it was recorded, or what follows from the wall clock. */
static double boot_time(const json_t *doc, const char *member, double wall)
{
	const json_t *known = json_object_get(doc, member);
	double now = clock_boot(), boot = known ? json_number_value(known) : now - (clock_wall() - wall);

	return boot > now ? now : boot < 0 ? 0 : boot;
}

static void read_times(struct vm *vm, const json_t *doc)
{
	const json_t *left = json_object_get(doc, "stop_left");
	double old = json_number_value(json_object_get(doc, "stop_deadline")) - clock_boot();

	vm->st.since_boot = boot_time(doc, "since_boot", vm->st.since);
	vm->proc.started_boot = boot_time(doc, "started_boot", vm->proc.started);
	vm->log.resets.last_boot = boot_time(doc, "last_reset_boot", vm->log.resets.last);
	vm->mon.unresponsive = vm->mon.unresponsive_wall > 0 ?
		boot_time(doc, "unresponsive_boot", vm->mon.unresponsive_wall) : 0;
	/* while there was no daemon nobody could act */
	vm->proc.begun = daemon_now();
	vm->stop.deadline = daemon_now() +
		(left ? json_number_value(left) : old > VM_PRESS_SECONDS ? old : VM_PRESS_SECONDS);
}

/* FNV-1a */
static uint64_t hash_of(const char *text, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* Nothing when it says what it said before: most events after an adoption. */
static int replace(struct vm *vm, const char *text, struct err *e)
{
	size_t len = strlen(text);
	uint64_t hash = hash_of(text, len);
	int r;

	if (hash == vm->proc.recorded)
		return 0;
	r = file_replace(vm->proc.run_fd, "record.json", 0600, text, len, false, e);
	vm->proc.recorded = r == 0 ? hash : 0;
	return r;
}

int vm_record_save(struct vm *vm, struct err *e)
{
	json_t *doc;
	char *text;
	int r;

	vm_run_dir_clear(vm, "record.json");
	doc = json_pack("{s:i, s:s, s:b, s:s, s:s, s:f, s:f, s:i, s:I, s:s, s:s, s:b, s:b, s:f, s:i, s:o}",
		"version", RECORD_VERSION, "name", vm->name, "want_running", vm->st.want != VM_WANT_STOPPED,
		"state", vm_state_inner_name(vm->st.state), "reason", vm->st.reason, "since", vm->st.since,
		"started", vm->proc.started, "pid", (int)vm->proc.pid, "starttime", (json_int_t)vm->proc.starttime,
		"boot_id", vm->daemon->boot_id, "accel", conf_accel_name(vm->proc.accel), "quit_sent",
		vm->proc.quit_sent, "paused_start", vm->st.paused_start, "stop_deadline", stop_deadline(vm),
		"ending", ending_number(vm), "nics", vm_nics_json(vm));
	add_policy(vm, doc);
	add_times(vm, doc);
	text = json_dumps(doc, JSON_INDENT(1));
	r = text ? replace(vm, text, e) : err_set(e, ERR_FAILED, "cannot be written as JSON");
	free(text);
	json_decref(doc);
	return r < 0 ? err_wrap(e, r, "run record") : 0;
}

int vm_record_save_conf(struct vm *vm, struct err *e)
{
	struct buf text = BUF_INIT;
	int r;

	vm_run_dir_clear(vm, "effective.vm");
	conf_vm_dump(&vm->proc.conf, false, &text);
	vm->proc.conf_hash = hash_of(text.data ? text.data : "", text.len);
	r = file_replace(vm->proc.run_fd, "effective.vm", 0600, text.data ? text.data : "", text.len, false, e);
	buf_release(&text);
	return r < 0 ? err_wrap(e, r, "run record") : 0;
}

/* What somebody removed of it is there again with the next change. */
static int write_again(struct vm *vm, struct err *e)
{
	int r = vm_run_dir(vm, e);

	if (r == 0 && !vm->proc.conf_lost)
		r = vm_record_save_conf(vm, e);
	if (r == 0)
		r = vm_record_save(vm, e);
	if (r == 0)
		log_warning(vm->name, "its run directory was removed: made anew");
	return r;
}

void vm_record_write(struct vm *vm)
{
	struct err e = ERR_INIT;
	bool up = vm_state_has_process(vm->st.state);

	if (vm->proc.run_fd < 0 || vm_record_save(vm, &e) == 0)
		return;
	if (!up || write_again(vm, &e) < 0)
		log_error(vm->name, "%s", e.text);
}

int vm_record_parse_conf(struct vm *vm, const char *text, size_t len)
{
	struct conf_problems problems = { 0 };
	struct conf_source source = { .file = "effective.vm", .text = text, .len = len };
	struct conf_context ctx = { .uuid = vm->identity.uuid, .state_dir = vm->daemon->dirs.state };
	int r;

	conf_vm_release(&vm->proc.conf);
	conf_vm_parse(&vm->proc.conf, vm->name, &source, 1, &ctx, &problems);
	if (problems.count)
		log_warning(vm->name, "effective configuration: %s", problems.text.data);
	r = problems.count ? -EINVAL : 0;
	conf_problems_release(&problems);
	return r;
}

/* hash: as its record says, NULL: an older one's. What was cut short may still make sense. */
static void read_conf(struct vm *vm, const char *hash)
{
	struct buf text = BUF_MAX(CONF_TEXT_MAX);
	struct err e = ERR_INIT;
	int r = file_read(vm->proc.run_fd, "effective.vm", &text, &e);

	vm->proc.conf_hash = hash_of(text.data ? text.data : "", text.len);
	if (r == 0 && (hash ? strtoull(hash, NULL, 16) != vm->proc.conf_hash : !text.len))
		r = err_set(&e, ERR_FAILED, "'effective.vm' is damaged");
	if (r < 0)
		log_warning(vm->name, "%s", e.text);
	else
		r = vm_record_parse_conf(vm, text.data ? text.data : "", text.len);
	vm->proc.conf_lost |= r < 0;
	buf_release(&text);
}

int vm_record_read(struct vm *vm, struct record_process *out, struct err *e)
{
	struct buf text = BUF_MAX(1 << 20);
	json_t *doc = NULL, *nics = NULL;
	const char *accel = "", *reason = "", *state = "", *boot = "", *name = vm->name;
	int version = 0, pid = 0, want = 0, quit = 0, paused = 0, ending = 0, r;
	json_int_t starttime = 0;
	double deadline;

	r = file_read(vm->proc.run_fd, "record.json", &text, e);
	if (r == 0) {
		doc = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
		if (json_unpack(doc, "{s?s, s:i, s:b, s:s, s:s, s:F, s:F, s:i, s:I, s:s, s:s, s:b, s:b, s:F, s:i, s:o}", "name", &name,
			    "version", &version, "want_running", &want, "state", &state, "reason",
			    &reason, "since", &vm->st.since, "started", &vm->proc.started, "pid", &pid,
			    "starttime", &starttime, "boot_id", &boot, "accel", &accel, "quit_sent", &quit,
			    "paused_start", &paused, "stop_deadline", &deadline, "ending", &ending,
			    "nics", &nics) < 0 ||
			version != RECORD_VERSION || !streq(name, vm->name) || ending < 0 || ending >= VM_ENDINGS) {
			version = (int)json_integer_value(json_object_get(doc, "version"));
			r = version > RECORD_VERSION ?
				err_set(e, ERR_FAILED, "run record is of a newer vmkeep (version %d)", version) :
				err_set(e, ERR_FAILED, "run record is damaged");
		}
	}
	*out = (struct record_process){ .pid = (pid_t)json_integer_value(json_object_get(doc, "pid")),
		.starttime = (uint64_t)json_integer_value(json_object_get(doc, "starttime")),
		.newer = r < 0 && version > RECORD_VERSION };
	/* as far as they are what they were: nobody else's taps are taken for strangers */
	if (out->newer)
		vm_nics_read(vm, json_object_get(doc, "nics"));
	if (r == 0) {
		*out = (struct record_process){ .pid = pid, .starttime = (uint64_t)starttime,
			.same_boot = proc_same_boot(boot, vm->daemon->boot_id),
			.early = streq(state, "spawning") || streq(state, "greeting"),
			.paused = streq(state, "paused"),
			.stopping = streq(state, "stopping"),
			.quitting = streq(state, "quitting"),
			.backoff = streq(state, "backoff"),
			.failed = streq(state, "failed") };
		vm->st.want = want ? VM_WANT_RUNNING : VM_WANT_STOPPED;
		vm->proc.quit_sent = quit;
		vm->st.paused_start = paused;
		vm->st.ending = (enum vm_ending)ending;
		vm->proc.accel = streq(accel, "tcg") ? CONF_ACCEL_TCG : CONF_ACCEL_KVM;
		vm_set_reason(vm, "%s", reason);
		vm->proc.recorded = text.data ? hash_of(text.data, text.len) : 0;
		vm->proc.conf_lost = json_is_true(json_object_get(doc, "conf_lost"));
		if (!out->backoff && !out->failed && !vm->proc.conf_lost) /* it went with its process */
			read_conf(vm, json_string_value(json_object_get(doc, "conf_hash")));
		vm_nics_read(vm, nics);
		read_policy(vm, doc);
		read_times(vm, doc);
	}
	json_decref(doc);
	buf_release(&text);
	return r;
}

int vm_record_begin(struct vm *vm, struct err *e)
{
	int r = vm_run_dir_new(vm, e);

	if (r == 0)
		r = vm_record_save_conf(vm, e);
	if (r == 0)
		r = vm_record_save(vm, e);
	return r == 0 ? vm_run_dir_place(vm, e) : r;
}

void vm_record_rest(struct vm *vm)
{
	struct err e = ERR_INIT;
	int r = vm_run_dir_new(vm, &e);

	if (r == 0)
		r = vm_record_save(vm, &e);
	if (r == 0)
		r = vm_run_dir_place(vm, &e);
	if (r < 0)
		log_error(vm->name, "%s", e.text);
	close_fd(&vm->proc.run_fd);
}

void vm_record_write_resting(struct vm *vm)
{
	struct err e = ERR_INIT;

	if (vm_run_dir(vm, &e) < 0)
		log_error(vm->name, "run record: %s", e.text);
	vm_record_write(vm);
	close_fd(&vm->proc.run_fd);
}
