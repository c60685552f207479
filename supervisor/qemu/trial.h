/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/trial.h - does QEMU take this command line? For `check`.
 *
 * Much is known only to QEMU: which CPU features the host and the accelerator have, limits of KVM
 * and of the machine, keymaps. So a QEMU is started with the VM's command line, but with nothing
 * of the host: null disks, no network, no sockets, not its name or UUID; only its kernel is read. Its guest never
 * runs, its memory is not touched, and it quits at once.
 */
#ifndef SUPERVISOR_QEMU_TRIAL_H
#define SUPERVISOR_QEMU_TRIAL_H

#include "supervisor/core/confine.h"
#include "supervisor/qemu/argv.h"

/* out: ARGV_INIT. The words of a command line without Args=, which may name anything. no_memory: the
 * VM runs, and its memory is not there twice. no_kernel: its file was found wrong already. */
void trial_argv(struct argv *out, const struct argv *of, bool no_memory, bool no_kernel);

extern const char trial_input[]; /* for its stdin */

/* Runs it in the jail as the uid for probes; the rest as for confine_run(). Its status is 0 if QEMU
 * took it. */
struct daemon;
struct confined *trial_run(const struct daemon *d, const struct argv *argv, bool kvm,
	json_t *files /* of the plan, stolen: the kernel's */, confined_fn *done, void *data,
	struct err *e);

/* Its stderr without what only a trial says; the caller frees it. */
char *trial_said(const char *said, size_t len);

#endif
