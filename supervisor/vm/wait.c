/* SPDX-License-Identifier: MIT */
/* Requests that wait for a VM to reach a state, and their results. */
#include "base/text.h"
#include "supervisor/vm/vm.h"

enum verdict { PENDING, MET, MISSED };

struct vm_wait {
	struct vm_wait *next;
	struct vm *vm;
	enum vm_goal goal;
	double timeout; /* seconds, 0: none */
	struct loop_timer timer;
	struct loop_task verdict; /* done is called from the loop, never from inside a verb */
	struct err error;
	bool decided;
	vm_wait_fn *done;
	void *data;
};

uint32_t vm_address(const struct vm *vm)
{
	uint32_t address;

	for (size_t i = 0; i < vm->proc.nics; i++) {
		const struct network_nic *n = &vm->proc.nic[i].net;

		if (n->bridge && n->address)
			return n->address;
		if (n->network &&
			networks_address_seen(vm->daemon->networks, vm->name, n->nic, &address))
			return address;
	}
	return 0;
}

static enum verdict wait_check_ip(const struct vm *vm, struct err *e)
{
	bool any = !vm_state_has_process(vm->st.state);

	for (size_t i = 0; i < vm->proc.nics; i++)
		any |= vm->proc.nic[i].net.network || vm->proc.nic[i].net.address;
	if (any)
		return vm_state_has_process(vm->st.state) && vm_address(vm) ? MET : PENDING;
	err_set(e, ERR_WRONG_STATE,
		"has no NIC on one of vmkeep's networks, so its address is unknown");
	return MISSED;
}

static enum verdict wait_missed_start(const struct vm *vm, struct err *e)
{
	/* a guest that came up and powered off at once did start */
	if (!vm->st.again[0] &&
		(vm->st.ending == VM_END_POWER_OFF || vm->st.ending == VM_END_REBOOT))
		return MET;
	if (vm->start_error)
		err_copy(e, vm->start_error);
	else
		err_set(e, ERR_FAILED, "%s", vm->st.reason[0] ? vm->st.reason : "was stopped");
	return MISSED;
}

static enum verdict wait_check_up(const struct vm *vm, struct err *e)
{
	if (vm_state_is_up(vm->st.state))
		return MET;
	/* a start in QUITTING passes through backoff */
	if (vm_state_is_down(vm->st.state) && (vm->st.state != VM_BACKOFF || vm->start_error))
		return wait_missed_start(vm, e);
	return PENDING;
}

/* The latest request wins; earlier requesters get an error. */
static enum verdict wait_overtaken(const struct vm *vm, const char *verb, struct err *e)
{
	err_set(e, ERR_CONFLICT, "a later %s%s%s overtook it", verb, vm->who[0] ? " by " : "",
		vm->who);
	return MISSED;
}

/* Still up: will it end? */
static enum verdict wait_check_ending(const struct vm *vm, struct err *e)
{
	if (vm->stop.left && vm->mon.io_error) {
		err_set(e, ERR_GUEST_REFUSED,
			"an I/O error (%s) paused the guest before it could shut down; it was left paused",
			vm->mon.io_error);
		err_hint(e,
			"once the disk works again: vmkeep resume %s; or force it off: vmkeep kill %s",
			vm->name, vm->name);
		return MISSED;
	}
	if (vm->stop.left) {
		err_set(e, ERR_GUEST_REFUSED,
			"the guest ignored the power button for %.0f s; it was left running",
			vm->stop.timeout);
		err_hint(e, "vmkeep kill %s forces it off", vm->name);
		return MISSED;
	}
	if (vm->proc.unkillable) {
		err_set(e, ERR_TIMEOUT, "%s",
			vm->mon.trouble ? vm->mon.trouble : "does not end after SIGKILL");
		return MISSED;
	}
	return PENDING;
}

static enum verdict wait_check_down(const struct vm *vm, struct err *e)
{
	if (vm_state_is_down(vm->st.state))
		return MET;
	if (vm->st.want != VM_WANT_STOPPED && !vm->stop.left)
		return wait_overtaken(vm, "start", e);
	return wait_check_ending(vm, e);
}

static enum verdict wait_check_again(const struct vm *vm, struct err *e)
{
	if (vm->st.want == VM_WANT_STOPPED && vm_state_has_process(vm->st.state))
		return wait_overtaken(vm, "stop or kill", e);
	if (vm->st.want == VM_WANT_RESTART || vm->stop.left)
		return wait_check_ending(vm, e);
	return wait_check_up(vm, e);
}

static enum verdict wait_check(const struct vm *vm, enum vm_goal goal, struct err *e)
{
	switch (goal) {
	case VM_GOAL_UP:
		return wait_check_up(vm, e);
	case VM_GOAL_AGAIN:
		return wait_check_again(vm, e);
	case VM_GOAL_DOWN:
		return wait_check_down(vm, e);
	case VM_GOAL_RUNNING:
		return vm->st.state == VM_RUNNING ? MET : PENDING;
	case VM_GOAL_STOPPED:
		return vm_state_is_down(vm->st.state) ? MET : PENDING;
	case VM_GOAL_PAUSED:
		return vm->st.state == VM_PAUSED ? MET : PENDING;
	case VM_GOAL_IP:
		return wait_check_ip(vm, e);
	}
	return PENDING;
}

static void wait_unlink(struct vm_wait *w)
{
	for (struct vm_wait **p = &w->vm->waits; *p; p = &(*p)->next)
		if (*p == w) {
			*p = w->next;
			return;
		}
}

static void wait_free(struct vm_wait *w)
{
	loop_timer_stop(&w->timer);
	loop_cancel(w->vm->daemon->loop.ev, &w->verdict);
	free(w);
}

void vm_wait_cancel(struct vm_wait *w)
{
	if (!w)
		return;
	wait_unlink(w);
	wait_free(w);
}

static void wait_report(struct loop_task *task)
{
	struct vm_wait *w = container_of(task, struct vm_wait, verdict);
	struct err error;
	vm_wait_fn *done = w->done;
	void *data = w->data;
	bool failed = w->error.text[0];

	err_copy(&error, &w->error);
	vm_wait_cancel(w);
	done(data, failed ? &error : NULL);
}

static void wait_decide(struct vm_wait *w)
{
	w->decided = true;
	loop_timer_stop(&w->timer);
	loop_later(w->vm->daemon->loop.ev, &w->verdict, wait_report);
}

static const char *const wait_goal_name[] = {
	[VM_GOAL_UP] = "running",
	[VM_GOAL_AGAIN] = "running again",
	[VM_GOAL_DOWN] = "stopped",
	[VM_GOAL_RUNNING] = "running",
	[VM_GOAL_STOPPED] = "stopped",
	[VM_GOAL_PAUSED] = "paused",
};

/* Names the first NIC that could have had one. */
static void wait_no_lease(const struct vm *vm, double timeout, struct err *e)
{
	char mac[TEXT_MAC];

	for (size_t i = 0; i < vm->proc.nics; i++) {
		const struct network_nic *n = &vm->proc.nic[i].net;

		if (!n->network)
			continue;
		err_set(e, ERR_TIMEOUT,
			"no lease for %s (NIC '%s') within %.0f s; the guest is left %s",
			text_mac(mac, n->mac), n->nic, timeout, vm_state_name(vm->st.state));
		return;
	}
	err_set(e, ERR_TIMEOUT, "no address within %.0f s: it is %s", timeout,
		vm_state_name(vm->st.state));
}

static void wait_timed_out(void *data)
{
	struct vm_wait *w = data;

	if (w->goal == VM_GOAL_IP)
		wait_no_lease(w->vm, w->timeout, &w->error);
	else
		err_set(&w->error, ERR_TIMEOUT, "not %s within %.0f s: still %s, and left as it is",
			wait_goal_name[w->goal], w->timeout, vm_state_name(w->vm->st.state));
	wait_decide(w);
}

struct vm_wait *vm_wait(
	struct vm *vm, enum vm_goal goal, double timeout, vm_wait_fn *done, void *data)
{
	struct vm_wait *w = xcalloc(1, sizeof *w);

	w->vm = vm;
	w->goal = goal;
	w->done = done;
	w->data = data;
	w->timeout = timeout;
	loop_timer_init(&w->timer, vm->daemon->loop.ev, wait_timed_out, w);
	w->next = vm->waits;
	vm->waits = w;
	if (timeout > 0)
		loop_timer_start(&w->timer, timeout);
	vm_waits_check(vm);
	return w;
}

void vm_waits_check(struct vm *vm)
{
	for (struct vm_wait *w = vm->waits; w; w = w->next)
		if (!w->decided && wait_check(vm, w->goal, &w->error) != PENDING)
			wait_decide(w);
}

void vm_waits_end(struct vm *vm)
{
	/* a callback may want to start it again */
	vm->file.orphan = true;
	while (vm->waits) {
		struct vm_wait *w = vm->waits;
		vm_wait_fn *done = w->done;
		void *data = w->data;
		bool met = w->decided && !w->error.text[0];
		struct err e;

		err_copy(&e, &w->error);
		if (!w->decided)
			err_set(&e, ERR_NOT_FOUND, "'%s' went away", vm->name);
		vm->waits = w->next;
		wait_free(w);
		done(data, met ? NULL : &e);
	}
}
