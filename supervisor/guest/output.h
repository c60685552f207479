/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/output.h - RUN/vms/NAME/out: output of a guest and its QEMU
 *
 * A small tmpfs per VM, so that neither can fill the run directory, even while no daemon drains it:
 * when it is full, output is lost and QEMU keeps running. The start hook makes the directory and
 * mounts the tmpfs; if the mount fails it logs a warning and output is unbounded. core/sweeper.h
 * unmounts it. QEMU holds write fds, no path. core/spool.h decides how the files are read, and how
 * much of them.
 *
 * stderr moves to LOG/NAME/qemu.log as it comes. The last page is kept in memory, to explain why
 * QEMU died.
 */
#ifndef SUPERVISOR_GUEST_OUTPUT_H
#define SUPERVISOR_GUEST_OUTPUT_H

#include "supervisor/core/spool.h"

struct vm;

#define OUTPUT_STDERR "out/qemu.err" /* relative to vm->proc.run_fd */

/* Creates a file for QEMU to write and returns its fd. name is relative to vm->proc.run_fd and must
 * be new. */
int output_make(const struct vm *vm, const char *name, struct err *e);

/* Starts reading a file, after adoption too. The caller has set s->kind, data and name, and
 * s->bucket unless it shares the consoles' bucket. */
int output_read(struct vm *vm, struct spool *s, const char *name, struct err *e);

#endif
