/* SPDX-License-Identifier: MIT */
/*
 * supervisor/host/kvm.h - what the host shows of KVM without starting anything: the CPU's flag, the
 * module, the device node; and the cure that fits
 *
 * A start, check and host check all use this table. qemu/probe_kvm.c proves that guests boot.
 */
#ifndef SUPERVISOR_HOST_KVM_H
#define SUPERVISOR_HOST_KVM_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct kvm_seen {
	const char *flag; /* "vmx", "svm"; NULL: the CPU shows neither */
	bool loaded;	  /* the kernel has a KVM device, whether or not there is a node for it */
	bool odd;	  /* /dev/kvm is something else */
	int error;	  /* of opening /dev/kvm; 0: it is open to us */
	dev_t dev;	  /* which node it is: a module that is loaded again makes another */
	ino_t ino;
};

/* "vmx", "svm" or NULL; root: a descriptor of "/". */
const char *kvm_flag(int root);
void kvm_look(int root, struct kvm_seen *s);
/* 0, or what is wrong, with the cure as hint; class ERR_NO_RESOURCES. */
int kvm_judge(const struct kvm_seen *s, struct err *e);
/* The CPU can, but the kernel has no KVM device yet: early at boot, its module may still come. */
bool kvm_is_awaited(const struct kvm_seen *s);
extern const char kvm_in_firmware[]; /* the cure for a CPU that shows no flag */

#endif
