/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/output.h - RUN/vms/NAME/out: what a guest and its QEMU write
 *
 * A small tmpfs of their own, so that neither can fill the run directory, also while no daemon drains
 * it: at the bound the text stops and QEMU goes on. QEMU holds descriptors to write, no path. How they
 * are read, and how much of them, is core/spool.h's business. stderr is kept short: when much has come,
 * it goes to LOG/NAME/qemu.log; the last page stays for whoever wants to know why QEMU died.
 */
#ifndef SUPERVISOR_GUEST_OUTPUT_H
#define SUPERVISOR_GUEST_OUTPUT_H

#include "supervisor/core/spool.h"

struct vm;

#define OUTPUT_STDERR "out/qemu.err" /* below vm->run_fd */

/* Makes the directory of a VM that is about to start, and mounts it. Where that is not possible there is a
 * warning and no bound; core/sweeper.h unmounts. Stands first in the table: others make files there. */
/* A descriptor for QEMU: name is below vm->run_fd and must be new. */
int output_make(const struct vm *vm, const char *name, struct err *e);

/* Reads one from now on, also after adoption: s has its kind, data and name, and the consoles' bucket
 * when it has none of its own. */
int output_read(struct vm *vm, struct spool *s, const char *name, struct err *e);

#endif
