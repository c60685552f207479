/* SPDX-License-Identifier: MIT */
/*
 * Tests the very rules that the daemon compiles against everything that can happen to it: clients
 * that start, stop and kill at any moment, a jail and a QEMU that fail, hang, crash, power off or
 * ignore the power button, a lost monitor, operations that exclude all others and leave disks of
 * different times, and a daemon that dies and comes back anywhere. All reachable situations are
 * visited. In none are there two processes for one VM, and in none does the daemon believe in a
 * process that does not exist; nothing starts during an operation, nor on disks of different times.
 * From each a settled situation is reached, with the goal met or its failure reported, without
 * depending on a client, on luck or on a guest that obeys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/explore.h"

/* The process has ended and the daemon knows: policy may restart a VM that is wanted, and no
 * other. */
static void gone(struct explorer *x, struct now n)
{
	bool served = n.serves;
	bool unfair = x->unfair;
	struct now m = n;

	m.want = VM_WANT_STOPPED;
	m.serves = n.serves = false;
	/* because only a missing file or an incomplete revert prevents its restart */
	x->unfair = unfair || (n.want == VM_WANT_RESTART && !n.torn);
	reach(x, event(x, m, VM_EV_GONE_STOP));
	x->unfair = unfair;
	if (n.want == VM_WANT_STOPPED || n.torn || (served && n.want != VM_WANT_RESTART))
		return;
	if (n.want == VM_WANT_RESTART) {
		n.want = VM_WANT_RUNNING;
		reach(x, event(x, n, VM_EV_GONE_RESTART));
		return;
	}
	reach(x, event(x, n, VM_EV_GONE_RESTART));
	reach(x, event(x, m, VM_EV_GONE_FAIL));
}

/* --- what clients and operations do --- */

static void clients(struct explorer *x, struct now n)
{
	struct now m = n;

	bool up = vm_state_has_process(n.state) && n.state != VM_QUITTING;

	x->unfair = true;
	if (n.state != VM_STOPPING && !n.busy && (up || !n.torn)) {
		m.want = n.state == VM_QUITTING ? VM_WANT_RESTART : VM_WANT_RUNNING;
		reach(x, event(x, m, VM_EV_START));
	}
	m = n;
	m.late = false;
	m.want = VM_WANT_RESTART;
	if (!n.busy && (n.state == VM_RUNNING || n.state == VM_PAUSED))
		reach(x, event(x, m, VM_EV_STOP));
	m.want = VM_WANT_STOPPED;
	if (!n.busy)
		reach(x, event(x, m, VM_EV_STOP));
	m.late = n.late;
	reach(x, event(x, m, VM_EV_KILL));
	x->unfair = false;
}

/* A snapshot's create, revert or delete: with the guest's process, without one, or with its own,
 * which finally becomes the guest's or is ended. */
static void operation(struct explorer *x, struct now n)
{
	struct now m = n;
	bool off = n.state == VM_STOPPED || n.state == VM_FAILED;
	bool begins =
		!n.busy && (off || ((n.state == VM_RUNNING || n.state == VM_PAUSED) && n.monitor));

	if (n.busy &&
		(!n.torn ||
			n.process == NONE)) { /* otherwise it ends the process first, as below */
		m.busy = m.serves = false;
		reach(x, m);
	}
	if (n.busy && n.torn) { /* a completed revert */
		m.busy = m.serves = m.torn = false;
		reach(x, m);
	}
	x->unfair = true;
	m = n;
	m.busy = true;
	if (begins)
		reach(x, m);
	m.torn = true;
	if (n.busy)
		reach(x, m);
	m = n;
	m.busy = true;
	if (n.busy && off) {
		m.want = VM_WANT_RUNNING;
		m.serves = true;
		reach(x, event(x, m, VM_EV_START));
	}
	x->unfair = false;
	m = n;
	m.want = VM_WANT_STOPPED;
	if (n.busy)
		reach(x, event(x, m, VM_EV_KILL));
}

static void preparing(struct explorer *x, struct now n)
{
	struct now m = n;

	m.preparing = false;
	if (!n.torn || n.serves)
		reach(x, event(x, m, VM_EV_PREPARED));
	gone(x, m);
}

/* What the process does by itself, and how the daemon learns of it. */
static void process_moves(struct explorer *x, struct now n)
{
	struct now m = n;

	/* only a process that was told to quit or killed is certain to end */
	x->unfair = !n.quit;
	m.process = NONE;
	m.monitor = false;
	if (n.alive)
		gone(x, m);
	else
		reach(x, m);
	m = n;
	x->unfair = n.process != JAIL && n.process != BOOTING;
	switch (n.process) {
	case JAIL:
		m.process = BOOTING;
		reach(x, n.alive ? event(x, m, VM_EV_EXECUTED) : m);
		break;
	case BOOTING:
		m.process = PRELAUNCH;
		reach(x, m);
		m.process = STUCK;
		reach(x, m);
		break;
	case RUNS:
		m.process = STANDS;
		reach(x, n.alive && n.monitor ? event(x, m, VM_EV_PAUSED) : m);
		m.process = STUCK;
		m.monitor = false;
		m.timer = n.timer || n.state == VM_RUNNING || n.state == VM_PAUSED;
		reach(x, m);
		m = n;
		m.process = TOMBSTONE;
		reach(x, n.alive && n.monitor ? event(x, m, VM_EV_ENDED) : m);
		break;
	case STANDS:
		m.process = RUNS;
		reach(x, n.alive && n.monitor ? event(x, m, VM_EV_RESUMED) : m);
		break;
	case STUCK: /* SIGCONT */
		m.process = RUNS;
		reach(x, m);
		break;
	case NONE:
	case PRELAUNCH:
	case TOMBSTONE:
	case PROCESSES:
		break;
	}
	x->unfair = false;
}

/* The monitor answers: the greeting, then query-status, as start/join.c handles it. */
static void monitor(struct explorer *x, struct now n)
{
	struct now m = event(x, n, VM_EV_GREETED);

	/* lost again; the timer reconnects if it may be armed */
	if (n.state == VM_RUNNING || n.state == VM_PAUSED) {
		struct now lost = n;

		lost.monitor = false;
		lost.timer = x->unfair = true;
		reach(x, lost);
		x->unfair = false;
	}
	if (vm_outcome(n.state, VM_EV_GREETED).action != VM_DO_JOIN) {
		reach(x, m);
		return;
	}
	if (n.torn && !n.busy) { /* a previous daemon began a load: QEMU reports how that went */
		struct now said = m;

		said.want = VM_WANT_STOPPED;
		reach(x, event(x, said, VM_EV_KILL));
		if (n.process == PRELAUNCH)
			return;
		m.torn = false;
	}
	switch (n.process) {
	case PRELAUNCH:
		m.process = RUNS;
		reach(x, event(x, m, VM_EV_JOINED));
		m.process = STANDS;
		reach(x, event(x, m, VM_EV_JOINED_PAUSED));
		m.process = PRELAUNCH;
		reach(x, event(x, m, VM_EV_BROKEN));
		break;
	case RUNS:
		reach(x, event(x, m, VM_EV_JOINED));
		break;
	case STANDS:
		reach(x, event(x, m, VM_EV_JOINED_PAUSED));
		break;
	case TOMBSTONE:
		reach(x, event(x, m, VM_EV_ENDED));
		break;
	case NONE:
	case JAIL:
	case BOOTING:
	case STUCK:
	case PROCESSES:
		break;
	}
}

static void timer(struct explorer *x, struct now n)
{
	struct now m = n;

	m.timer = false;
	if (n.state == VM_STOPPING) {
		m.late = true;
		reach(x, event(x, m, VM_EV_TIMER));
		m.want =
			VM_WANT_RUNNING; /* OnStopTimeout=leave changes the desired state back, and says so */
		reach(x, event(x, m, VM_EV_STOP_LEAVE));
		m.want = n.want;
		reach(x, event(x, m, VM_EV_STOP_KILL));
		return;
	}
	if (vm_state_is_up(n.state)) {
		m.monitor = true;
		reach(x, m);
		return;
	}
	reach(x, event(x, m, VM_EV_TIMER));
}

/* A new daemon reads the record: the process still runs, or has ended. */
static void adopt(struct explorer *x, struct now n)
{
	enum vm_state was = n.state;

	n.alive = true;
	n.state = VM_STOPPED;
	n.preparing = n.timer = n.monitor = false;
	n.serves = n.serves && n.record;
	if (!n.record && n.process == NONE) {
		n.want = VM_WANT_STOPPED;
		reach(x, n);
	} else if (!n.record) { /* found among the host's processes */
		n.quit = false;
		n.want = VM_WANT_RUNNING;
		n.record = true;
		reach(x, event(x, n, n.process == JAIL ? VM_EV_ADOPT_EARLY : VM_EV_ADOPT));
	} else if (n.process == NONE) {
		gone(x, n);
	} else {
		n.quit = false;
		n = event(x, n,
			was == VM_PAUSED			   ? VM_EV_ADOPT_PAUSED
			: was == VM_SPAWNING || was == VM_GREETING ? VM_EV_ADOPT_EARLY
								   : VM_EV_ADOPT);
		if (was != VM_QUITTING && n.serves)
			n.want = VM_WANT_STOPPED;
		if (was == VM_QUITTING || n.serves)
			n = event(x, n, VM_EV_KILL);
		else if (was == VM_STOPPING || n.want == VM_WANT_RESTART)
			n = event(x, n, VM_EV_STOP);
		reach(x, n);
	}
}

static void crash(struct explorer *x, struct now n)
{
	/* a jail whose daemon dies before it sent "prepared" exits or continues: both happen */
	n.alive = n.preparing = n.timer = n.monitor = n.busy = false;
	x->unfair = true; /* no goal depends on a crash */
	reach(x, n);
	x->unfair = false;
}

/* The record is removed or damaged. */
static void lose(struct explorer *x, struct now n)
{
	n.record = false;
	x->unfair = true;
	reach(x, n);
	x->unfair = false;
}

static void step(struct explorer *x)
{
	struct now n = x->from;

	if (n.process != NONE)
		process_moves(x, n);
	lose(x, n);
	if (!n.alive) {
		adopt(x, n);
		return;
	}
	clients(x, n);
	operation(x, n);
	crash(x, n);
	if (n.preparing)
		preparing(x, n);
	if (n.monitor && n.process >= PRELAUNCH && n.process != STUCK)
		monitor(x, n);
	if (n.timer)
		timer(x, n);
}

/* The goal is met, or its failure has been reported. */
static bool settled(const struct now *n)
{
	if (!n->alive)
		return false;
	if (n->want == VM_WANT_RUNNING)
		return n->state == VM_RUNNING || n->state == VM_PAUSED;
	return n->want == VM_WANT_STOPPED && n->process == NONE &&
	       (n->state == VM_STOPPED || n->state == VM_FAILED);
}

static void explore(struct explorer *x)
{
	struct now start = { .state = VM_STOPPED, .alive = true };

	x->unfair = true;
	reach(x, start);
	x->unfair = false;
	for (unsigned next = 0; next < x->queued; next++) {
		x->from = situation(x->queue[next]);
		step(x);
	}
}

static void everything_comes_home(void **state)
{
	struct explorer *x = xcalloc(1, sizeof *x);
	bool more = true;
	char text[200];
	unsigned cells = 0;

	(void)state;
	explore(x);
	for (unsigned i = 0; i < x->queued; i++) {
		struct now n = situation(x->queue[i]);

		x->home[x->queue[i]] = settled(&n);
		/* the daemon's belief about a process matches reality */
		if (n.alive && vm_state_has_process(n.state) != (n.process != NONE)) {
			describe(&n, text, sizeof text);
			fail_msg("belief and process differ: %s", text);
		}
	}
	while (more) {
		more = false;
		for (size_t i = 0; i < x->edges; i++)
			if (x->home[x->edge[i].to] && !x->home[x->edge[i].from])
				x->home[x->edge[i].from] = more = true;
	}
	for (unsigned i = 0; i < x->queued; i++) {
		struct now n = situation(x->queue[i]);

		describe(&n, text, sizeof text);
		if (!x->home[x->queue[i]])
			fail_msg("no way home: %s", text);
	}
	for (int s = 0; s < VM_STATES; s++)
		for (int e = 0; e < VM_EVENTS; e++)
			cells += x->used[s][e];
	print_message(
		"%u situations, %zu ways between them, %u of %d pairs of state and event used\n",
		x->queued, x->edges, cells, (int)VM_STATES * (int)VM_EVENTS);
	assert_true(x->queued > 100);
	free(x->edge);
	free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_comes_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
