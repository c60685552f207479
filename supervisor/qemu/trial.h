/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/trial.h - does QEMU take this command line? For `check`.
 *
 * Much is known only to QEMU: which CPU features the host and the accelerator have, limits of KVM
 * and of the machine, keymaps, what is wrong inside an image. So a QEMU is started with the VM's
 * command line, but with little of the host: no network, no sockets, not its name or UUID. Its
 * kernel, firmware and images are mounted read-only. Its guest never runs, its memory is not
 * touched, and it quits at once.
 */
#ifndef SUPERVISOR_QEMU_TRIAL_H
#define SUPERVISOR_QEMU_TRIAL_H

#include "supervisor/core/confine.h"
#include "supervisor/qemu/argv.h"

struct trial_host {
	bool no_memory; /* the VM runs, and its memory is not there twice */
	bool no_files;	/* it writes to them; or they were found wrong already */
	const struct firmware
		*new_firmware; /* its first start would make UEFI variables; NULL: no */
};

/* out: ARGV_INIT. The words of a command line. Args= stay as they are. */
void trial_argv(struct argv *out, const struct argv *of, const struct trial_host *host);

extern const char trial_input[]; /* for its stdin */

/* Runs it in the jail as the uid for probes, with the files of the VM's plan; the rest as for
 * confine_run(). Its status is 0 if QEMU took it. */
struct daemon;
struct confined *trial_run(const struct daemon *d, const struct argv *argv, const json_t *plan,
	const struct trial_host *host, confined_fn *done, void *data, struct err *e);

/* Its stderr without what only a trial says; the caller frees it. */
char *trial_said(const char *said, size_t len);

#endif
