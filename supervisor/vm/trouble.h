/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/trouble.h - what of a VM needs a person, in one sentence each
 *
 * The same sentences stand in REASON of list, in info, and in list --problems.
 */
#ifndef SUPERVISOR_VM_TROUBLE_H
#define SUPERVISOR_VM_TROUBLE_H

#include "supervisor/vm/vm.h"

/* "invalid: web1.vm:3: Memry: unknown key", "file missing"; NULL: its file is fine. The caller
 * frees it. */
char *vm_file_trouble(const struct vm *vm);
/* What the REASON of list and info tells: trouble with its file, then why it is in its state. */
char *vm_reason_text(const struct vm *vm);
/* Its file is valid, or was: the values in vm->file.conf are the operator's. */
bool vm_conf_is_known(const struct vm *vm);

#endif
