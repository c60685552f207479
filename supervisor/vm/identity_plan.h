/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/identity_plan.h - the identity's part of the plan for vmkeep-jail, see jail/plan.h
 */
#ifndef SUPERVISOR_VM_IDENTITY_PLAN_H
#define SUPERVISOR_VM_IDENTITY_PLAN_H

#include "supervisor/vm/vm.h"

json_t *vm_identity_plan(const struct vm *vm, const struct conf_vm *c);

#endif
