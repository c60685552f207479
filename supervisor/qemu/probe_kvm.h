/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/probe_kvm.h - whether KVM runs guests here
 *
 * Opening /dev/kvm, its API version and even one KVM_RUN succeed on hosts where every kernel hangs
 * (facts/qmp.md 13), so 512 bytes are booted: they tell QEMU to exit with a status of our own.
 */
#ifndef SUPERVISOR_QEMU_PROBE_KVM_H
#define SUPERVISOR_QEMU_PROBE_KVM_H

#include "base/err.h"

struct ev_loop;
struct kvm;
struct uids;

/* As which both kinds of probe run in the jail: no VM's name. */
#define PROBE_NAME ".probe"

/* accel: "kvm"; a test names another. jail, root: as of probes_new(). */
struct kvm *kvm_new(struct ev_loop *ev, const char *accel, const char *jail, const char *root,
	const struct uids *uids);
void kvm_free(struct kvm *k);

/* done once: at once when KVM was proved before, else from the loop. Whoever asks while a proof
 * runs gets its result. */
void kvm_prove(struct kvm *k, const char *binary, void (*done)(void *data, const struct err *e),
	void *data);
void kvm_forget(struct kvm *k, const void *data);

#endif
