/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/outdated.h - guests whose QEMU was replaced on disk since they were started
 *
 * After an upgrade of the package a guest goes on with the old program until its next start. A
 * process's file is looked at once; the file that stands at its path now once a second at most,
 * for all guests together. Only below /usr, where jailed QEMUs are.
 */
#ifndef SUPERVISOR_CHECK_OUTDATED_H
#define SUPERVISOR_CHECK_OUTDATED_H

#include <stdbool.h>

struct outdated_exe;  /* of a process */
struct outdated_file; /* what stands at a path now */
struct vm;

bool vm_outdated(struct vm *vm);
void outdated_exe_free(struct outdated_exe *x);	       /* NULL is fine */
void outdated_files_free(struct outdated_file *first); /* likewise */

#endif
