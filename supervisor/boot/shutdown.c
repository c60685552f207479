/* SPDX-License-Identifier: MIT */
#include "supervisor/boot/shutdown.h"

#include "base/log.h"
#include "conf/order.h"
#include "supervisor/boot/boot.h"
#include "supervisor/vm/vms.h"

enum { KILL_PATIENCE = VM_QUIT_SECONDS + VM_KILL_SECONDS + 5, NAMED_MAX = 160 };
#define LEAST 0.05 /* seconds; minimum for a guest when the budget is used up */

enum step { UP, ASKED, KILLED, DOWN };

struct guest {
	struct shutdown *all;
	char *name;
	enum step step;
	double asked, took;
	const char *result; /* "stopped" */
	char *reason;
};

struct shutdown {
	struct daemon *daemon;
	struct shutdown_options o;
	double deadline;
	struct guest **guest; /* allocated one by one: waits point to them */
	size_t n;
	bool guests_down; /* networks are going down */
	size_t nets_left;
	struct loop_task soon;
};

static void shutdown_kick(struct shutdown *s);

static void shutdown_guest_note(struct guest *g, const char *result, const char *reason)
{
	g->step = DOWN;
	g->result = result;
	g->took = daemon_now() - g->asked;
	if (!g->reason)
		g->reason = xstrdup(reason);
	if (streq(result, "stopped"))
		log_info(g->name, "down in %.0f s", g->took);
	else
		log_warning(g->name, "%s at shutdown: %s", result, g->reason);
	shutdown_kick(g->all);
}

static void shutdown_guest_killed(void *data, const struct err *e)
{
	shutdown_guest_note(data, e ? "left" : "killed", e ? e->text : "");
}

static void shutdown_guest_kill(struct guest *g, struct vm *vm, const char *why)
{
	g->step = KILLED;
	g->reason = xstrdup(why);
	log_warning(g->name, "killed at the host's shutdown: %s", why);
	vm_kill_with_host(vm, g->all->o.who, NULL);
	vm_wait(vm, VM_GOAL_DOWN, KILL_PATIENCE, shutdown_guest_killed, g);
}

/* It was started again in the meantime. */
static void shutdown_guest_back(struct guest *g)
{
	g->step = UP;
	free_ptr(&g->reason);
}

static void shutdown_guest_down(void *data, const struct err *e)
{
	struct guest *g = data;
	struct vm *vm = vms_find(g->all->daemon->vms, g->name);

	if (e && e->class == ERR_CONFLICT) {
		/* a start overtook our stop: stop it again */
		shutdown_guest_back(g);
		shutdown_kick(g->all);
	} else if (e && vm && vm_state_has_process(vm->st.state))
		shutdown_guest_kill(g, vm,
			e->class == ERR_GUEST_REFUSED ? "ignored the power button" : e->text);
	else if (vm && vm->st.ending == VM_END_QUIT && g->asked > 0)
		shutdown_guest_note(g, "killed", "had not started yet, or was killed");
	else
		shutdown_guest_note(g, "stopped", vm ? vm->st.reason : "");
}

/* below: time of the VMs that wait for this one, in milliseconds */
static void shutdown_guest_stop(struct guest *g, struct vm *vm, uint64_t below, unsigned levels)
{
	double left = g->all->deadline - daemon_now();
	uint64_t own = vm->proc.conf.timeout_stop_ms;
	double share =
		left > 0 ? (double)order_share((uint64_t)(left * 1000), own, below, levels) / 1000
			 : 0;
	struct err e = ERR_INIT;

	if (share < LEAST)
		share = LEAST;
	g->step = ASKED;
	g->asked = daemon_now();
	if (vm_stop_with_host(vm, share, g->all->o.who, &e) < 0)
		shutdown_guest_kill(g, vm, e.text);
	else
		vm_wait(vm, VM_GOAL_DOWN, share + KILL_PATIENCE, shutdown_guest_down, g);
}

static struct guest *shutdown_guest_find(const struct shutdown *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (streq(s->guest[i]->name, name))
			return s->guest[i];
	return NULL;
}

/* All running VMs, sorted, including those started in the meantime. */
static struct order_vm *shutdown_make_order(struct shutdown *s, size_t *n)
{
	const struct vms *vms = s->daemon->vms;
	struct order_vm *order = xcalloc(vms->n + 1, sizeof *order);

	*n = 0;
	for (size_t i = 0; i < vms->n; i++) {
		struct vm *vm = vms->vm[i];
		struct guest *g = shutdown_guest_find(s, vm->name);

		if (!shutdown_is_up(vm) || (g && g->step == DOWN && streq(g->result, "left")))
			continue;
		if (g && g->step == DOWN)
			shutdown_guest_back(g);
		order[(*n)++] = shutdown_order(vm);
		if (g)
			continue;
		s->guest = xrealloc(s->guest, s->n + 1, sizeof(struct guest *));
		g = s->guest[s->n++] = xcalloc(1, sizeof *g);
		g->all = s;
		g->name = xstrdup(vm->name);
	}
	return order;
}

static bool shutdown_guest_is_needed(const struct order_vm *order, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!streq(order[i].name, name) && order_follows(&order[i], name))
			return true;
	return false;
}

static void shutdown_report(struct shutdown *s)
{
	char text[NAMED_MAX] = "waits for";
	size_t down = 0, len = strlen(text);

	for (size_t i = 0; i < s->n; i++) {
		const struct guest *g = s->guest[i];

		down += g->step == DOWN;
		if (g->step != DOWN && len < sizeof text)
			len += (size_t)snprintf(text + len, sizeof text - len, " %s", g->name);
	}
	if (s->o.progress)
		s->o.progress(s->o.data, down, s->n, s->n > down ? text : "taking networks down");
}

/* --- networks, last --- */

static void shutdown_finish(struct shutdown *s)
{
	struct shutdown_end *end = xcalloc(s->n + 1, sizeof *end);

	loop_cancel(s->daemon->loop.ev, &s->soon);
	for (size_t i = 0; i < s->n; i++) {
		const struct guest *g = s->guest[i];

		end[i] = (struct shutdown_end){ g->name, g->result, g->reason, g->took };
	}
	s->o.done(s->o.data, end, s->n);
	free(end);
	for (size_t i = 0; i < s->n; i++) {
		free(s->guest[i]->name);
		free(s->guest[i]->reason);
		free(s->guest[i]);
	}
	free(s->guest);
	free(s);
}

static void shutdown_network_done(void *data, const struct err *e)
{
	struct shutdown *s = data;

	if (e)
		log_warning(NULL, "shutdown: %s", e->text);
	if (--s->nets_left == 0)
		shutdown_finish(s);
}

static void shutdown_network(void *data, const char *network, const char *bridge, bool up)
{
	struct shutdown *s = data;

	if (!up)
		return;
	s->nets_left++;
	networks_stop(s->daemon->networks, network, false, shutdown_network_done, s);
}

static void shutdown_networks(struct shutdown *s)
{
	s->guests_down = true;
	networks_each(s->daemon->networks, shutdown_network, s);
	if (!s->nets_left)
		shutdown_finish(s);
}

/* --- guests --- */

static void shutdown_step(struct loop_task *t)
{
	struct shutdown *s = container_of(t, struct shutdown, soon);
	size_t n, asked = 0, left = 0;
	_cleanup_(free_ptr) struct order_vm *order = shutdown_make_order(s, &n);
	_cleanup_(free_ptr) unsigned *level = xcalloc(n + 1, sizeof *level);
	_cleanup_(free_ptr) uint64_t *ms = xcalloc(n + 1, sizeof *ms);

	if (s->guests_down)
		return;
	order_levels(order, n, level);
	order_times(order, n, ms);
	for (size_t i = 0; i < s->n; i++)
		asked += s->guest[i]->step == ASKED || s->guest[i]->step == KILLED;
	/* a second pass only if no stop is in progress: then there is a dependency cycle, and
	 * all go at once */
	for (int ring = 0; ring < 2 && !(ring && asked); ring++)
		for (size_t i = 0; i < n; i++) {
			struct guest *g = shutdown_guest_find(s, order[i].name);

			if (!g || g->step != UP ||
				(!ring && shutdown_guest_is_needed(order, n, g->name)))
				continue;
			shutdown_guest_stop(g, vms_find(s->daemon->vms, g->name),
				order_below(order, n, ms, i), level[i]);
			asked++;
		}
	for (size_t i = 0; i < s->n; i++)
		left += s->guest[i]->step != DOWN;
	shutdown_report(s);
	if (!left)
		shutdown_networks(s);
}

static void shutdown_kick(struct shutdown *s)
{
	loop_later(s->daemon->loop.ev, &s->soon, shutdown_step);
}

void shutdown_all(struct daemon *d, const struct shutdown_options *o)
{
	struct shutdown *s = xcalloc(1, sizeof *s);

	s->daemon = d;
	s->o = *o;
	s->deadline = daemon_now() + o->budget;
	log_info(NULL, "shutdown of all VMs by %s, %.0f s at most", o->who, o->budget);
	boot_cancel_all(d);
	shutdown_kick(s);
}
