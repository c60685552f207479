/* SPDX-License-Identifier: MIT */
/*
 * conf/budget.h - what guests may take to go down, against what all of them have together, pure
 *
 * [Shutdown] TimeoutSec= is the budget when the host goes down. A guest whose TimeoutStopSec= is
 * longer, or a chain of After= and Requires= that takes longer, would be cut short.
 */
#ifndef CONF_BUDGET_H
#define CONF_BUDGET_H

#include <stddef.h>

#include "conf/daemon.h"
#include "conf/vm.h"

/* The strings live only for the call. */
typedef void budget_row_fn(void *data, const struct conf_place *place, const char *key,
	const char *reason, const char *hint);

/* Calls tell for each mismatch. vm: sorted by name, without problems of their own. only: the one
 * that is asked about; NULL: all, and the longest chain. */
void budget_check(const struct conf_daemon *d, const struct conf_vm *const *vm, size_t n,
	const char *only, budget_row_fn *tell, void *data);

#endif
