/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/probe_kvm.h - whether KVM runs guests here
 *
 * Opening /dev/kvm, its API version and even one KVM_RUN succeed on hosts where every kernel hangs
 * (facts/qmp.md 13), so 512 bytes are booted: they tell QEMU to exit with a status of our own.
 */
#ifndef SUPERVISOR_QEMU_PROBE_KVM_H
#define SUPERVISOR_QEMU_PROBE_KVM_H

#include "supervisor/qemu/probe_ask.h"

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
