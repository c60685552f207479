/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/preview.h - vmkeepd --check: what this program would say of the configuration
 *
 * Reads the files alone, without a daemon or QEMU, and writes nothing: a package runs it before the
 * running daemon, which is an older one, is replaced. Each VM by itself, and what they claim of each
 * other: in the words of check/vm.c.
 */
#ifndef SUPERVISOR_CHECK_PREVIEW_H
#define SUPERVISOR_CHECK_PREVIEW_H

/* Prints what would not start, and warnings. Exit code: 0, or 2 if something would not. */
int preview_print(const char *config, const char *state);

#endif
