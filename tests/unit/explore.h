/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/explore.h - the situations visited by vm_explore.c: a situation, its number and description, the
 * transitions between situations, and the effect of the rules' actions
 */
#ifndef TESTS_UNIT_EXPLORE_H
#define TESTS_UNIT_EXPLORE_H

#include "base/mem.h"
#include "supervisor/vm/vm.h"

enum process { NONE, JAIL, BOOTING, PRELAUNCH, RUNS, STANDS, TOMBSTONE, STUCK, PROCESSES };

/* A situation; small enough to be numbered. */
struct now {
	enum vm_state state;
	enum process process;
	enum vm_want want;
	bool alive;   /* the daemon runs */
	bool monitor; /* connected and greeted, or will be without any further action */
	bool timer; /* the state's timer is armed; while the VM is up: the monitor's reconnect timer */
	bool preparing; /* a completion is pending */
	bool quit;	/* killed, or told to quit and listening: it will end */
	bool record;	/* RUN/vms/NAME/record.json exists */
	bool late;	/* the stop's deadline has passed */
	bool busy;	/* an operation is in progress: nothing else may start the VM */
	bool serves;	/* its process belongs to that operation */
	bool torn;	/* STATE/vms/NAME/revert.json exists: its disks may be of different times */
};

enum { FACTS = 1024, SITUATIONS = (int)VM_STATES * (int)PROCESSES * (int)VM_WANTS * (int)FACTS };

static unsigned number(const struct now *n)
{
	unsigned bits = (unsigned)n->busy | (unsigned)n->alive << 1 | (unsigned)n->monitor << 2 |
			(unsigned)n->timer << 3 | (unsigned)n->preparing << 4 |
			(unsigned)n->quit << 5 | (unsigned)n->record << 6 | (unsigned)n->late << 7 |
			(unsigned)n->serves << 8 | (unsigned)n->torn << 9;
	unsigned i = (unsigned)n->state;

	i = i * PROCESSES + (unsigned)n->process;
	return (i * VM_WANTS + (unsigned)n->want) * FACTS + bits;
}

static struct now situation(unsigned i)
{
	unsigned bits = i % FACTS;

	return (struct now){ .state = (enum vm_state)(i / FACTS / VM_WANTS / PROCESSES),
		.process = (enum process)(i / FACTS / VM_WANTS % PROCESSES),
		.want = (enum vm_want)(i / FACTS % VM_WANTS),
		.busy = bits & 1,
		.alive = bits & 2,
		.monitor = bits & 4,
		.timer = bits & 8,
		.preparing = bits & 16,
		.quit = bits & 32,
		.record = bits & 64,
		.late = bits & 128,
		.serves = bits & 256,
		.torn = bits & 512 };
}

struct explorer {
	bool seen[SITUATIONS], home[SITUATIONS];
	unsigned queue[SITUATIONS], queued;
	bool used[VM_STATES][VM_EVENTS];
	/* for the current situation */
	struct now from;
	bool unfair; /* may happen, but no goal may depend on it */
	struct edge {
		unsigned from, to;
	} *edge; /* transitions that certainly happen */
	size_t edges, cap;
};

static void describe(const struct now *n, char *buf, size_t len)
{
	static const char *const processes[] = { "none", "jail", "booting", "prelaunch", "runs",
		"stands", "tombstone", "stuck" };
	static const char *const wants[] = { "stopped", "running", "restart" };

	snprintf(buf, len, "%s, process %s, want %s%s%s%s%s%s%s%s%s%s%s",
		vm_state_inner_name(n->state), processes[n->process], wants[n->want],
		n->busy ? ", busy" : "", n->serves ? ", serves" : "", n->torn ? ", torn" : "",
		n->alive ? "" : ", daemon dead", n->monitor ? ", monitor" : "",
		n->timer ? ", timer" : "", n->preparing ? ", preparing" : "",
		n->quit ? ", quit" : "", n->record ? ", record" : "", n->late ? ", late" : "");
}

static void reach(struct explorer *x, struct now n)
{
	unsigned i;

	if (n.process == NONE || n.process == JAIL || n.process == BOOTING)
		n.monitor = n.monitor && n.process != NONE;
	i = number(&n);
	if (!x->seen[i]) {
		x->seen[i] = true;
		x->queue[x->queued++] = i;
	}
	if (x->unfair)
		return;
	if (x->edges == x->cap) {
		x->cap = x->cap ? x->cap * 2 : 4096;
		x->edge = xrealloc(x->edge, x->cap, sizeof *x->edge);
	}
	x->edge[x->edges++] = (struct edge){ number(&x->from), i };
}

/* The effect of vm.c's actions, as far as it is visible from outside. before: the previous
 * state. */
static struct now act(struct now n, enum vm_state before, enum vm_action action)
{
	char text[200];

	switch (action) {
	case VM_DO_NOTHING:
		break;
	case VM_DO_PREPARE:
		describe(&n, text, sizeof text);
		if (n.busy && !n.serves)
			fail_msg("started under an operation: %s", text);
		n.preparing = true;
		break;
	case VM_DO_CLEAN:
		describe(&n, text, sizeof text);
		if (n.process != NONE)
			fail_msg("cleaned under a process: %s", text);
		n.preparing = n.record = n.monitor = n.quit = n.late = false;
		n.busy = n.busy && !vm_state_has_process(before);
		n.timer = n.state == VM_BACKOFF;
		break;
	case VM_DO_SPAWN:
		describe(&n, text, sizeof text);
		if (n.process != NONE)
			fail_msg("a second process: %s", text);
		if (n.torn && !n.serves)
			fail_msg("started on disks of two times: %s", text);
		n.process = JAIL;
		n.record = n.timer = n.monitor = true;
		n.preparing = false;
		break;
	case VM_DO_GREET:
		n.monitor = true;
		n.timer = n.timer || n.state == VM_GREETING;
		break;
	case VM_DO_JOIN:
		break;
	case VM_DO_PRESS:
	case VM_DO_INSIST:
		n.timer = n.monitor = true;
		break;
	case VM_DO_QUIT:
		/* a hung QEMU does not read it */
		n.quit = n.quit || (n.monitor && n.process != STUCK);
		n.timer = true;
		break;
	case VM_DO_KILL:
	case VM_DO_EXPIRE:
		n.quit = n.timer = true;
		break;
	case VM_ACTIONS:
		break;
	}
	return n;
}

static struct now event(struct explorer *x, struct now n, enum vm_event ev)
{
	struct vm_outcome to = vm_outcome(n.state, ev);
	enum vm_state before = n.state;

	x->used[n.state][ev] = true;
	n.state = to.next;
	if (before != n.state)
		n.timer = false;
	return act(n, before, to.action);
}

#endif
