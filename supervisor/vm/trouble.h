/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/trouble.h - what is wrong with a VM, one sentence for each problem
 *
 * REASON of list, info and list --problems show the same sentences.
 */
#ifndef SUPERVISOR_VM_TROUBLE_H
#define SUPERVISOR_VM_TROUBLE_H

#include "supervisor/vm/vm.h"

/* The text of REASON in list and info: problems with the file, then the reason for the state. */
char *vm_reason_text(const struct vm *vm);
/* Severity, in the order in which they are listed. UNKNOWN: it cannot be told whether all is
 * well. */
enum trouble { TROUBLE_CRITICAL, TROUBLE_UNKNOWN, TROUBLE_WARNING, TROUBLES };
typedef void trouble_fn(void *data, enum trouble how, const char *text);
/* Reports each problem once; nothing that was requested or is in progress. */
void vm_troubles(struct vm *vm, trouble_fn *report, void *data);
/* The file is valid, or was: vm->file.conf has the operator's values. */
bool vm_conf_is_known(const struct vm *vm);

#endif
