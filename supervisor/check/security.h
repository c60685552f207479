/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/security.h - verifies the confinement of a VM's process
 *
 * Nothing is taken from our own configuration: each row is read from /proc/PID and compared with
 * the rule. vmkeep-security(7) explains the rules.
 */
#ifndef SUPERVISOR_CHECK_SECURITY_H
#define SUPERVISOR_CHECK_SECURITY_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct vm;

/* {"columns": ["rule", "holds", "found"], "rows": [...]}; NULL if there is no process. */
json_t *security_report(const struct vm *vm, struct err *e);

/* True if the QEMU binary was replaced since the VM started, as by an upgrade: the VM runs the old
 * program until its next start. The link /proc/PID/exe of a removed file ends in " (deleted)", see
 * proc(5). */
bool vm_outdated(const struct vm *vm);

#endif
