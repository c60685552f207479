/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/unplug.h"

#include "base/mem.h"

static const double UNPLUG_AGAIN = 5; /* seconds; QEMU refuses to repeat it earlier */

/* Holds no pointer to the VM, which may be freed before its session reports its end. */
struct unplug {
	struct qmp *q;
	struct qmp_listener listener;
	struct job *job;
	struct loop_timer timer;
	char device[80], what[80];
	double timeout, left, step; /* seconds */
	char *said;		    /* QEMU's answer to the last request, if it was an error */
	unplug_fn *done;
	void *data;
};

static void unplug_end(struct unplug *u, enum unplug_end end, const struct err *e)
{
	unplug_fn *done = u->done;
	void *data = u->data;
	struct err own = ERR_INIT;

	if (e)
		err_copy(&own, e);
	if (u->job)
		u->job->cancel = NULL;
	loop_timer_stop(&u->timer);
	qmp_unlisten(u->q, &u->listener);
	qmp_forget(u->q, u);
	free(u->said);
	free(u);
	done(data, end, e ? &own : NULL);
}

static void unplug_lost(struct unplug *u)
{
	struct err e = ERR_INIT;

	err_set(&e, ERR_QEMU_FAILED, "its monitor was lost before the guest had released %s",
		u->what);
	unplug_end(u, UNPLUG_LOST, &e);
}

static void unplug_on_reply(void *data, const json_t *result, const struct err *e)
{
	struct unplug *u = data;

	free_ptr(&u->said);
	if (e && e->class == ERR_NOT_FOUND)
		unplug_end(u, UNPLUG_GONE, NULL);
	else if (e && e->class == ERR_UNREACHABLE)
		unplug_lost(u);
	else if (e)
		u->said = xstrdup(e->text);
}

/* An error is none of ours: the guest is busy, or was asked before. The device's end counts. */
static void unplug_ask(struct unplug *u)
{
	u->step = u->left < UNPLUG_AGAIN ? u->left : UNPLUG_AGAIN;
	loop_timer_start(&u->timer, u->step);
	qmp_call(u->q, "device_del", json_pack("{s:s}", "id", u->device), -1, VM_QMP_SECONDS,
		unplug_on_reply, u);
}

static void unplug_refused(struct unplug *u)
{
	struct err e = ERR_INIT;

	err_set(&e, ERR_GUEST_REFUSED, "the guest did not release %s within %g s%s%s%s", u->what,
		u->timeout, u->said ? " (QEMU: " : "", u->said ? u->said : "", u->said ? ")" : "");
	err_hint(&e,
		"it may do so later, at the latest when it is reset; --timeout TIME waits longer");
	unplug_end(u, UNPLUG_STAYS, &e);
}

static void unplug_on_timer(void *data)
{
	struct unplug *u = data;

	u->left -= u->step;
	if (u->left > 0)
		unplug_ask(u);
	else
		unplug_refused(u);
}

static int unplug_cancel(void *data, struct err *refused)
{
	struct unplug *u = data;
	struct err e = ERR_INIT;

	err_set(&e, ERR_FAILED, "cancelled; the guest was asked already, and may still release %s",
		u->what);
	unplug_end(u, UNPLUG_STAYS, &e);
	return 0;
}

static void unplug_on_event(struct qmp_listener *l, const char *name, const json_t *data)
{
	struct unplug *u = container_of(l, struct unplug, listener);

	if (streq(unplug_gone(name, data), u->device))
		unplug_end(u, UNPLUG_GONE, NULL);
}

static void unplug_on_gone(struct qmp_listener *l, const struct err *e)
{
	unplug_lost(container_of(l, struct unplug, listener));
}

void unplug_begin(struct vm *vm, const char *device, const char *what, double timeout,
	struct job *j, unplug_fn *done, void *data)
{
	struct unplug *u = xcalloc(1, sizeof *u);

	*u = (struct unplug){ .q = vm->mon.qmp,
		.listener = { .event = unplug_on_event, .gone = unplug_on_gone },
		.job = j,
		.timeout = timeout,
		.left = timeout,
		.done = done,
		.data = data };
	snprintf(u->device, sizeof u->device, "%s", device);
	snprintf(u->what, sizeof u->what, "%s", what);
	loop_timer_init(&u->timer, vm->daemon->loop.ev, unplug_on_timer, u);
	qmp_listen(u->q, &u->listener);
	if (j) {
		job_progress(j, 0, 0, "the guest is asked to release it");
		j->cancel = unplug_cancel;
		j->cancel_data = u;
	}
	unplug_ask(u);
}

/* --- later --- */

/* An earlier event, of a part of the device, has only its path. */
const char *unplug_gone(const char *event, const json_t *data)
{
	return streq(event, "DEVICE_DELETED") ? json_string_value(json_object_get(data, "device"))
					      : NULL;
}

void unplug_look(struct qmp *q, qmp_reply_fn *reply, void *data)
{
	qmp_call(q, "qom-list", json_pack("{s:s}", "path", "/machine/peripheral"), -1,
		VM_QMP_SECONDS, reply, data);
}

bool unplug_has(const json_t *result, const char *device)
{
	const json_t *one;
	size_t i;

	json_array_foreach (result, i, one)
		if (streq(json_string_value(json_object_get(one, "name")), device))
			return true;
	return false;
}
