/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/said.h - why QEMU did not start, from its stderr. Pure.
 *
 * QEMU prints the whole option before the error, and warnings before that.
 */
#ifndef SUPERVISOR_VM_SAID_H
#define SUPERVISOR_VM_SAID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The line that tells the cause, escaped, with the option reduced to its file or device. The
 * caller frees it; "" if there is none. */
char *said_why(const char *said, size_t len);
/* Known messages: adds the fix as e's hint. True: the host is the cause, and it may go away. */
bool said_known(const char *why, struct err *e);

#endif
