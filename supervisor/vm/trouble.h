/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/trouble.h - what of a VM needs a person, in one sentence each
 *
 * The same sentences stand in REASON of list, in info, and in list --problems.
 */
#ifndef SUPERVISOR_VM_TROUBLE_H
#define SUPERVISOR_VM_TROUBLE_H

#include "supervisor/vm/vm.h"

/* What the REASON of list and info tells: trouble with its file, then why it is in its state. */
char *vm_reason_text(const struct vm *vm);
/* How bad, in the order in which they are listed. UNKNOWN: nobody can tell whether all is well. */
enum trouble { TROUBLE_CRITICAL, TROUBLE_UNKNOWN, TROUBLE_WARNING, TROUBLES };
typedef void trouble_fn(void *data, enum trouble how, const char *text);
/* Reports what needs a person, each once; nothing for what a person asked for, or what is under
 * way. */
void vm_troubles(struct vm *vm, trouble_fn *report, void *data);
/* Its file is valid, or was: the values in vm->file.conf are the operator's. */
bool vm_conf_is_known(const struct vm *vm);

#endif
