/* SPDX-License-Identifier: MIT */
#include "supervisor/network/private.h"

static void waits_unlink_wait(struct network_wait *w)
{
	struct network_wait **at = w->list;

	while (at && *at && *at != w)
		at = &(*at)->next;
	if (at && *at)
		*at = w->next;
	w->list = NULL;
}

static void waits_on_answer(struct loop_task *task)
{
	struct network_wait *w = container_of(task, struct network_wait, answer);

	waits_unlink_wait(w);
	w->done(w->data, w->result.number ? &w->result : NULL);
	free(w);
}

struct network_wait *wait_new(
	struct networks *ns, struct network_wait **list, bool up, network_done_fn *done, void *data)
{
	struct network_wait *w = xcalloc(1, sizeof *w);

	w->ns = ns;
	w->list = list;
	w->up = up;
	w->done = done;
	w->data = data;
	if (list) {
		w->next = *list;
		*list = w;
	}
	return w;
}

void wait_answer(struct network_wait *w, const struct err *e)
{
	waits_unlink_wait(w);
	w->list = &w->ns->answered;
	err_copy(&w->result, e);
	w->next = w->ns->answered;
	w->ns->answered = w;
	loop_later(w->ns->ev, &w->answer, waits_on_answer);
}

void waits_answer(struct network *n, bool up, const struct err *e)
{
	for (struct network_wait *w = n->waits, *next; w; w = next) {
		next = w->next;
		if (w->up == up)
			wait_answer(w, e);
	}
}

bool waits_any(const struct network *n, bool up)
{
	for (const struct network_wait *w = n->waits; w; w = w->next)
		if (w->up == up)
			return true;
	return false;
}

void network_wait_cancel(struct network_wait *w)
{
	if (!w)
		return;
	waits_unlink_wait(w);
	loop_cancel(w->ns->ev, &w->answer);
	free(w);
}
