/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/probe_ask.h - a QEMU that is asked something in the jail, and who waits for the answer
 *
 * Whoever asks while it is asked already gets the same answer. Nobody is called before the loop turns.
 */
#ifndef SUPERVISOR_QEMU_PROBE_ASK_H
#define SUPERVISOR_QEMU_PROBE_ASK_H

#include "base/loop.h"
#include "supervisor/core/confine.h"
#include "supervisor/qemu/probe.h"

struct ask {
	struct ev_loop *ev;
	const char *jail, *root; /* see probes_new() */
	const struct uids *uids;
	enum err_class class; /* of whatever fails */
	struct confined *asked;
	struct loop_task later; /* for what fails at once: callers hear of it from the loop */
	struct ask_waiter *waiting, *answering;
	struct err err;
};

/* True: nothing is under way, and the caller is to begin. */
bool ask_wait(struct ask *a, probe_done_fn *done, void *data);
/* more: what the plan has beyond that of any probe, NULL: nothing; stolen. The rest as for confine_run(). */
void ask_run(struct ask *a, const char *const *argv, json_t *more, const int *fds, size_t n_fds,
	const struct child_options *options, confined_fn *done, void *data);
/* It cannot be asked, as err says. */
void ask_failed(struct ask *a);
/* All who wait by now; e NULL: well done. */
void ask_answer(struct ask *a, const struct probe *p, const struct err *e);
void ask_forget(struct ask *a, const void *data); /* NULL: all */
void ask_release(struct ask *a);

/* --- probe_kvm.c: whether KVM runs guests here ---
 *
 * Opening /dev/kvm, its API version and even one KVM_RUN succeed on hosts where every kernel hangs
 * (facts/qmp.md 13), so 512 bytes are booted: they tell QEMU to exit with a status of our own. */
struct kvm {
	struct ask ask;
	const char *accel;
	int disk; /* boot sector */
	bool proved;
	unsigned tries;
	char *binary;
};

/* accel: "kvm"; a test names another. blank: whom to ask, and nothing yet. */
void kvm_init(struct kvm *k, const struct ask *blank, const char *accel);
void kvm_release(struct kvm *k);

/* done once: at once when KVM was proved before, else from the loop. Whoever asks while a proof
 * runs gets its result. */
void kvm_prove(struct kvm *k, const char *binary, probe_done_fn *done, void *data);

#endif
