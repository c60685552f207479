/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/record_table.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/text.h"
#include "supervisor/vm/nic.h"

/* --- restarts: two arrays, since older daemons know only the first --- */

static json_t *record_write_restarts(const struct vm *vm)
{
	json_t *restarts = json_array();

	for (unsigned i = 0; i < vm->st.policy.n; i++)
		json_array_append_new(restarts, json_real(vm->st.policy.past[i].at));
	return restarts;
}

static json_t *record_write_numbers(const struct vm *vm)
{
	json_t *numbers = json_array();

	for (unsigned i = 0; i < vm->st.policy.n; i++)
		json_array_append_new(numbers, json_integer(vm->st.policy.past[i].n));
	return numbers;
}

static void record_read_restarts(struct vm *vm, const json_t *restarts)
{
	size_t n = json_array_size(restarts);

	vm->st.policy.n = n < POLICY_PAST ? (unsigned)n : POLICY_PAST;
	for (unsigned i = 0; i < vm->st.policy.n; i++)
		vm->st.policy.past[i] =
			(struct policy_past){ json_number_value(json_array_get(restarts, i)), 1 };
}

static void record_read_numbers(struct vm *vm, const json_t *numbers)
{
	for (unsigned i = 0; i < vm->st.policy.n; i++) {
		json_int_t n = json_integer_value(json_array_get(numbers, i));

		if (n > 1 && n <= POLICY_MANY)
			vm->st.policy.past[i].n = (unsigned)n;
	}
}

/* --- changes that are under way: an object --- */

static json_t *record_write_changes(const struct vm *vm)
{
	return json_object_size(vm->proc.changes) ? json_incref(vm->proc.changes) : NULL;
}

static void record_read_changes(struct vm *vm, const json_t *changes)
{
	json_decref(vm->proc.changes);
	vm->proc.changes = json_is_object(changes) ? json_deep_copy(changes) : NULL;
}

/* --- the table --- */

#define VM(member) .at = offsetof(struct vm, member), .size = sizeof((struct vm *)0)->member
#define PROCESS(member)                                                 \
	.process = true, .at = offsetof(struct record_process, member), \
	.size = sizeof((struct record_process *)0)->member
#define BOOT(name, member) .boot_name = (name), .boot = offsetof(struct vm, member)

/* clang-format off */
const struct record_row record_rows[] = {
	{ "want_running",  RECORD_BOOL,   PROCESS(wanted),           .required = true },
	{ "state",         RECORD_WORD,   PROCESS(state),            .required = true, .word = vm_state_inner_name, .words = VM_STATES },
	{ "reason",        RECORD_TEXT,   VM(st.reason),             .required = true },
	{ "since",         RECORD_REAL,   VM(st.since),              .required = true, BOOT("since_boot", st.since_boot) },
	{ "started",       RECORD_REAL,   VM(proc.started),          .required = true, BOOT("started_boot", proc.started_boot) },
	{ "pid",           RECORD_INT,    PROCESS(pid),              .required = true },
	{ "starttime",     RECORD_INT,    PROCESS(starttime),        .required = true },
	{ "boot_id",       RECORD_TEXT,   PROCESS(boot_id),          .required = true },
	{ "accel",         RECORD_WORD,   VM(proc.accel),            .required = true, .word = conf_accel_name, .words = CONF_ACCELS },
	{ "quit_sent",     RECORD_BOOL,   VM(proc.quit_sent),        .required = true },
	{ "paused_start",  RECORD_BOOL,   VM(st.paused_start),       .required = true },
	{ "stop_deadline", RECORD_REAL,   PROCESS(stop_deadline),    .required = true },
	{ "ending",        RECORD_INT,    PROCESS(ending),           .required = true, .max = VM_ENDINGS - 1 },
	{ "nics",          RECORD_ARRAY,  .required = true,          .write = vm_nics_json, .read = vm_nics_read },
	/* added after the first daemon of version 1 */
	{ "ending_word",   RECORD_WORD,   VM(st.ending),             .word = vm_ending_word, .words = VM_ENDINGS },
	{ "restart",       RECORD_TEXT,   VM(st.again) }, /* only with VM_WANT_RESTART */
	{ "restarts",      RECORD_ARRAY,  .write = record_write_restarts, .read = record_read_restarts },
	{ "restarts_n",    RECORD_ARRAY,  .write = record_write_numbers,  .read = record_read_numbers },
	{ "in_row",        RECORD_INT,    VM(st.policy.in_row) },
	{ "serves",        RECORD_TEXT,   VM(st.serves) },
	{ "by_policy",     RECORD_BOOL,   VM(st.by_policy) },
	{ "due",           RECORD_REAL,   VM(st.due) },
	{ "stop_left",     RECORD_INT,    PROCESS(stop_left) },
	{ "stop_ignored",  RECORD_BOOL,   VM(stop.left) },
	{ "stop_timeout",  RECORD_REAL,   VM(stop.timeout) },
	{ "unresponsive",  RECORD_REAL,   VM(mon.unresponsive_wall), BOOT("unresponsive_boot", mon.unresponsive) },
	{ "trouble",       RECORD_STRING, VM(mon.trouble) },
	{ "io_error",      RECORD_STRING, VM(mon.io_error) },
	{ "ready",         RECORD_BOOL,   VM(proc.ready_seen) },
	{ "ready_status",  RECORD_TEXT,   VM(proc.ready_status) },
	{ "resets",        RECORD_INT,    VM(log.resets.n) },
	{ "last_reset",    RECORD_REAL,   VM(log.resets.last),       BOOT("last_reset_boot", log.resets.last_boot) },
	{ "balloon_back",  RECORD_INT,    VM(mon.balloon_back) },
	{ "conf_hash",     RECORD_HEX,    VM(proc.conf_hash) },
	{ "conf_lost",     RECORD_BOOL,   VM(proc.conf_lost) },
	{ "changes",       RECORD_ARRAY,  .write = record_write_changes, .read = record_read_changes },
	{ "cable",         RECORD_STRING, VM(proc.cable) },
};
/* clang-format on */
const size_t record_rows_count = ARRAY_SIZE(record_rows);

/* An earlier version wrote them in the order of its ring buffer. */
static void record_sort_restarts(struct policy_memory *m)
{
	for (unsigned i = 1; i < m->n; i++) {
		struct policy_past p = m->past[i];
		unsigned at = i;

		for (; at > 0 && m->past[at - 1].at > p.at; at--)
			m->past[at] = m->past[at - 1];
		m->past[at] = p;
	}
}

/* --- one member --- */

static json_int_t record_int(const struct record_row *row, const void *at)
{
	int32_t small = 0;
	int64_t large = 0;

	memcpy(row->size == sizeof small ? (void *)&small : &large, at, row->size);
	return row->size == sizeof small ? small : large;
}

static void record_set_int(const struct record_row *row, void *at, json_int_t value)
{
	int32_t small = (int32_t)value;
	int64_t large = value;

	memcpy(at, row->size == sizeof small ? (const void *)&small : &large, row->size);
}

static json_t *record_value(const struct record_row *row, const struct vm *vm, const void *at)
{
	switch (row->type) {
	case RECORD_BOOL:
		return json_boolean(*(const bool *)at);
	case RECORD_INT:
		return json_integer(record_int(row, at));
	case RECORD_HEX:
		return json_sprintf("%016" PRIx64, *(const uint64_t *)at);
	case RECORD_REAL:
		return json_real(*(const double *)at);
	case RECORD_TEXT:
		return json_string(at);
	case RECORD_STRING:
		return json_string(*(char *const *)at);
	case RECORD_WORD:
		return json_string(row->word(*(const unsigned *)at));
	case RECORD_ARRAY:
		return row->write(vm);
	}
	return NULL;
}

static bool record_fits(const struct record_row *row, const json_t *value)
{
	switch (row->type) {
	case RECORD_BOOL:
		return json_is_boolean(value);
	case RECORD_INT:
		return json_is_integer(value) &&
		       (!row->max || (json_integer_value(value) >= 0 &&
					     json_integer_value(value) <= row->max));
	case RECORD_REAL:
		return json_is_number(value);
	case RECORD_HEX:
	case RECORD_TEXT:
	case RECORD_STRING:
	case RECORD_WORD:
		return json_is_string(value);
	case RECORD_ARRAY:
		return value;
	}
	return false;
}

static void record_set_word(const struct record_row *row, unsigned *at, const char *word)
{
	for (unsigned i = 0; word && i < row->words; i++)
		if (streq(row->word(i), word))
			*at = i;
}

/* The same moment by clock_boot(): as recorded, or derived from the wall clock. */
static double record_boot_time(const json_t *known, double wall)
{
	double now = clock_boot(),
	       boot = known ? json_number_value(known) : now - (clock_wall() - wall);

	return boot > now ? now : boot < 0 ? 0 : boot;
}

/* value NULL: missing or wrong type, which means 0. */
static void record_set(const struct record_row *row, struct vm *vm, void *at, const json_t *value)
{
	const char *text = json_string_value(value);

	switch (row->type) {
	case RECORD_BOOL:
		*(bool *)at = json_is_true(value);
		return;
	case RECORD_INT:
		record_set_int(row, at, json_integer_value(value));
		return;
	case RECORD_HEX:
		*(uint64_t *)at = text ? strtoull(text, NULL, 16) : 0;
		return;
	case RECORD_REAL:
		*(double *)at = json_number_value(value);
		return;
	case RECORD_TEXT:
		text_shorten(at, row->size, text ? text : "");
		text_clean(at);
		return;
	case RECORD_STRING:
		free(*(char **)at);
		*(char **)at = xstrdup(text);
		return;
	case RECORD_WORD:
		record_set_word(row, at, text);
		return;
	case RECORD_ARRAY:
		row->read(vm, value);
	}
}

/* --- the whole record --- */

static int record_add(json_t *doc, const struct record_row *row, const struct vm *vm,
	const struct record_process *p)
{
	const void *at = (const char *)(row->process ? (const void *)p : vm) + row->at;
	const void *boot = (const char *)vm + row->boot;
	int r = json_object_set_new(doc, row->name, record_value(row, vm, at));

	if (row->boot_name)
		json_object_set_new(doc, row->boot_name, json_real(*(const double *)boot));
	return row->required ? r : 0;
}

json_t *record_write(const struct vm *vm)
{
	bool stopping = vm->st.state == VM_STOPPING;
	double left = stopping ? vm->stop.deadline - daemon_now() : 0;
	struct record_process p = { .pid = vm->proc.pid,
		.starttime = vm->proc.starttime,
		.state = vm->st.state,
		.wanted = vm->st.want != VM_WANT_STOPPED,
		/* for a daemon that does not know ending_word */
		.ending = vm->st.ending == VM_END_QMP_QUIT    ? VM_END_HOST_SIGNAL
			  : vm->st.ending == VM_END_HOST_DOWN ? VM_END_QUIT
							      : (int)vm->st.ending,
		.stop_left = stopping ? (left > 0 ? (json_int_t)left : 0) + 1 : 0,
		/* for a daemon that does not know stop_left: by clock_boot(), and the same in
		 * every write */
		.stop_deadline =
			stopping ? (double)(json_int_t)(vm->stop.deadline + clock_lost() + 0.5)
				 : 0 };
	json_auto_t *doc = json_pack("{s:i, s:s}", "version", RECORD_VERSION, "name", vm->name);
	int r = doc ? 0 : -1;

	snprintf(p.boot_id, sizeof p.boot_id, "%s", vm->daemon->boot_id);
	for (size_t i = 0; r == 0 && i < record_rows_count; i++)
		r = record_add(doc, &record_rows[i], vm, &p);
	/* an older daemon ignores "restart" and sees a VM wanted running: after the stop, policy
	 * decides */
	if (vm->st.want != VM_WANT_RESTART)
		json_object_del(doc, "restart");
	if (!stopping)
		json_object_del(doc, "stop_left");
	return r == 0 ? json_incref(doc) : NULL;
}

/* Derives what depends on several members. */
static void record_settle(struct vm *vm, struct record_process *p)
{
	double old = p->stop_deadline - clock_boot();
	bool again = vm->st.again[0];

	p->early = p->state == VM_SPAWNING || p->state == VM_GREETING;
	p->same_boot = proc_same_boot(p->boot_id, vm->daemon->boot_id);
	if (vm->st.ending == VM_ENDINGS)
		vm->st.ending = (enum vm_ending)p->ending;
	vm->st.want = again ? VM_WANT_RESTART : p->wanted ? VM_WANT_RUNNING : VM_WANT_STOPPED;
	/* the requester no longer waits: policy retries if the host is the cause */
	vm->st.by_policy |= again;
	record_sort_restarts(&vm->st.policy);
	/* nobody could act while there was no daemon */
	vm->proc.begun = daemon_now();
	vm->stop.deadline = daemon_now() + (p->stop_left		    ? (double)p->stop_left
						   : old > VM_PRESS_SECONDS ? old
									    : VM_PRESS_SECONDS);
}

bool record_read(struct vm *vm, struct record_process *p, const json_t *doc)
{
	for (size_t i = 0; i < record_rows_count; i++)
		if (record_rows[i].required &&
			!record_fits(&record_rows[i], json_object_get(doc, record_rows[i].name)))
			return false;
	*p = (struct record_process){ .state = VM_RUNNING };
	vm->st.ending = VM_ENDINGS;
	for (size_t i = 0; i < record_rows_count; i++) {
		const struct record_row *row = &record_rows[i];
		const json_t *value = json_object_get(doc, row->name);
		char *at = (char *)(row->process ? (void *)p : vm) + row->at;
		void *boot = (char *)vm + row->boot;

		record_set(row, vm, at, record_fits(row, value) ? value : NULL);
		if (row->boot_name)
			*(double *)boot = record_boot_time(json_object_get(doc, row->boot_name),
				json_number_value(json_object_get(doc, row->name)));
	}
	record_settle(vm, p);
	return true;
}
