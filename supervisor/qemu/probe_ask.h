/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/probe_ask.h - runs a QEMU in the jail to query it, for any number of waiters
 *
 * Callers that arrive while a query is in flight share its result. Results and failures are
 * delivered from the loop.
 */
#ifndef SUPERVISOR_QEMU_PROBE_ASK_H
#define SUPERVISOR_QEMU_PROBE_ASK_H

#include "base/loop.h"
#include "supervisor/core/confine.h"
#include "supervisor/host/kvm.h"
#include "supervisor/qemu/probe.h"

struct ask {
	struct ev_loop *ev;
	const char *jail, *root; /* see probes_new() */
	const struct uids *uids;
	enum err_class class; /* class of all errors */
	struct confined *asked;
	struct loop_task later; /* delivers an immediate failure from the loop */
	struct ask_waiter *waiting, *answering;
	struct err err;
};

bool ask_is_busy(const struct ask *a); /* a query is in flight */
/* Adds a waiter. True: nothing is in flight, and the caller must start the query. */
bool ask_wait(struct ask *a, probe_done_fn *done, void *data);
/* more: additions to the plan, or NULL; stolen. The rest as for confine_run(). */
void ask_run(struct ask *a, const char *const *argv, json_t *more, const int *fds, size_t n_fds,
	const struct child_options *options, confined_fn *done, void *data);
/* The query could not be started; err says why. */
void ask_failed(struct ask *a);
/* Calls all current waiters; e NULL: success. */
void ask_answer(struct ask *a, const struct probe *p, const struct err *e);
void ask_forget(struct ask *a, const void *data); /* NULL: all */
void ask_release(struct ask *a);

/* --- probe_kvm.c: whether KVM can run guests here ---
 *
 * Opening /dev/kvm, its API version and even one KVM_RUN succeed on hosts where every kernel hangs,
 * so boot 512 bytes of code that makes QEMU exit with a status of our own. */
enum { KVM_TRIES = 3, KVM_HUNG_SECONDS = 300 };
struct kvm {
	struct ask ask;
	const char *accel;
	/* /dev/kvm; NULL: the accelerator needs no device */
	void (*look)(int root, struct kvm_seen *s);
	double seconds[KVM_TRIES]; /* the last is generous: slow is not broken */
	struct kvm_seen seen;	   /* at the last look */
	int disk;		   /* boot sector */
	bool proved;
	unsigned tries, most;
	/* clock_boot() when all tries had hung: for some minutes the next proofs do without the
	 * long try, so that not every start waits for it. 0: they did not */
	double hung;
	double begun, took; /* the last try */
	char *binary;
};

/* accel: "kvm", or another one in a test. blank: a template for the query. */
void kvm_init(struct kvm *k, const struct ask *blank, const char *accel);
void kvm_release(struct kvm *k);

/* done is called once: immediately if KVM was proved before and its device is still the same, else
 * from the loop. Callers that arrive during a test share its result. */
void kvm_prove(struct kvm *k, const char *binary, probe_done_fn *done, void *data);
/* The next start proves it again. */
void kvm_doubt(struct kvm *k);

#endif
