/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/health.h"

#include "supervisor/vm/vms.h"

enum { ASKED_A_TURN = 8 };
#define PAUSE 0.005 /* seconds between batches, so that other work gets its turn */

struct health {
	struct vms *vms;
	struct vm_observer observer;
	struct loop_timer timer;
	size_t next; /* next VM to poll in this round */
	bool round;
	double begun; /* daemon_now() at the start of the last round */
};

static void health_begin(struct health *h)
{
	h->round = true;
	h->next = 0;
	h->begun = daemon_now();
	loop_timer_start(&h->timer, 0);
}

/* The session itself reports silence, and the first answer after it. */
static void health_answered(void *data, const json_t *result, const struct err *e)
{
}

/* Skips VMs with a call in flight (its timeout reports the hang) and busy ones (expected to be
 * slow). */
static bool health_ask(struct vm *vm)
{
	bool up = vm_state_is_live(vm->st.state);
	double age;

	if (!up || !vm->mon.qmp || vm->busy || vm->mon.unresponsive > 0 ||
		qmp_oldest_call(vm->mon.qmp, &age))
		return false;
	vm_call(vm, "query-status", NULL, health_answered);
	return true;
}

/* Arms the timer for the next round; HealthCheckSec= may have changed. */
static void health_arm(struct health *h)
{
	uint64_t ms = h->vms->daemon->conf.health_check_ms;
	double left = h->begun + (double)ms / 1000 - daemon_now();

	if (h->round)
		return;
	loop_timer_stop(&h->timer);
	if (ms != UINT64_MAX)
		loop_timer_start(&h->timer, left);
}

static void health_on_timer(void *data)
{
	struct health *h = data;
	struct vms *vms = h->vms;
	bool anybody = false;

	if (!h->round) {
		health_begin(h);
		return;
	}
	for (unsigned asked = 0; h->next < vms->n && asked < ASKED_A_TURN; h->next++)
		asked += health_ask(vms->vm[h->next]);
	if (h->next < vms->n) {
		loop_timer_start(&h->timer, PAUSE);
		return;
	}
	h->round = false;
	for (size_t i = 0; i < vms->n && !anybody; i++)
		anybody = vm_state_has_process(vms->vm[i]->st.state);
	if (anybody)
		health_arm(h);
}

void health_kick(struct health *h)
{
	if (!h->round && daemon_now() - h->begun >= HEALTH_LOOK_SECONDS)
		health_begin(h);
}

static void health_state(void *data, struct vm *vm)
{
	if (vm->st.state == VM_RUNNING)
		health_arm(data);
}

static void health_reload(void *data)
{
	health_arm(data);
}

struct health *health_new(struct vms *vms)
{
	struct health *h = xcalloc(1, sizeof *h);

	h->vms = vms;
	h->begun = daemon_now();
	loop_timer_init(&h->timer, vms->daemon->loop.ev, health_on_timer, h);
	h->observer =
		(struct vm_observer){ .state = health_state, .reload = health_reload, .data = h };
	vms_observe(vms, &h->observer);
	return h;
}

void health_free(struct health *h)
{
	if (!h)
		return;
	vms_unobserve(h->vms, &h->observer);
	loop_timer_stop(&h->timer);
	free(h);
}
