/* SPDX-License-Identifier: MIT */
/* Changes a guest's memory while it runs: sets the balloon target and polls until the guest reaches
 * it. */
#include "supervisor/guest/balloon.h"

#include "base/log.h"
#include "base/text.h"
#include "supervisor/vm/vms.h"

enum {
	TOLERANCE = 1 << 20, /* bytes */
	STATS_SECONDS = 1,   /* how often the driver is asked for statistics during a change */
};

static const double poll_first = 0.05, poll_last = 0.25, poll_growth = 1.5;
static const double silence_max =
	3; /* seconds without progress before checking whether there is a driver at all */
static const char balloon_path[] = "/machine/peripheral/balloon0";

/*
 * One change in progress. It lives at most as long as its QMP session and holds no pointer to the
 * VM, which may be freed before the session reports its end.
 */
struct balloon {
	struct qmp *q;
	struct qmp_listener listener;
	struct daemon *daemon;
	struct job *job;
	struct loop_timer poll;
	double every, timeout;
	double deadline, moved; /* daemon_now() */
	uint64_t target, before, actual;
	bool asking, late;
};

json_int_t memory_parse(const struct conf_vm *c, const json_t *data)
{
	json_int_t actual = json_integer_value(json_object_get(data, "actual"));
	uint64_t most = c->memory_max > c->memory ? c->memory_max : c->memory;

	return actual > 0 && (uint64_t)actual <= most ? actual : 0;
}

/* --- bounds --- */

int memory_check(const struct conf_vm *c, uint64_t bytes, bool force, struct err *e)
{
	uint64_t most = c->memory_max > c->memory ? c->memory_max : c->memory;
	uint64_t floor = c->memory_min ? c->memory_min : MEMORY_FLOOR;
	char asked[16], bound[16];

	if (floor > most)
		floor = most;
	if (force && floor > MEMORY_FORCED_FLOOR)
		floor = MEMORY_FORCED_FLOOR;
	text_size(asked, sizeof asked, bytes);
	if (bytes > most) {
		err_set(e, ERR_USAGE, "%s is more than the %s that the guest was started with",
			asked, text_size(bound, sizeof bound, most));
		return err_hint(e, "raise [Memory] Max=, which applies at the next start");
	}
	if (bytes >= floor)
		return 0;
	err_set(e, ERR_USAGE, "%s is below the floor of %s", asked,
		text_size(bound, sizeof bound, floor));
	if (floor <= MEMORY_FORCED_FLOOR)
		return e->number;
	return err_hint(e, "--force goes below it, down to 16M; [Memory] Min= changes it");
}

static int memory_refused(
	const struct vm *vm, uint64_t bytes, bool force, const struct job *j, struct err *e)
{
	if (vm->busy)
		return err_set(e, ERR_CONFLICT, "%s is under way", vm->busy);
	for (const struct job *other = j->next; other; other = other->next)
		if (other->ended <= 0 && streq(other->verb, j->verb) && streq(other->vm, j->vm)) {
			err_set(e, ERR_CONFLICT, "its memory is already being changed, by job %u",
				other->id);
			return err_hint(e, "vmkeep job cancel %u cancels it", other->id);
		}
	if (memory_check(&vm->proc.conf, bytes, force, e) < 0)
		return e->number;
	if (!vm->proc.conf.balloon) {
		err_set(e, ERR_GUEST_REFUSED, "it was started without a balloon device");
		return err_hint(e, "[Memory] Balloon=yes adds one at the next start");
	}
	if (vm->st.state == VM_PAUSED) {
		err_set(e, ERR_WRONG_STATE, "is paused: a paused guest cannot change its memory");
		return err_hint(e, "vmkeep resume %s", vm->name);
	}
	if (!vm->mon.qmp)
		return err_set(e, ERR_TIMEOUT, "QEMU's monitor does not answer: nothing was done");
	return 0;
}

/* --- the operation --- */

static struct vm *memory_vm_of(const struct balloon *b)
{
	struct vm *vm = vms_find(b->daemon->vms, b->job->vm);

	return vm && vm->mon.qmp == b->q ? vm : NULL;
}

static void memory_send_stats_interval(struct qmp *q, int seconds)
{
	qmp_call(q, "qom-set",
		json_pack("{s:s, s:s, s:i}", "path", balloon_path, "property",
			"guest-stats-polling-interval", "value", seconds),
		-1, VM_QMP_SECONDS, NULL, NULL);
}

/* The size to go back to if the change fails; 0: none. */
static void memory_set_back(struct vm *vm, uint64_t bytes)
{
	if (vm->mon.balloon_back == (json_int_t)bytes)
		return;
	vm->mon.balloon_back = (json_int_t)bytes;
	vm_record_write(vm);
}

static void memory_on_back(void *data, const json_t *result, const struct err *e)
{
	/* if the session ended before QEMU answered, the next one retries */
	if (!e || (e->class != ERR_UNREACHABLE && e->class != ERR_TIMEOUT))
		memory_set_back(data, 0);
}

static void memory_go_back(struct vm *vm)
{
	memory_send_stats_interval(vm->mon.qmp, 0);
	vm_call(vm, "balloon", json_pack("{s:I}", "value", vm->mon.balloon_back), memory_on_back);
}

void memory_restore(struct vm *vm)
{
	char size[16];
	unsigned n;

	if (!vm->mon.balloon_back || !vm->mon.qmp ||
		job_running(vm->daemon, "vm-set-memory", vm->name, &n))
		return;
	log_warning(vm->name, "a change of its memory was interrupted: reverting it to %s",
		text_size(size, sizeof size, (uint64_t)vm->mon.balloon_back));
	memory_go_back(vm);
}

static void memory_finish(struct balloon *b, const struct err *e)
{
	struct vm *vm = memory_vm_of(b);
	json_t *result = e ? NULL : json_pack("{s:I}", "actual", (json_int_t)b->actual);

	if (vm && b->actual)
		vm->mon.balloon = (json_int_t)b->actual;
	loop_timer_stop(&b->poll);
	qmp_unlisten(b->q, &b->listener);
	qmp_forget(b->q, b);
	b->job->cancel = NULL;
	if (vm && e && vm->mon.balloon_back) {
		memory_go_back(vm);
	} else if (vm) {
		memory_send_stats_interval(vm->mon.qmp, 0);
		memory_set_back(vm, 0);
	}
	job_finish(b->job, result, e);
	free(b);
}

/* memory_finish() sends nothing on a session that is gone. */
static void memory_lost(struct balloon *b, const struct err *e)
{
	struct err own = ERR_INIT;

	if (e->class == ERR_UNREACHABLE)
		err_set(&own, ERR_QEMU_FAILED, "its QEMU went away in the meantime");
	else
		err_copy(&own, e);
	memory_finish(b, &own);
}

static void memory_give_up(struct balloon *b, bool has_driver)
{
	struct err e = ERR_INIT;
	char target[16], actual[16];
	struct vm *vm;

	text_size(target, sizeof target, b->target);
	text_size(actual, sizeof actual, b->actual);
	if (has_driver) {
		err_set(&e, ERR_GUEST_REFUSED, "the guest has %s and did not reach %s within %g s",
			actual, target, b->timeout);
		err_hint(&e, "it keeps that size; --timeout allows more time");
	} else {
		err_set(&e, ERR_GUEST_REFUSED,
			"no balloon driver answers in the guest: its size is still %s", actual);
		err_hint(&e, "a guest that still boots has none yet; Linux's is virtio_balloon");
	}
	vm = memory_vm_of(b);
	if (vm)
		memory_set_back(vm, b->actual);
	memory_finish(b, &e);
}

static void memory_later(struct balloon *b)
{
	loop_timer_start(&b->poll, b->every);
	b->every = b->every * poll_growth < poll_last ? b->every * poll_growth : poll_last;
}

/* A driver fills in the statistics as soon as it is asked; if last-update was never set there is
 * none. */
static void memory_on_stats(void *data, const json_t *result, const struct err *e)
{
	struct balloon *b = data;
	bool has_driver = json_integer_value(json_object_get(result, "last-update")) > 0;

	if (e)
		memory_lost(b, e);
	else if (!has_driver || b->late)
		memory_give_up(b, has_driver);
	else {
		b->moved = daemon_now();
		memory_later(b);
	}
}

static bool memory_arrived(const struct balloon *b)
{
	uint64_t off = b->actual > b->target ? b->actual - b->target : b->target - b->actual;

	return off <= TOLERANCE;
}

static void memory_report_progress(const struct balloon *b)
{
	uint64_t all = b->target > b->before ? b->target - b->before : b->before - b->target;
	uint64_t left = b->target > b->actual ? b->target - b->actual : b->actual - b->target;
	char text[48], actual[16];

	snprintf(text, sizeof text, "guest has %s", text_size(actual, sizeof actual, b->actual));
	job_progress(b->job, left < all ? all - left : 0, all, text);
}

static void memory_check_progress(struct balloon *b)
{
	const struct vm *vm = memory_vm_of(b);
	double now = daemon_now();

	/* time spent paused does not count against the driver */
	if (vm && vm->st.state != VM_RUNNING)
		b->moved = now;
	b->late = now >= b->deadline;
	if (memory_arrived(b))
		memory_finish(b, NULL);
	else if (b->late || now - b->moved >= silence_max)
		qmp_call(b->q, "qom-get",
			json_pack("{s:s, s:s}", "path", balloon_path, "property", "guest-stats"),
			-1, VM_QMP_SECONDS, memory_on_stats, b);
	else
		memory_later(b);
}

static uint64_t memory_actual_of(const struct balloon *b, const json_t *result)
{
	const struct vm *vm = memory_vm_of(b);

	return vm ? (uint64_t)memory_parse(&vm->proc.conf, result) : 0;
}

static struct err memory_nonsense_of(const json_t *result)
{
	struct err e = ERR_INIT;
	_cleanup_(free_ptr) char *text =
		json_dumps(json_object_get(result, "actual"), JSON_ENCODE_ANY);

	err_set(&e, ERR_QEMU_FAILED, "QEMU reports an impossible memory size: %.40s bytes",
		text ? text : "?");
	return e;
}

static void memory_on_size(void *data, const json_t *result, const struct err *e)
{
	struct balloon *b = data;
	uint64_t actual = e ? 0 : memory_actual_of(b, result);
	struct err nonsense = memory_nonsense_of(result);

	b->asking = false;
	if (e || !actual) {
		memory_lost(b, e ? e : &nonsense);
		return;
	}
	if (actual != b->actual)
		b->moved = daemon_now();
	b->actual = actual;
	memory_report_progress(b);
	memory_check_progress(b);
}

static void memory_ask(struct balloon *b)
{
	loop_timer_stop(&b->poll);
	b->asking = true;
	qmp_call(b->q, "query-balloon", NULL, -1, VM_QMP_SECONDS, memory_on_size, b);
}

static void memory_on_poll(void *data)
{
	memory_ask(data);
}

/* QEMU sends at most one event a second, so polling is usually faster. Ignored while a query is in
 * flight. */
static void memory_on_event(struct qmp_listener *l, const char *name, const json_t *data)
{
	struct balloon *b = container_of(l, struct balloon, listener);

	if (streq(name, "BALLOON_CHANGE") && loop_timer_is_active(&b->poll))
		memory_ask(b);
}

static void memory_on_gone(struct qmp_listener *l, const struct err *e)
{
	memory_lost(container_of(l, struct balloon, listener), e);
}

static void memory_on_target(void *data, const json_t *result, const struct err *e)
{
	if (e)
		memory_lost(data, e);
	else
		memory_later(data);
}

static void memory_on_before(void *data, const json_t *result, const struct err *e)
{
	struct balloon *b = data;
	struct vm *vm = memory_vm_of(b);
	struct err nonsense = memory_nonsense_of(result);

	b->before = b->actual = e ? 0 : memory_actual_of(b, result);
	if (!b->actual) {
		memory_lost(b, e ? e : &nonsense);
		return;
	}
	if (vm)
		memory_set_back(vm, b->before);
	memory_send_stats_interval(b->q, STATS_SECONDS);
	qmp_call(b->q, "balloon", json_pack("{s:I}", "value", (json_int_t)b->target), -1,
		VM_QMP_SECONDS, memory_on_target, b);
}

static int memory_on_cancel(void *data, struct err *refused)
{
	struct balloon *b = data;
	struct err e = ERR_INIT;

	err_set(&e, ERR_FAILED, "cancelled; the guest's memory goes back to its previous size");
	memory_finish(b, &e);
	return 0;
}

void memory_set(struct vm *vm, uint64_t bytes, bool force, double timeout, struct job *j)
{
	struct err e = ERR_INIT;
	struct balloon *b;

	if (memory_refused(vm, bytes, force, j, &e) < 0) {
		job_finish(j, NULL, &e);
		return;
	}
	/* the size found by this change is the one to go back to */
	vm->mon.balloon_back = 0;
	b = xcalloc(1, sizeof *b);
	*b = (struct balloon){ .q = vm->mon.qmp,
		.listener = { .event = memory_on_event, .gone = memory_on_gone },
		.daemon = vm->daemon,
		.job = j,
		.every = poll_first,
		.timeout = timeout,
		.deadline = daemon_now() + timeout,
		.moved = daemon_now(),
		.target = bytes };
	loop_timer_init(&b->poll, qmp_loop(b->q), memory_on_poll, b);
	qmp_listen(b->q, &b->listener);
	j->cancel = memory_on_cancel;
	j->cancel_data = b;
	qmp_call(b->q, "query-balloon", NULL, -1, VM_QMP_SECONDS, memory_on_before, b);
}
