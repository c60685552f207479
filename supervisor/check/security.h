/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/security.h - what confines the process of a VM, as the kernel tells it
 *
 * Nothing here comes from what was meant: each row is read from /proc/PID and held against the rule.
 * The rules are explained in vmkeep-security(7).
 */
#ifndef SUPERVISOR_CHECK_SECURITY_H
#define SUPERVISOR_CHECK_SECURITY_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct vm;

/* {"columns": ["rule", "holds", "found"], "rows": [...]}, NULL where there is no process. */
json_t *security_report(const struct vm *vm, struct err *e);

/* Its QEMU was replaced on disk since it was started, as by an upgrade: it goes on with the old program until its
 * next start. The kernel tells: the link /proc/PID/exe of a removed file ends in " (deleted)" (proc(5)). */
bool vm_outdated(const struct vm *vm);

#endif
