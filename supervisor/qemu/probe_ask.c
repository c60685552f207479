/* SPDX-License-Identifier: MIT */
#include "supervisor/qemu/probe_ask.h"

#include "base/mem.h"
#include "supervisor/host/uids.h"

struct ask_waiter {
	struct ask_waiter *next;
	probe_done_fn *done;
	void *data;
};

bool ask_is_busy(const struct ask *a)
{
	return a->asked || a->later.waits;
}

bool ask_wait(struct ask *a, probe_done_fn *done, void *data)
{
	struct ask_waiter *w = xcalloc(1, sizeof *w), **at = &a->waiting;

	*w = (struct ask_waiter){ .done = done, .data = data };
	while (*at)
		at = &(*at)->next;
	*at = w;
	return !ask_is_busy(a);
}

void ask_answer(struct ask *a, const struct probe *p, const struct err *e)
{
	a->answering = a->waiting;
	a->waiting = NULL;
	while (a->answering) {
		struct ask_waiter *w = a->answering;

		a->answering = w->next;
		w->done(w->data, p, e);
		free(w);
	}
}

static void ask_on_later(struct loop_task *t)
{
	struct ask *a = container_of(t, struct ask, later);

	ask_answer(a, NULL, &a->err);
}

void ask_failed(struct ask *a)
{
	err_class(&a->err, a->class);
	loop_later(a->ev, &a->later, ask_on_later);
}

void ask_run(struct ask *a, const char *const *argv, json_t *more, const int *fds, size_t n_fds,
	const struct child_options *options, confined_fn *done, void *data)
{
	/* not a possible VM name */
	json_t *plan = confine_plan("probe", ".probe", a->uids->probe, a->root, argv, &a->err);

	if (plan) {
		json_object_update(plan, more);
		a->asked =
			confine_run(a->ev, a->jail, plan, fds, n_fds, options, done, data, &a->err);
	}
	json_decref(more);
	if (!a->asked)
		ask_failed(a);
}

static void ask_drop(struct ask_waiter **list, const void *data)
{
	while (*list) {
		struct ask_waiter *w = *list;

		if (data && w->data != data) {
			list = &w->next;
			continue;
		}
		*list = w->next;
		free(w);
	}
}

void ask_forget(struct ask *a, const void *data)
{
	ask_drop(&a->waiting, data);
	ask_drop(&a->answering, data);
}

void ask_release(struct ask *a)
{
	confine_cancel(a->asked);
	loop_cancel(a->ev, &a->later);
	ask_forget(a, NULL);
}
