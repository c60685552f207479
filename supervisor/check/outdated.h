/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/outdated.h - guests whose QEMU was replaced on disk since they were started
 *
 * After an upgrade of the package a guest goes on with the old program until its next start. The
 * kernel tells: the link /proc/PID/exe of a removed or replaced file ends in " (deleted)" (proc(5)).
 */
#ifndef SUPERVISOR_CHECK_OUTDATED_H
#define SUPERVISOR_CHECK_OUTDATED_H

#include <stdbool.h>

struct vm;

bool vm_outdated(const struct vm *vm);

#endif
