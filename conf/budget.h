/* SPDX-License-Identifier: MIT */
/*
 * conf/budget.h - guests' stop times against the host's shutdown timeout, pure
 *
 * [Shutdown] TimeoutSec= is the budget for all guests when the host shuts down. A guest with a
 * longer TimeoutStopSec=, or an After=/Requires= chain that takes longer, would be killed early.
 */
#ifndef CONF_BUDGET_H
#define CONF_BUDGET_H

#include <stddef.h>

#include "conf/daemon.h"
#include "conf/vm.h"

/* The strings are valid only during the call. */
typedef void budget_row_fn(void *data, const struct conf_place *place, const char *key,
	const char *reason, const char *hint);

/* Calls tell for each mismatch. vm: sorted by name, each without problems. only: check this VM
 * alone; NULL: all, and the longest chain. */
void budget_check(const struct conf_daemon *d, const struct conf_vm *const *vm, size_t n,
	const char *only, budget_row_fn *tell, void *data);

#endif
