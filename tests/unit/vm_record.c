/* SPDX-License-Identifier: MIT */
/*
 * Proves that each row of the run record is read back as written, that the first daemon with
 * version 1 can read today's record, and the effect of a damaged or missing member: if it is
 * required the record is refused before anything is changed, otherwise it counts as missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "supervisor/vm/nic.h"
#include "supervisor/vm/record_table.h"

static struct daemon host;

static struct vm *vm_make(void)
{
	struct vm *vm = xcalloc(1, sizeof *vm);

	vm->daemon = &host;
	vm->name = (char *)(uintptr_t)"a";
	vm->st.state = VM_RUNNING;
	return vm;
}

static void vm_unmake(struct vm *vm)
{
	vm_free_nics(vm);
	free(vm->mon.trouble);
	free(vm->mon.io_error);
	free(vm);
}

static void *row_at(const struct record_row *row, struct vm *vm)
{
	return (char *)vm + row->at;
}

/* A value unlike that of a fresh VM, and unlike any other row's. */
static void row_fill(const struct record_row *row, struct vm *vm, unsigned word)
{
	unsigned n = (unsigned)(row - record_rows) + 3;
	char text[32];

	snprintf(text, sizeof text, "%s \u00e9 %u", row->name, n);
	switch (row->type) {
	case RECORD_BOOL:
		*(bool *)row_at(row, vm) = true;
		break;
	case RECORD_INT:
		assert_true(row->size == 4 || row->size == 8);
		memset(row_at(row, vm), (int)n, row->size);
		break;
	case RECORD_HEX:
		assert_int_equal(row->size, 8);
		memset(row_at(row, vm), 0xf0, row->size);
		break;
	case RECORD_REAL:
		*(double *)row_at(row, vm) = n + 0.25;
		break;
	case RECORD_TEXT:
		snprintf(row_at(row, vm), row->size, "%s", text);
		break;
	case RECORD_STRING:
		*(char **)row_at(row, vm) = xstrdup(text);
		break;
	case RECORD_WORD:
		*(unsigned *)row_at(row, vm) = word;
		break;
	case RECORD_ARRAY:
		break;
	}
	if (row->boot_name)
		*(double *)((char *)vm + row->boot) = clock_boot() / n;
}

static void row_compare(const struct record_row *row, struct vm *a, struct vm *b)
{
	if (row->type == RECORD_STRING)
		assert_string_equal(*(char **)row_at(row, a), *(char **)row_at(row, b));
	else if (row->type == RECORD_TEXT)
		assert_string_equal(row_at(row, a), row_at(row, b));
	else
		assert_memory_equal(row_at(row, a), row_at(row, b), row->size);
	if (row->boot_name)
		assert_memory_equal((char *)a + row->boot, (char *)b + row->boot, sizeof(double));
}

static void each_row_comes_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < record_rows_count; i++) {
		const struct record_row *row = &record_rows[i];

		for (unsigned word = 0; !row->process && word < (row->words ? row->words : 1);
			word++) {
			struct vm *a = vm_make(), *b = vm_make();
			struct record_process p;
			json_t *doc;

			row_fill(row, a, word);
			if (a->st.again[0])
				a->st.want = VM_WANT_RESTART;
			doc = record_write(a);
			assert_non_null(doc);
			assert_true(record_read(b, &p, doc));
			row_compare(row, a, b);
			assert_int_equal(a->st.want, b->st.want);
			json_decref(doc);
			vm_unmake(a);
			vm_unmake(b);
		}
	}
}

static void the_process_comes_back(void **state)
{
	(void)state;
	for (unsigned s = 0; s < VM_STATES; s++)
		for (unsigned want = 0; want < VM_WANTS; want++) {
			struct vm *a = vm_make(), *b = vm_make();
			struct record_process p;
			json_t *doc;

			a->st.state = (enum vm_state)s;
			a->st.want = (enum vm_want)want;
			snprintf(a->st.again, sizeof a->st.again, "uid 1000");
			a->proc.pid = 4711;
			a->proc.starttime = UINT64_C(1) << 40;
			a->stop.deadline = daemon_now() + 1000;
			doc = record_write(a);
			assert_true(record_read(b, &p, doc));
			assert_int_equal(p.state, s);
			assert_int_equal(p.early, s == VM_SPAWNING || s == VM_GREETING);
			assert_int_equal(b->st.want, want);
			assert_string_equal(b->st.again, want == VM_WANT_RESTART ? "uid 1000" : "");
			assert_int_equal(b->st.by_policy, want == VM_WANT_RESTART);
			assert_int_equal(p.pid, 4711);
			assert_int_equal(b->proc.pid, 0); /* not before the process is found */
			assert_true(p.starttime == a->proc.starttime);
			assert_true(p.same_boot);
			assert_int_equal(p.stop_left > 0, s == VM_STOPPING);
			assert_int_equal(p.stop_deadline > 0, s == VM_STOPPING);
			json_decref(doc);
			vm_unmake(a);
			vm_unmake(b);
		}
}

static void arrays_come_back(void **state)
{
	struct vm *a = vm_make(), *b = vm_make();
	struct record_process p;
	json_t *doc;

	(void)state;
	a->st.policy.n = POLICY_PAST;
	for (unsigned i = 0; i < POLICY_PAST; i++)
		a->st.policy.past[i] = (struct policy_past){ 10 + i, 1 + i };
	vm_add_nic(a, &(struct network_nic){ .nic = "lan",
			      .network = "default",
			      .hostname = "a",
			      .address = 0xc0a80102,
			      .fixed = true })
		->tap = (struct tap){ .name = "vk-a.0", .index = 7 };
	doc = record_write(a);
	assert_true(record_read(b, &p, doc));
	assert_memory_equal(&a->st.policy, &b->st.policy, sizeof a->st.policy);
	assert_int_equal(b->proc.nics, 1);
	assert_string_equal(b->proc.nic[0].tap.name, "vk-a.0");
	assert_int_equal(b->proc.nic[0].tap.index, 7);
	assert_null(b->proc.nic[0].net.bridge);
	assert_true(b->proc.nic[0].net.fixed && !b->proc.nic[0].net.link);
	/* an earlier version wrote these from the start of its ring buffer, and without counts */
	json_object_set_new(doc, "restarts", json_pack("[f, f, f]", 30.0, 10.0, 20.0));
	json_object_del(doc, "restarts_n");
	assert_true(record_read(b, &p, doc));
	assert_int_equal(b->st.policy.n, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_true(
			b->st.policy.past[i].at == 10.0 * (i + 1) && b->st.policy.past[i].n == 1);
	json_decref(doc);
	vm_unmake(a);
	vm_unmake(b);
}

/* The members that version 1's first daemon requires, in its own format string. */
static void an_older_daemon_reads_it(void **state)
{
	enum { FIRST_ENDINGS = VM_END_QMP_QUIT };

	(void)state;
	for (unsigned ending = 0; ending < VM_ENDINGS; ending++) {
		const char *s[6] = { 0 };
		struct vm *a = vm_make();
		int version, want, pid, quit, paused, number;
		double since, started, deadline;
		json_int_t starttime;
		json_t *doc, *nics;

		a->st.ending = (enum vm_ending)ending;
		doc = record_write(a);
		assert_int_equal(
			json_unpack(doc,
				"{s?s, s:i, s:b, s:s, s:s, s:F, s:F, s:i, s:I, s:s, s:s, s:b, s:b, s:F, s:i, s:o}",
				"name", &s[0], "version", &version, "want_running", &want, "state",
				&s[1], "reason", &s[2], "since", &since, "started", &started, "pid",
				&pid, "starttime", &starttime, "boot_id", &s[3], "accel", &s[4],
				"quit_sent", &quit, "paused_start", &paused, "stop_deadline",
				&deadline, "ending", &number, "nics", &nics),
			0);
		assert_int_equal(version, 1);
		assert_in_range(number, 0, FIRST_ENDINGS - 1);
		assert_null(json_object_get(doc, "restart"));
		assert_null(json_object_get(doc, "stop_left"));
		json_decref(doc);
		vm_unmake(a);
	}
}

static bool type_fits(enum record_type type, const json_t *value)
{
	switch (type) {
	case RECORD_BOOL:
		return json_is_boolean(value);
	case RECORD_INT:
		return json_is_integer(value);
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

/* value: NULL removes the member. */
static void damage(const struct record_row *row, json_t *value)
{
	struct vm *a = vm_make(), *b = vm_make(), *fresh = vm_make();
	struct record_process p;
	bool fits = type_fits(row->type, value), read;
	json_t *doc;

	if (!row->process)
		row_fill(row, a, 1);
	doc = record_write(a);
	if (value)
		json_object_set_new(doc, row->name, value);
	else
		json_object_del(doc, row->name);
	read = record_read(b, &p, doc);
	assert_int_equal(read, fits || !row->required);
	if (!read)
		assert_memory_equal(b, fresh, sizeof *b);
	else if (!fits && !row->process && row->type == RECORD_STRING)
		assert_null(*(char **)row_at(row, b));
	else if (!fits && !row->process && row->type != RECORD_ARRAY && row->type != RECORD_WORD)
		assert_memory_equal(row_at(row, b), row_at(row, fresh), row->size);
	json_decref(doc);
	vm_unmake(a);
	vm_unmake(b);
	vm_unmake(fresh);
}

static void damaged_members(void **state)
{
	static const char *const values[] = { "null", "true", "false", "\"x\"", "3", "1.5", "[]",
		"{}" };
	struct vm *a = vm_make(), *b = vm_make();
	struct record_process p;
	json_t *doc;

	(void)state;
	for (size_t i = 0; i < record_rows_count; i++) {
		damage(&record_rows[i], NULL);
		for (size_t v = 0; v < ARRAY_SIZE(values); v++)
			damage(&record_rows[i], json_loads(values[v], JSON_DECODE_ANY, NULL));
	}
	a->st.ending = VM_END_PANIC;
	doc = record_write(a);
	json_object_set_new(doc, "ending_word", json_string("of a later version"));
	assert_true(record_read(b, &p, doc));
	assert_int_equal(b->st.ending, VM_END_PANIC);
	json_object_set_new(doc, "state", json_string("of a later version"));
	assert_true(record_read(b, &p, doc));
	assert_int_equal(p.state, VM_RUNNING);
	json_object_set_new(doc, "ending", json_integer(VM_ENDINGS));
	assert_false(record_read(b, &p, doc));
	json_object_set_new(doc, "ending", json_integer(-1));
	assert_false(record_read(b, &p, doc));
	assert_false(record_read(b, &p, NULL));
	json_decref(doc);
	vm_unmake(a);
	vm_unmake(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_comes_back),
		cmocka_unit_test(the_process_comes_back),
		cmocka_unit_test(arrays_come_back),
		cmocka_unit_test(an_older_daemon_reads_it),
		cmocka_unit_test(damaged_members),
	};

	snprintf(host.boot_id, sizeof host.boot_id, "11111111-2222-3333-4444-555555555555");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
